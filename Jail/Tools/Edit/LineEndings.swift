// A text seen with LF alone, and the way back to its own bytes: so CRLF and LF never keep an edit from being found.
internal import Glibc

/// A text whose CRLF are seen as LF. A carriage return elsewhere is a byte like any other.
struct LineView {
    /// The text with LF alone.
    let text: [UInt8]
    /// Where a CR was left out: places in `text`, each of an LF.
    private let dropped: [Int]
    private let newlines: Int

    /// Looks at a text; nothing is copied where no CR is in it.
    init(_ bytes: [UInt8]) {
        guard let start = ByteSearch.first(ByteSearch.carriageReturn, in: bytes) else {
            (text, dropped, newlines) = (bytes, [], 0)
            return
        }
        var dropped: [Int] = []
        dropped.reserveCapacity(bytes.count / 32)
        text = unsafe [UInt8](unsafeUninitializedCapacity: bytes.count) { view, count in
            unsafe bytes.withUnsafeBytes { raw in
                guard let source = raw.baseAddress, let target = view.baseAddress else { return }
                var copied = 0
                var place = start
                func copy(to end: Int) {
                    unsafe memcpy(target + count, source + copied, end - copied)
                    count += end - copied
                }
                while place < raw.count {
                    if place + 1 < raw.count, unsafe raw[place + 1] == ByteSearch.newline {
                        copy(to: place)
                        dropped.append(count)
                        copied = place + 1
                    }
                    let rest = raw.count - place - 1
                    guard rest > 0, let hit = unsafe memchr(source + place + 1, 0x0D, rest) else { break }
                    place = unsafe UnsafeRawPointer(hit) - source
                }
                copy(to: raw.count)
            }
        }
        self.dropped = dropped
        newlines = ByteSearch.count(ByteSearch.newline, in: text)
    }

    /// Whether every line ends with LF alone.
    var isPlain: Bool { dropped.isEmpty }

    /// A place of `text` in the bytes that it was made from. The place of an LF is that of its CR.
    func original(_ place: Int) -> Int { place + crsBefore(place) }

    /// The original bytes of a piece of `text`.
    func original(_ range: Range<Int>) -> Range<Int> { original(range.lowerBound)..<original(range.upperBound) }

    /// Whether the LF at a place of `text` has a CR in front of it.
    func isCRLF(_ place: Int) -> Bool {
        let index = crsBefore(place)
        return index < dropped.count && dropped[index] == place
    }

    /// Whether most lines end with CRLF.
    var isMostlyCRLF: Bool { dropped.count * 2 > newlines }

    private func crsBefore(_ place: Int) -> Int {
        var low = 0
        var high = dropped.count
        while low < high {
            let middle = (low + high) / 2
            if dropped[middle] < place { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// What is put in the place of a piece of `text`, with line ends as the piece has them.
    ///
    /// Lines in common with the piece at its front and back keep their own line ends; others take those of the lines
    /// that they replace, in order; more than those take the last one's. A text without any CRLF gets none, and one
    /// without any line end takes the replacement as it is.
    func ended(_ replacement: [UInt8], like piece: Range<Int>, raw: [UInt8]) -> [UInt8] {
        guard !isPlain else { return ByteSearch.first(ByteSearch.newline, in: text) == nil ? raw : replacement }
        guard ByteSearch.first(ByteSearch.newline, in: replacement) != nil else { return replacement }
        let endings = self.endings(of: piece)
        let table = LineTable(replacement)
        let ends = ByteSearch.count(ByteSearch.newline, in: replacement)
        let old = LineTable(text, piece)
        var front = 0
        while front < min(ends, endings.count),
            ByteSearch.equal(text, old.content(front), replacement, table.content(front))
        { front += 1 }
        var back = 0
        let sameTail = ByteSearch.equal(
            text, (old.count > endings.count ? old.starts[endings.count] : piece.upperBound)..<piece.upperBound,
            replacement, (table.count > ends ? table.starts[ends] : replacement.count)..<replacement.count)
        while sameTail, back < min(ends, endings.count) - front,
            ByteSearch.equal(
                text, old.content(endings.count - 1 - back), replacement, table.content(ends - 1 - back))
        { back += 1 }
        let fallback = endings.last ?? surrounding(piece)
        var result: [UInt8] = []
        result.reserveCapacity(replacement.count + ends)
        for line in 0..<table.count {
            result.append(contentsOf: replacement[table.content(line)])
            guard line < ends else { continue }
            let fromBack = ends - 1 - line
            let isCRLF: Bool
            if line < front {
                isCRLF = endings[line]
            } else if fromBack < back {
                isCRLF = endings[endings.count - 1 - fromBack]
            } else {
                let middle = endings.dropFirst(front).dropLast(back)
                isCRLF =
                    line - front < middle.count
                    ? middle[line] : middle.last ?? (front > 0 ? endings[front - 1] : fallback)
            }
            if isCRLF { result.append(ByteSearch.carriageReturn) }
            result.append(ByteSearch.newline)
        }
        return result
    }

    private func endings(of piece: Range<Int>) -> [Bool] {
        var endings: [Bool] = []
        var place = piece.lowerBound
        while let next = ByteSearch.first(ByteSearch.newline, in: text, from: place, to: piece.upperBound) {
            endings.append(isCRLF(next))
            place = next + 1
        }
        return endings
    }

    /// The line end behind a piece, else the one in front of it.
    private func surrounding(_ piece: Range<Int>) -> Bool {
        if let next = ByteSearch.first(ByteSearch.newline, in: text, from: piece.upperBound) { return isCRLF(next) }
        return isMostlyCRLF
    }

    /// A text with its CRLF made LF.
    static func plain(_ bytes: [UInt8]) -> [UInt8] { LineView(bytes).text }
}
