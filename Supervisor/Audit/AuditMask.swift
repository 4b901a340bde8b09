// What must not be in a record, or is too long for one: secret values, and texts without end.
internal import Linux
internal import Wire

extension JsonValue {
    /// With the secrets in each of its texts replaced, longer ones first, since one may be the start of another. Names of
    /// members are the program's own and stay.
    func masked(_ secrets: [[UInt8]]) -> JsonValue {
        switch self {
        case .string(let text): .string(text.masked(secrets))
        case .array(let values): .array(values.map { $0.masked(secrets) })
        case .object(let object): .object(object.map { $0.masked(secrets) })
        case .null, .bool, .number, .count, .real: self
        }
    }

    /// With no text of more than so many bytes, and no array of more elements.
    func shortened(bytes: Int, elements: Int) -> JsonValue {
        switch self {
        case .string(let text): .string(text.shortened(bytes))
        case .array(let values): .array(values.prefix(elements).map { $0.shortened(bytes: bytes, elements: elements) })
        case .object(let object): .object(object.map { $0.shortened(bytes: bytes, elements: elements) })
        case .null, .bool, .number, .count, .real: self
        }
    }
}

extension JsonObject {
    /// With other values in place of its own.
    func map(_ change: (JsonValue) -> JsonValue) -> JsonObject {
        var result = JsonObject()
        for name in names { if let value = self[name] { result.add(name, change(value)) } }
        return result
    }
}

/// Values to look for, as bytes: the longest first.
func secretBytes(_ values: [String]) -> [[UInt8]] {
    values.map(pathBytes).filter { !$0.isEmpty }.sorted { $0.count > $1.count }
}

extension String {
    /// With each secret replaced. Compared are the bytes that the text stands for (`pathBytes`): a secret that is not UTF-8
    /// may come out in other characters beside its neighbours.
    fileprivate func masked(_ secrets: [[UInt8]]) -> String {
        let bytes = pathBytes(self)
        var output: [UInt8] = []
        var index = 0, kept = 0
        while index < bytes.count {
            let rest = bytes[index...]
            guard let secret = secrets.first(where: { rest.first == $0.first && rest.starts(with: $0) }) else {
                index += 1
                continue
            }
            output += bytes[kept..<index]
            output += Array("[masked]".utf8)
            index += secret.count
            kept = index
        }
        // A text that has none stays as it is.
        return kept == 0 ? self : pathText(output + bytes[kept...])
    }

    /// Its start, cut between two characters of Unicode, and an ellipsis.
    func shortened(_ limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var result = ""
        for scalar in unicodeScalars {
            guard result.utf8.count + UTF8.width(scalar) <= limit else { break }
            result.unicodeScalars.append(scalar)
        }
        return result + "…"
    }
}
