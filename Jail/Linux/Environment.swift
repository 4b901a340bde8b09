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

/// The environment. Entries that are not UTF-8 or have no name are left out.
public func callerEnvironment() -> [(name: String, value: String)] {
    var result: [(name: String, value: String)] = []
    var entry = unsafe cordon_environment()
    while let current = unsafe entry, let pointer = unsafe current.pointee {
        if let text = unsafe String(validatingCString: pointer), let separator = text.firstIndex(of: "="),
            separator != text.startIndex
        {
            result.append((String(text[..<separator]), String(text[text.index(after: separator)...])))
        }
        unsafe entry = unsafe current + 1
    }
    return result
}
