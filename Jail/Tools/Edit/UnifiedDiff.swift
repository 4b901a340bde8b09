// The unified diff of two texts, byte for byte what `patch` and `git apply` take.

/// The differences of two texts, by lines, with context.
public struct UnifiedDiff: Sendable {
    /// Lines that only the new text has.
    public private(set) var added = 0
    /// Lines that only the old text has.
    public private(set) var removed = 0
    /// The hunks, each with its `@@` line.
    public private(set) var hunks: [UInt8] = []

    /// Compares two texts.
    ///
    /// - Parameter context: how many unchanged lines stand around a change.
    public init(from old: [UInt8], to new: [UInt8], context: Int = 3) {
        let context = max(0, context)
        guard let (oldPart, newPart) = Self.window(old, new, context) else { return }
        let before = ByteSearch.count(ByteSearch.newline, in: old, from: 0, to: oldPart.lowerBound)
        let oldLines = LineTable(old, oldPart)
        let newLines = LineTable(new, newPart)
        var numbers = LineNumbers(expecting: oldLines.count + newLines.count)
        let a = (0..<oldLines.count).map { numbers.number(old, oldLines.whole($0)) }
        let b = (0..<newLines.count).map { numbers.number(new, newLines.whole($0)) }
        let changes = LineDiff.changes(a, b)
        hunks.reserveCapacity(256)
        var index = 0
        while index < changes.count {
            var end = index + 1
            while end < changes.count, changes[end].old.lowerBound - changes[end - 1].old.upperBound <= 2 * context {
                end += 1
            }
            write(changes[index..<end], old, oldLines, new, newLines, context, before)
            index = end
        }
    }

    /// Whether both texts are the same.
    public var isEmpty: Bool { hunks.isEmpty }

    /// The hunks behind `---` and `+++` lines with one name; empty where nothing differs.
    public func text(path: [UInt8]) -> [UInt8] {
        guard !isEmpty else { return [] }
        return Array("--- ".utf8) + DiffName.quoted(Array("a/".utf8) + path) + Array("+++ ".utf8)
            + DiffName.quoted(Array("b/".utf8) + path) + hunks
    }

    private mutating func write(
        _ changes: ArraySlice<LineChange>, _ old: [UInt8], _ oldLines: LineTable, _ new: [UInt8], _ newLines: LineTable,
        _ context: Int, _ before: Int
    ) {
        guard let first = changes.first, let last = changes.last else { return }
        let ahead = min(context, first.old.lowerBound)
        let behind = min(context, oldLines.count - last.old.upperBound)
        let from = (first.old.lowerBound - ahead)..<(last.old.upperBound + behind)
        let to = (first.new.lowerBound - ahead)..<(last.new.upperBound + behind)
        hunks += Array("@@ -\(Self.span(from, before)) +\(Self.span(to, before)) @@\n".utf8)
        var line = from.lowerBound
        for change in changes {
            while line < change.old.lowerBound {
                append(0x20, old, oldLines.whole(line))
                line += 1
            }
            for line in change.old { append(0x2D, old, oldLines.whole(line)) }
            for line in change.new { append(0x2B, new, newLines.whole(line)) }
            removed += change.old.count
            added += change.new.count
            line = change.old.upperBound
        }
        while line < from.upperBound {
            append(0x20, old, oldLines.whole(line))
            line += 1
        }
    }

    private static func span(_ lines: Range<Int>, _ before: Int) -> String {
        // An empty span names the line in front of it.
        let start = before + lines.lowerBound + (lines.isEmpty ? 0 : 1)
        return lines.count == 1 ? "\(start)" : "\(start),\(lines.count)"
    }

    private mutating func append(_ mark: UInt8, _ text: [UInt8], _ line: Range<Int>) {
        hunks.append(mark)
        hunks.append(contentsOf: text[line])
        if hunks.last != ByteSearch.newline { hunks += Array("\n\\ No newline at end of file\n".utf8) }
    }

    /// The parts of both texts that differ, widened by the context; nil where nothing does.
    private static func window(_ old: [UInt8], _ new: [UInt8], _ context: Int) -> (Range<Int>, Range<Int>)? {
        var front = ByteSearch.commonPrefix(old, new)
        if front == old.count && front == new.count { return nil }
        var back = ByteSearch.commonSuffix(old, new, atMost: min(old.count, new.count) - front)
        while front > 0, old[front - 1] != ByteSearch.newline { front -= 1 }
        // The part in common at the back begins behind a line end that both have.
        if let place = ByteSearch.first(ByteSearch.newline, in: old, from: old.count - back) {
            back = old.count - place - 1
        } else {
            back = 0
        }
        var (start, end) = (front, old.count - back)
        for _ in 0..<context where start > 0 {
            start -= 1
            while start > 0, old[start - 1] != ByteSearch.newline { start -= 1 }
        }
        for _ in 0..<context where end < old.count {
            end = ByteSearch.first(ByteSearch.newline, in: old, from: end).map { $0 + 1 } ?? old.count
        }
        return (start..<end, start..<(new.count - (old.count - end)))
    }
}

/// Names in the headers of diffs, as git writes them.
enum DiffName {
    /// A name and its line end: quoted like a C string where it has unusual bytes, and with a tab behind it where it
    /// has a space, since `patch` would take what follows the space for a date.
    static func quoted(_ name: [UInt8]) -> [UInt8] {
        guard let quoted = escaped(name) else {
            return name + (name.contains(0x20) ? [0x09, 0x0A] : [0x0A])
        }
        return quoted + [0x0A]
    }

    /// The name as it stands in a header of git, quoted where it has to be.
    static func inHeader(_ name: [UInt8]) -> [UInt8] { escaped(name) ?? name }

    private static func escaped(_ name: [UInt8]) -> [UInt8]? {
        guard name.contains(where: { $0 < 0x20 || $0 >= 0x7F || $0 == 0x22 || $0 == 0x5C }) else { return nil }
        var result: [UInt8] = [0x22]
        for byte in name {
            switch byte {
            case 0x22, 0x5C: result += [0x5C, byte]
            case 0x09: result += [0x5C, 0x74]
            case 0x0A: result += [0x5C, 0x6E]
            case 0x20..<0x7F: result.append(byte)
            default: result += [0x5C, 0x30 + (byte >> 6), 0x30 + ((byte >> 3) & 7), 0x30 + (byte & 7)]
            }
        }
        return result + [0x22]
    }

    /// Takes a quoted name apart. nil where the quotes or escapes are wrong. The second is what stands behind it.
    static func unquoted(_ text: ArraySlice<UInt8>) -> (name: [UInt8], rest: ArraySlice<UInt8>)? {
        guard text.first == 0x22 else { return nil }
        var name: [UInt8] = []
        var index = text.startIndex + 1
        while index < text.endIndex {
            let byte = text[index]
            if byte == 0x22 { return (name, text[(index + 1)...]) }
            index += 1
            guard byte == 0x5C else {
                name.append(byte)
                continue
            }
            guard index < text.endIndex else { return nil }
            let escape = text[index]
            if (0x30...0x33).contains(escape), index + 2 < text.endIndex,
                text[(index + 1)...(index + 2)].allSatisfy({ (0x30...0x37).contains($0) })
            {
                name.append((escape - 0x30) << 6 | (text[index + 1] - 0x30) << 3 | (text[index + 2] - 0x30))
                index += 3
                continue
            }
            guard let value = simple(escape) else { return nil }
            name.append(value)
            index += 1
        }
        return nil
    }

    private static func simple(_ escape: UInt8) -> UInt8? {
        switch escape {
        case 0x61: 7
        case 0x62: 8
        case 0x74: 9
        case 0x6E: 10
        case 0x76: 11
        case 0x66: 12
        case 0x72: 13
        case 0x22, 0x5C: escape
        default: nil
        }
    }
}
