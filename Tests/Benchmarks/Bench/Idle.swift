// What a jail costs that does nothing, and what Cordon costs outside of its jails.
internal import CLinux
internal import Glibc
internal import Linux

/// Proportional set size in megabytes: private pages, and each shared one divided by the number of its users
/// (proc(5), smaps_rollup).
func proportionalSize(of pid: Int32) -> Double {
    for line in ((try? readText("/proc/\(pid)/smaps_rollup")) ?? "").split(separator: "\n") {
        let fields = line.split(separator: " ")
        if fields.count >= 2, fields[0] == "Pss:", let kilobytes = Double(fields[1]) { return kilobytes / 1024 }
    }
    return 0
}

private let sleeper = ["/usr/bin/sleep", "1000"]

/// Waits until so many commands sleep below this process.
private func sleepers(_ count: Int) -> [Descendant] {
    for _ in 0..<500 {
        let all = descendants(of: processID)
        if all.count(where: { $0.name == "sleep" }) == count { return all }
        pause(microseconds: 20_000)
    }
    return descendants(of: processID)
}

/// Megabytes for each of so many idle jails: jail-init and the spawner, not the command.
func idleJails(_ subject: Subject, count: Int) throws -> Double {
    // Where not all of them can be had, they are counted below.
    let done = try Thread { try? inThreads(count) { _ = subject.run(sleeper) } }
    let all = sleepers(count)
    // What rests lets go of its text after 50 ms; before that it is not idle.
    pause(microseconds: 200_000)
    let own = all.filter { $0.name == "jail-init" || $0.name == "cordon-spawner" }
    let total = own.reduce(0) { $0 + proportionalSize(of: $1.pid) }
    for process in all where process.name == "sleep" { _ = kill(process.pid, SIGKILL) }
    done.join()
    guard own.count == 2 * count else {
        throw BenchFailure("\(count) idle jails have \(own.count) processes of their own, not \(2 * count)")
    }
    return total / Double(count)
}

/// Megabytes of `cordon run` and of its janitor.
func idleCordon(_ subject: Subject) throws -> Double {
    let cordon = try Program(
        subject.programs + "/cordon", ["run", "--workspace", subject.workspace, "--"] + sleeper)
    let all = sleepers(1)
    // The benchmark's own supervisor has a janitor too.
    let janitors = all.filter { $0.name == "cordon-janitor" && $0.parent == cordon.pid }
    let total = ([cordon.pid] + janitors.map(\.pid)).reduce(0) { $0 + proportionalSize(of: $1) }
    for process in all where process.name == "sleep" { _ = kill(process.pid, SIGKILL) }
    _ = cordon.wait()
    guard total > 0 else { throw BenchFailure("the memory of cordon cannot be read") }
    return total
}
