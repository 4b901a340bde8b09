// Running tmux hundreds of times: Foundation's Process takes 50 ms for each, and passes on a socket, which a server would
// keep, and this process's signal mask, with which a server could not be ended.
import Glibc

/// What a program said to both of its outputs, and its exit status (−1: none).
struct Said {
    var status: Int32
    var text: String
}

/// Runs a program to the end of its outputs and its own, with nothing but what it is given.
func call(_ words: [String], _ environment: [String: String]) -> Said {
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { return Said(status: -1, text: "no pipe") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    for target: Int32 in 1...2 { unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], target) }
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    var none = sigset_t(), all = sigset_t()
    unsafe sigemptyset(&none)
    unsafe sigfillset(&all)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setsigdefault(&attributes, &all)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    let argv = unsafe words.map { unsafe strdup($0) } + [nil]
    let envp = unsafe environment.map { unsafe strdup($0.key + "=" + $0.value) } + [nil]
    var pid: pid_t = 0
    let error = unsafe posix_spawnp(&pid, words[0], &actions, &attributes, argv, envp)
    unsafe (argv + envp).forEach { unsafe free($0) }
    unsafe posix_spawn_file_actions_destroy(&actions)
    unsafe posix_spawnattr_destroy(&attributes)
    close(ends[1])
    defer { close(ends[0]) }
    guard error == 0 else { return Said(status: -1, text: "\(words[0]): \(unsafe String(cString: strerror(error)))") }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = unsafe read(ends[0], &buffer, buffer.count)
        if count <= 0 { break }
        bytes += buffer[..<count]
    }
    var status: Int32 = 0
    while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
    return Said(status: status & 0x7f == 0 ? status >> 8 : -1, text: String(decoding: bytes, as: UTF8.self))
}
