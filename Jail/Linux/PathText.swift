// Names are bytes to the kernel and text to plans. This maps any bytes to a text and back, without loss.
//
// Bytes that are not UTF-8 become characters U+10FF00 + byte, of the last private plane. So do the bytes of such
// characters themselves where a name really has them, or two names would have one text.

private let escapes: ClosedRange<UInt32> = 0x10ff00...0x10ffff

/// A text for a path of any bytes.
public func pathText(_ bytes: [UInt8]) -> String {
    if let text = String(validating: bytes, as: UTF8.self),
        !text.unicodeScalars.contains(where: { escapes.contains($0.value) })
    {
        return text
    }
    var text = ""
    var rest = bytes[...]
    while let first = rest.first {
        let length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
        if let character = String(validating: rest.prefix(length), as: UTF8.self), character.unicodeScalars.count == 1,
            let scalar = character.unicodeScalars.first, !escapes.contains(scalar.value)
        {
            text.unicodeScalars.append(scalar)
            rest = rest.dropFirst(length)
        } else {
            if let scalar = Unicode.Scalar(escapes.lowerBound + UInt32(first)) { text.unicodeScalars.append(scalar) }
            rest = rest.dropFirst()
        }
    }
    return text
}

/// The bytes of a path that `pathText` wrote.
public func pathBytes(_ text: String) -> [UInt8] {
    // Every escape starts with this byte in UTF-8, and hardly anything else does.
    if !text.utf8.contains(0xf4) { return Array(text.utf8) }
    var bytes: [UInt8] = []
    for scalar in text.unicodeScalars {
        if escapes.contains(scalar.value) {
            bytes.append(UInt8(truncatingIfNeeded: scalar.value))
        } else {
            bytes.append(contentsOf: UTF8.encode(scalar).map(Array.init) ?? [])
        }
    }
    return bytes
}

/// Whether a path is a directory or lies in it, by bytes: to Swift a slash with a combining mark after it is no slash.
public func isInside(_ path: String, _ directory: String) -> Bool {
    let path = path.utf8, directory = directory.utf8, slash = UInt8(ascii: "/")
    guard path.starts(with: directory) else { return false }
    let rest = path.dropFirst(directory.count)
    return rest.isEmpty || rest.first == slash || directory.last == slash
}

/// The names of a path, as the kernel divides it.
public func pathComponents(_ path: String) -> [String] {
    path.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }
}

/// What lies above a path: without its last slash and name; nil where it has none.
public func parentPath(_ path: String) -> String? {
    path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[..<$0]) }
}

/// What a path has behind a directory that it is in: "" or something that starts with a slash.
public func pathBelow(_ path: String, _ directory: String) -> String {
    String(path[path.utf8.index(path.startIndex, offsetBy: directory.utf8.count)...])
}
