// Reading one table of a policy: every key is taken by name and converted, and everything wrong is collected.

/// Everything found wrong so far, in all files.
package final class Findings {
    /// A megabyte of hostile text can hold hundreds of thousands of mistakes; nobody reads that many.
    private static let maximum = 1000

    package private(set) var diagnostics: [Diagnostic] = []

    package init() {}

    package func report(_ message: String, at location: SourceLocation?, remedy: String? = nil) {
        guard diagnostics.count < Self.maximum else { return }
        diagnostics.append(Diagnostic(location: location, message: message, remedy: remedy))
    }

    func report(_ complaint: InvalidValue, at location: SourceLocation?) {
        report(complaint.message, at: location, remedy: complaint.remedy)
    }

    func report(_ error: PolicyError) { diagnostics += error.diagnostics }
}

package struct TableReader {
    /// What turns a node into a value, or says why it cannot.
    package typealias Conversion<Value> = (TomlNode) throws(InvalidValue) -> Value

    package let document: TomlDocument
    package let node: TomlNode
    /// As in `[network]`; empty for the root.
    package let path: String
    package let findings: Findings

    /// - Parameter keys: every key that the table may have; any other is reported. Nil when all may be.
    package init(_ node: TomlNode, of document: TomlDocument, path: String, keys: [String]?, findings: Findings) {
        self.document = document
        self.node = node
        self.path = path
        self.findings = findings
        guard let keys else { return }
        for entry in entries where !keys.contains(entry.key) {
            findings.report(
                "unknown key \(quoted(entry.key))" + (path.isEmpty ? "" : " in `[\(path)]`"), at: entry.keyLocation,
                remedy: suggestion(for: entry.key, in: keys))
        }
    }

    package var entries: ArraySlice<TomlNode> { document.children(of: node) }

    /// The value of a key, or nil when it is not there.
    package func entry(_ key: String) -> TomlNode? { entries.first { sameBytes($0.key, key) } }

    /// A table in this one, or nil when it is not there or is no table.
    package func table(_ key: String, keys: [String]?) -> TableReader? {
        guard let entry = entry(key) else { return nil }
        guard entry.kind == .table else {
            findings.report(
                "`\(name(key))` must be a table, not \(entry.kindName)", at: entry.location,
                remedy: "write `[\(name(key))]`")
            return nil
        }
        return TableReader(entry, of: document, path: name(key), keys: keys, findings: findings)
    }

    /// Reads a value if the key is there, leaving `target` alone otherwise.
    func read<Value>(_ key: String, into target: inout Located<Value>, _ convert: Conversion<Value>) {
        if let value = read(key, convert) { target = value }
    }

    /// Reads a value if the key is there, leaving `target` alone otherwise.
    func read<Value>(_ key: String, into target: inout Located<Value>?, _ convert: Conversion<Value>) {
        if let value = read(key, convert) { target = value }
    }

    package func read<Value>(_ key: String, _ convert: Conversion<Value>) -> Located<Value>? {
        entry(key).flatMap { self.convert($0, name: name(key), convert) }
    }

    /// Reads an array; elements that cannot be read are reported and left out. Nil when the key is not there.
    package func list<Value>(_ key: String, _ convert: Conversion<Value>) -> [Located<Value>]? {
        guard let entry = entry(key) else { return nil }
        guard entry.kind == .array else {
            findings.report(
                "`\(name(key))` must be an array, not \(entry.kindName)", at: entry.location,
                remedy: "write the values between `[` and `]`")
            return nil
        }
        return document.children(of: entry).compactMap { self.convert($0, name: name(key), convert) }
    }

    /// `network.mode` for the key `mode` of `[network]`.
    package func name(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// Converts a node, or reports why it cannot be.
    func convert<Value>(_ node: TomlNode, name: String, _ convert: Conversion<Value>) -> Located<Value>? {
        do throws(InvalidValue) {
            return Located(try convert(node), at: node.location)
        } catch {
            findings.report("`\(name)`: \(error.message)", at: node.location, remedy: error.remedy)
            return nil
        }
    }
}
