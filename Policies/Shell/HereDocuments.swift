// Here-documents: text behind the line that announces it, up to a line that is the delimiter.

/// One whose body is still to come.
struct HereDocument {
    var delimiter: [UInt8]
    /// Whether the delimiter was quoted: then nothing in the body is expanded.
    var isLiteral: Bool
    var stripsTabs: Bool
    var range: ShellRange
    /// Where its token is.
    var index: Int
}

extension ShellScanner {
    mutating func hereDocument(stripsTabs: Bool, from start: Int) throws(OpaqueCommand) {
        while peek() == UInt8(ascii: " ") || peek() == UInt8(ascii: "\t") { at += 1 }
        let count = tokens.count
        guard let byte = peek(), ![UInt8(ascii: "<"), UInt8(ascii: ">")].contains(byte) else {
            throw opaque("a here-document without a delimiter")
        }
        try word()
        guard tokens.count == count + 1, let delimiter = tokens.popLast(), delimiter.kind == .word,
            !delimiter.text.isEmpty, !delimiter.text.utf8.contains(UInt8(ascii: "\n")),
            !delimiter.needsBash
        else { throw opaque("a here-document without a delimiter") }
        let text = Array(delimiter.text.utf8), range = delimiter.range
        if delimiter.isQuoted, range.count == text.count + 2, !text.contains(UInt8(ascii: "'")) {
            // One pair of quotes somewhere. The second parser knows them only around the whole.
            plain.replaceSubrange(range, with: [UInt8(ascii: "'")] + text + [UInt8(ascii: "'")])
        }
        documents.append(
            HereDocument(
                delimiter: text, isLiteral: delimiter.isQuoted, stripsTabs: stripsTabs, range: start..<at, index: count)
        )
        tokens.append(ShellToken(kind: .hereDocument, range: start..<at))
    }

    /// The bodies of the documents that the line announced.
    mutating func readDocuments() throws(OpaqueCommand) {
        let announced = documents
        documents = []
        var bodies: [ShellRange] = []
        for document in announced {
            let start = at
            while true {
                guard at < bytes.count else {
                    throw OpaqueCommand("a here-document without an end", at: document.range)
                }
                let end = bytes[at...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
                var line = bytes[at..<end]
                if document.stripsTabs { line = line.drop { $0 == UInt8(ascii: "\t") } }
                let isEnd = line.elementsEqual(document.delimiter)
                // Inside of a substitution bash ends a document at `E … )` too.
                if !isEnd, depth > 0, line.starts(with: document.delimiter) {
                    throw opaque("a line that may end a here-document")
                }
                if !isEnd { try readLine(at..<end, of: document) }
                at = min(end + 1, bytes.count)
                if isEnd { break }
            }
            bodies.append(start..<at)
        }
        // The second parser misreads much of what may stand behind `<<E` in its line. Where nothing is computed it need not see
        // the documents at all: to it they are redirections from files.
        if announced.contains(where: { tokens[$0.index].isComputed }) { return }
        for (document, body) in zip(announced, bodies) {
            let operation = bytes[document.range].firstIndex(of: UInt8(ascii: "<")) ?? document.range.lowerBound
            hide((operation + 1)..<document.range.upperBound)
            for index in body where plain[index] != UInt8(ascii: "\n") { plain[index] = UInt8(ascii: " ") }
        }
    }

    private mutating func readLine(_ range: ShellRange, of document: HereDocument) throws(OpaqueCommand) {
        if !document.isLiteral, try readExpansions(in: range, of: document) { return }
        // Text, and no more: the second parser, which misreads escapes there, need not see it.
        hide(range)
    }

    /// In a body whose delimiter is not quoted, everything but a backslash in front keeps an expansion from happening.
    ///
    /// - Returns: whether there is any.
    private mutating func readExpansions(
        in range: ShellRange, of document: HereDocument
    ) throws(OpaqueCommand) -> Bool {
        let start = at
        defer { at = start }
        var isComputed = false
        at = range.lowerBound
        while at < range.upperBound {
            switch bytes[at] {
            case UInt8(ascii: "\\"):
                // At the end of a line it joins the next one, which then may be the delimiter, or not.
                if at + 1 == range.upperBound { throw opaque("a continued line in a here-document") }
                at += 1
            case UInt8(ascii: "`"): throw opaque("a command substitution in backquotes")
            case UInt8(ascii: "$"):
                // At the end of a line it stands for itself.
                guard at + 1 < range.upperBound else { break }
                guard let expansion = try expansion(inQuotes: true) else { break }
                // dash looks for the delimiter outside of substitutions only, bash everywhere.
                guard at < range.upperBound else {
                    throw OpaqueCommand("a substitution of several lines in a here-document", at: range)
                }
                isComputed = true
                if let substitution = expansion.substitution {
                    tokens[document.index].substitutions.append(substitution)
                }
            default: break
            }
            at += 1
        }
        if isComputed { tokens[document.index].isComputed = true }
        return isComputed
    }
}
