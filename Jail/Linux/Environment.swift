// What the kernel gave this process when it was executed.
internal import CLinux
internal import Glibc

/// The command line, or nil where an argument is not UTF-8.
public func commandLine() -> [String]? {
    var result: [String] = []
    for index in 0..<Int(CommandLine.argc) {
        guard let pointer = unsafe CommandLine.unsafeArgv[index], let text = unsafe String(validatingCString: pointer)
        else { return nil }
        result.append(text)
    }
    return result
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
