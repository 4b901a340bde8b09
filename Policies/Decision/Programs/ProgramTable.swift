// The table of programs, read a table at a time: a check of one command needs one of seven hundred.
internal import CPrograms
internal import Synchronization

/// The programs that Cordon knows.
final class ProgramTable: Sendable {
    /// The one table. Its text is constant.
    static let shared = ProgramTable()

    private struct State {
        var specs: [String: ProgramSpec?] = [:]
    }

    /// Where each table's text lies, by path: names with a NUL between them, aliases included.
    private let places: [String: Range<Int>]
    /// Filled as tables are needed; each is what its text says, so it does not matter who fills it.
    private let state = Mutex(State())

    private static var text: UnsafeBufferPointer<UInt8> {
        unsafe UnsafeBufferPointer(start: cprograms_text(), count: cprograms_size())
    }

    init() {
        places = unsafe Self.index(Self.text)
    }

    /// What is known about a program, or about its subcommand, by its names; nil where nothing is.
    func spec(_ path: [String]) -> ProgramSpec? {
        let key = path.joined(separator: "\0")
        return state.withLock { state in
            if let known = state.specs[key] { return known }
            guard let place = places[key] else { return nil }
            // SAFETY: the index lies within the text, which is constant.
            let spec = unsafe ProgramSpec(Array(Self.text[place]))
            state.specs[key] = .some(spec)
            return spec
        }
    }

    /// Every program's name, aliases included.
    var names: [String] { places.keys.filter { !$0.utf8.contains(0) }.sorted() }

    /// The lines between one header and the next, by the header's names and its aliases.
    private static func index(_ text: UnsafeBufferPointer<UInt8>) -> [String: Range<Int>] {
        var places: [String: Range<Int>] = [:]
        places.reserveCapacity(1500)
        var parents: [String: [String]] = [:]
        var paths: [String] = []
        var start = 0
        var line = text.startIndex
        func close(at end: Int) { for path in paths { places[path] = start..<end } }
        while line < text.endIndex {
            let end = unsafe text[line...].firstIndex(of: UInt8(ascii: "\n")) ?? text.endIndex
            if unsafe text[line] == UInt8(ascii: "["), end > line + 2 {
                close(at: line)
                let names = unsafe header(text[(line + 1)..<(end - 1)])
                let own = names.joined(separator: "\0")
                paths = [own]
                // A subcommand of a program with aliases is found under each of its names.
                if names.count > 1, let aliases = parents[names.dropLast().joined(separator: "\0")] {
                    paths = aliases.map { $0 + "\0" + (names.last ?? "") }
                }
                start = min(end + 1, text.endIndex)
            } else if unsafe text[line] == UInt8(ascii: "a"), unsafe text[line..<end].starts(with: "aliases = ".utf8) {
                for alias in unsafe quotedWords(text[line..<end]) {
                    for path in paths {
                        var names = path.split(separator: "\0", omittingEmptySubsequences: false)
                        names[names.count - 1] = Substring(alias)
                        let other = names.joined(separator: "\0")
                        if !paths.contains(other) { paths.append(other) }
                    }
                }
                if let own = paths.first { parents[own] = paths }
            } else if let own = paths.first, parents[own] == nil {
                parents[own] = paths
            }
            line = end + 1
        }
        close(at: text.endIndex)
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
