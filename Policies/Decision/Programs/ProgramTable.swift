// The table of programs, read a table at a time: a check of one command needs one of seven hundred.
internal import CPrograms
internal import Synchronization

/// The programs that Cordon knows.
final class ProgramTable: Sendable {
    /// The one table. Its text is constant.
    static let shared = ProgramTable()

    private struct State {
        /// What was asked for before, by names with a NUL between them.
        var specs: [String: ProgramSpec?] = [:]
        /// Where each table's text lies, by the same names, aliases included; nil until it is worth while.
        var places: [String: Range<Int>]?
        var searches = 0
    }

    /// One check needs a table or two, which are found by searching; whoever asks more often gets an index.
    private static let searchesBeforeIndex = 16
    /// Names that are not known are the requests' to choose: no more of them are remembered.
    private static let mostKnown = 4096
    private static let longestKnown = 256

    /// Filled as tables are needed; each is what its text says, so it does not matter who fills it.
    private let state = Mutex(State())

    private static var text: UnsafeBufferPointer<UInt8> {
        unsafe UnsafeBufferPointer(start: cprograms_text(), count: cprograms_size())
    }

    /// What is known about a program, or about its subcommand, by its names; nil where nothing is.
    func spec(_ path: [String]) -> ProgramSpec? {
        let key = path.joined(separator: "\0")
        return state.withLock { state in
            if let known = state.specs[key] { return known }
            // SAFETY: places lie within the text, which is constant.
            let spec = place(of: path, key, &state).flatMap { unsafe ProgramSpec(Array(Self.text[$0])) }
            if spec != nil || state.specs.count < Self.mostKnown && key.utf8.count <= Self.longestKnown {
                state.specs[key] = .some(spec)
            }
            return spec
        }
    }

    private func place(of path: [String], _ key: String, _ state: inout State) -> Range<Int>? {
        if let places = state.places { return places[key] }
        state.searches += 1
        if state.searches <= Self.searchesBeforeIndex { return Self.search(path)?.place }
        let places = unsafe Self.index(Self.text)
        state.places = places
        return places[key]
    }

    /// Whether searching and the index lead to the same, for a test.
    func placesAgree() -> Bool {
        let places = unsafe Self.index(Self.text)
        return places.allSatisfy { key, place in
            Self.search(key.split(separator: "\0", omittingEmptySubsequences: false).map(String.init))?.place == place
        }
    }

    /// Looks for the header of a table, or for an alias of it.
    private static func search(_ path: [String]) -> (header: String, place: Range<Int>)? {
        guard let last = path.last, !last.utf8.contains(where: { $0 == UInt8(ascii: "\"") || $0 < 0x20 }) else {
            return nil
        }
        var above = ""
        if path.count > 1 {
            guard let parent = search(path.dropLast()) else { return nil }
            above = parent.header + "."
        }
        let isBare =
            !last.isEmpty
            && last.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
            }
        let header = above + (isBare ? last : "\"\(last)\"")
        let own = find("\n[\(header)]\n", from: 0)
        if own < cprograms_size() { return (header, bodyOfTable(at: own + 1)) }
        // An alias: in quotes, in the line behind a header of the same level.
        let quoted = "\"\(last)\""
        var at = find(quoted, from: 0)
        while at < cprograms_size() {
            if let header = headerOfAliases(around: at), header.hasPrefix(above),
                !header.dropFirst(above.count).contains(".") || header.hasSuffix("\"")
            {
                let start = find("\n[\(header)]\n", from: 0)
                return (header, bodyOfTable(at: start + 1))
            }
            at = find(quoted, from: at + 1)
        }
        return nil
    }

    private static func find(_ pattern: String, from offset: Int) -> Int {
        var copy = pattern
        return copy.withUTF8 { unsafe cprograms_find($0.baseAddress, $0.count, offset) }
    }

    private static func bodyOfTable(at start: Int) -> Range<Int> {
        let next = cprograms_header(start + 1)
        let end = unsafe text[start..<next].firstIndex(of: UInt8(ascii: "\n")) ?? next
        return min(end + 1, next)..<next
    }

    /// The header above a line of aliases that a place is in; nil where it is in another line.
    private static func headerOfAliases(around at: Int) -> String? {
        let newline = UInt8(ascii: "\n")
        guard let lineBreak = unsafe text[..<at].lastIndex(of: newline) else { return nil }
        guard unsafe text[(lineBreak + 1)..<at].starts(with: "aliases = ".utf8) else { return nil }
        let above = unsafe text[..<lineBreak]
        let start = unsafe (above.lastIndex(of: newline) ?? -1) + 1
        let line = unsafe Array(text[start..<lineBreak])
        guard line.first == UInt8(ascii: "["), line.last == UInt8(ascii: "]") else { return nil }
        return String(decoding: line.dropFirst().dropLast(), as: UTF8.self)
    }

    /// Whether a subcommand does more than look.
    func hasEffects(below path: [String]) -> Bool {
        let prefix = path.map { $0 + "\0" }.joined()
        return unsafe Self.index(Self.text).keys.contains { key in
            guard key.hasPrefix(prefix) else { return false }
            let names = key.split(separator: "\0", omittingEmptySubsequences: false).map(String.init)
            return spec(names)?.effects.isEmpty == false
        }
    }

    /// Every program's name, aliases included.
    var names: [String] { unsafe Self.index(Self.text).keys.filter { !$0.utf8.contains(0) }.sorted() }

    /// The lines between one header and the next, by the header's names and its aliases.
    private static func index(_ text: UnsafeBufferPointer<UInt8>) -> [String: Range<Int>] {
        var places: [String: Range<Int>] = [:]
        places.reserveCapacity(2048)
        /// The names of programs that have subcommands, aliases included.
        var names: [String: [String]] = [:]
        var start = cprograms_header(0)
        while start < text.count {
            let next = cprograms_header(start + 1)
            let table = unsafe text[start..<next]
            let end = unsafe table.firstIndex(of: UInt8(ascii: "\n")) ?? next
            let body = min(end + 1, next)
            let header = unsafe header(table[(start + 1)..<(end - 1)])
            let last = header.last ?? ""
            let isAliased = unsafe text[body..<next].starts(with: "aliases = ".utf8)
            let line = unsafe text[body..<next].prefix { $0 != UInt8(ascii: "\n") }
            let own = isAliased ? unsafe [last] + quotedWords(line) : [last]
            let above = header.dropLast().joined(separator: "\0")
            // A subcommand is found under each name of its program.
            let parents = above.isEmpty ? [""] : names[above] ?? [above]
            let paths = parents.flatMap { parent in own.map { parent.isEmpty ? $0 : parent + "\0" + $0 } }
            for path in paths { places[path] = body..<next }
            if let first = paths.first, paths.count > 1 { names[first] = paths }
            start = next
        }
        return places
    }

    /// `git."a.b".c` as its names.
    private static func header(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> [String] {
        var names: [[UInt8]] = [[]]
        var isQuoted = false
        for byte in unsafe Array(text) {
            switch byte {
            case UInt8(ascii: "\""): isQuoted.toggle()
            case UInt8(ascii: ".") where !isQuoted: names.append([])
            default: names[names.count - 1].append(byte)
            }
        }
        return names.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func quotedWords(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> [String] {
        let parts = unsafe text.split(separator: UInt8(ascii: "\""), omittingEmptySubsequences: false)
        return unsafe stride(from: 1, to: parts.count, by: 2).map { unsafe String(decoding: parts[$0], as: UTF8.self) }
    }
}
