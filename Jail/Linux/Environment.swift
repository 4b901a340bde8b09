// What the kernel gave this process when it was executed.
internal import CLinux
internal import Glibc

/// The command line, each argument as `pathText` writes any bytes.
public func commandLine() -> [String] {
    (0..<Int(CommandLine.argc)).compactMap { index in
        guard let pointer = unsafe CommandLine.unsafeArgv[index] else { return nil }
        return unsafe pathText(Array(UnsafeRawBufferPointer(start: pointer, count: strlen(pointer))))
    }
}

/// The environment, of any bytes (`pathText`). Entries without a name are left out.
public func callerEnvironment() -> [(name: String, value: String)] {
    var result: [(name: String, value: String)] = []
    var entry = unsafe cordon_environment()
    while let current = unsafe entry, let pointer = unsafe current.pointee {
        let text = unsafe pathText(Array(UnsafeRawBufferPointer(start: pointer, count: strlen(pointer))))
        if let separator = text.utf8.firstIndex(of: UInt8(ascii: "=")), separator != text.startIndex {
            result.append((String(text[..<separator]), String(text[text.utf8.index(after: separator)...])))
        }
        unsafe entry = unsafe current + 1
    }
    return result
}

/// Bytes of memory and of swap that this machine has.
///
/// The corresponding C function is `sysinfo`, which is told in a hundredth of the time of /proc/meminfo.
public func memorySizes() -> (total: UInt64, swap: UInt64) {
    var information = CLinux.sysinfo()
    guard unsafe sysinfo(&information) == 0 else { return (0, 0) }
    let unit = UInt64(information.mem_unit)
    return (UInt64(information.totalram) * unit, UInt64(information.totalswap) * unit)
}
