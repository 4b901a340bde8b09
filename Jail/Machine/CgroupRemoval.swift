// Removing groups, for the supervisor and the janitor alike.
internal import Linux

/// Waits until a version 2 group has no process left, two seconds at most; version 1 cannot tell.
public func awaitEmpty(_ directory: String) {
    guard let events = try? open(directory + "/cgroup.events", .readOnly), let poller = try? Poller() else { return }
    try? poller.add(events.raw, .priority, token: 0)
    let deadline = monotonicNanoseconds() + 2_000_000_000
    while true {
        // Reading arms the next notification.
        guard (try? rewind(events.raw)) != nil, let bytes = try? events.readAll(),
            String(decoding: bytes, as: UTF8.self).contains("populated 1")
        else { return }
        let now = monotonicNanoseconds()
        guard now < deadline else { return }
        _ = try? poller.wait(milliseconds: Int((deadline - now) / 1_000_000) + 1)
    }
}

/// Removes one cgroup whose processes are dead or dying, with those inside of it. `rmdir` says EBUSY until the
/// last task is off the group, which is a moment after its parent could reap it; version 2 tells by
/// `cgroup.events`, version 1 by nothing, so the wait there is bounded attempts.
///
/// - Returns: whether it is gone.
@discardableResult
public func removeGroup(_ directory: String) -> Bool {
    if tryRemove(directory) { return true }
    for child in childGroups(directory) { removeGroup(child) }
    if tryRemove(directory) { return true }
    if let events = try? open(directory + "/cgroup.events", .readOnly), let poller = try? Poller() {
        try? poller.add(events.raw, .priority, token: 0)
        for _ in 0..<20 {
            if tryRemove(directory) { return true }
            _ = try? poller.wait(milliseconds: 50)
            // Reading arms the next notification.
            var buffer = [UInt8](repeating: 0, count: 256)
            _ = try? events.read(into: &buffer)
        }
        return tryRemove(directory)
    }
    for _ in 0..<1000 {
        if tryRemove(directory) { return true }
        pause(microseconds: 1000)
    }
    return tryRemove(directory)
}

/// Removes groups in this order, the last one only where all others are gone: by that one a later sweep finds the rest.
public func removeGroups(_ directories: [String]) {
    var all = true
    for directory in directories.dropLast() where !removeGroup(directory) { all = false }
    if all, let last = directories.last { removeGroup(last) }
}

/// The groups inside of one. A session's commands have such, and nobody else makes any.
private func childGroups(_ directory: String) -> [String] {
    guard let handle = try? open(directory, [.readOnly, .directory]), let names = try? entries(of: handle.raw) else {
        return []
    }
    return names.filter(\.isDirectory).map { directory + "/" + $0.text }
}

private func tryRemove(_ directory: String) -> Bool {
    do throws(Errno) {
        try removeDirectory(directory)
        return true
    } catch {
        return error == .noEntry
    }
}
