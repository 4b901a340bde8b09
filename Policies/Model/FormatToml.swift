// TOML in one form, with its comments. It works on lines and strings alone, and then has the parser say whether the meaning
// is still the same.

/// The same document, formatted.
///
/// - Throws: ``PolicyError`` for what is not TOML.
package func formattedToml(_ bytes: [UInt8], file: String) throws(PolicyError) -> String {
    let before = try TomlDocument(bytes, file: file)
    var formatter = TomlFormatter()
    let text = formatter.format(String(decoding: bytes, as: UTF8.self))
    // A line that this reader misunderstands must not be changed: then the whole file stays as it is.
    guard let after = try? TomlDocument(Array(text.utf8), file: file), before.means(after) else {
        return String(decoding: bytes, as: UTF8.self)
    }
    return text
}

extension TomlDocument {
    /// Whether keys and values are the same, wherever they stand.
    fileprivate func means(_ other: TomlDocument) -> Bool {
        nodes.count == other.nodes.count
            && zip(nodes, other.nodes).allSatisfy { mine, theirs in
                mine.kind == theirs.kind && sameBytes(mine.key, theirs.key) && mine.children == theirs.children
            }
    }
}

private struct TomlFormatter {
    /// Brackets and braces that are open.
    private var depth = 0
    /// The delimiter of a string over several lines, while inside one.
    private var open: String?

    mutating func format(_ text: String) -> String {
        var lines: [String] = []
        for raw in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let line = raw.hasSuffix("\r") && open == nil ? raw.dropLast() : raw
            if open != nil {
                // Within a string nothing may change.
                lines.append(String(raw))
                scan(line)
                continue
            }
            let bare = trimmed(line)
            let before = depth
            scan(bare)
            if bare.isEmpty {
                // One blank line at most, and none at the start.
                if lines.last?.isEmpty == false { lines.append("") }
                continue
            }
            if before == 0 {
                if bare.hasPrefix("["), let last = lines.last, !last.isEmpty, !last.hasPrefix("#") { lines.append("") }
                lines.append(spacedAssignment(bare))
            } else {
                let closes = bare.hasPrefix("]") || bare.hasPrefix("}")
                lines.append(String(repeating: "    ", count: max(0, closes ? before - 1 : before)) + bare)
            }
        }
        while lines.last?.isEmpty == true { lines.removeLast() }
        return lines.isEmpty ? "" : lines.joined(separator: "\n") + "\n"
    }

    private func trimmed(_ line: Substring) -> Substring {
        func isSpace(_ character: Character) -> Bool { character == " " || character == "\t" }
        var line = line.drop(while: isSpace)
        while let last = line.last, isSpace(last) { line.removeLast() }
        return line
    }

    /// `key = value` with one space on each side; a key with quotes is left alone.
    private func spacedAssignment(_ line: Substring) -> String {
        guard let first = line.first, first != "#", first != "[", first != "\"", first != "'",
            let equals = line.firstIndex(of: "="), !line[..<equals].contains(where: { "\"'#".contains($0) })
        else { return String(line) }
        return "\(trimmed(line[..<equals])) = \(trimmed(line[line.index(after: equals)...]))"
    }

    /// Follows strings, comments and brackets through a line.
    private mutating func scan(_ line: Substring) {
        var rest = line
        while let character = rest.first {
            if let delimiter = open {
                if rest.hasPrefix(delimiter) {
                    rest = rest.dropFirst(delimiter.count)
                    open = nil
                } else {
                    rest = rest.dropFirst(character == "\\" && delimiter.hasPrefix("\"") ? 2 : 1)
                }
                continue
            }
            switch character {
            case "#": return
            case "[", "{": depth += 1
            case "]", "}": depth -= 1
            case "\"", "'":
                let long = String(repeating: character, count: 3)
                open = rest.hasPrefix(long) ? long : String(character)
                rest = rest.dropFirst(open?.count ?? 1)
                continue
            default: break
            }
            rest = rest.dropFirst()
        }
        // A string on one line ends with it.
        if open?.count == 1 { open = nil }
    }
}
