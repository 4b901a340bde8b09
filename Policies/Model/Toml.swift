import CToml

// A parsed TOML file in Swift's own values. This is the only file that touches memory of the C library.

package struct TomlNode {
    package enum Kind: Equatable {
        case table, array, dateTime
        case string(String)
        case integer(Int64)
        case real(Double)
        case boolean(Bool)
    }

    package let kind: Kind
    package let location: SourceLocation
    /// Empty for the root and for elements of arrays.
    package let key: String
    package let keyLocation: SourceLocation
    /// Where the children of a table or an array lie in ``TomlDocument/nodes``.
    package let children: Range<Int>

    /// The kind with its article, for messages.
    var kindName: String {
        switch kind {
        case .table: "a table"
        case .array: "an array"
        case .dateTime: "a date or time"
        case .string: "a string"
        case .integer: "an integer"
        case .real: "a float"
        case .boolean: "a boolean"
        }
    }
}

package struct TomlDocument {
    /// The root table is the first. Flat, so that no depth of nesting can exhaust the stack.
    package let nodes: [TomlNode]

    /// - Throws: the parser's complaint; it stops at the first.
    package init(_ bytes: [UInt8], file: String) throws(PolicyError) {
        let parsed = unsafe bytes.withUnsafeBufferPointer { buffer in
            unsafe ctoml_parse(buffer.baseAddress, buffer.count)
        }
        guard let document = unsafe parsed else {
            throw PolicyError(diagnostics: [
                Diagnostic(location: nil, message: "no memory to read \(printable(file))")
            ])
        }
        defer { unsafe ctoml_free(document) }

        if let message = unsafe ctoml_error(document) {
            let location = unsafe SourceLocation(
                file: file, line: Int(ctoml_error_line(document)), column: Int(ctoml_error_column(document)))
            throw PolicyError(diagnostics: [
                Diagnostic(location: location, message: unsafe "invalid TOML: " + printable(String(cString: message)))
            ])
        }
        // SAFETY: nodes and their texts live until ctoml_free; everything is copied out here.
        let raw = unsafe UnsafeBufferPointer(start: ctoml_nodes(document), count: ctoml_node_count(document))
        nodes = unsafe raw.map { unsafe TomlNode($0, file: file) }
    }

    package var root: TomlNode { nodes[0] }

    package func children(of node: TomlNode) -> ArraySlice<TomlNode> { nodes[node.children] }
}

extension TomlNode {
    fileprivate init(_ node: ctoml_node, file: String) {
        key = unsafe String(node.key)
        keyLocation = unsafe SourceLocation(file: file, line: Int(node.key_line), column: Int(node.key_column))
        location = unsafe SourceLocation(file: file, line: Int(node.line), column: Int(node.column))
        children = unsafe node.first_child..<(node.first_child + node.child_count)
        kind =
            switch unsafe node.type {
            case .CTOML_TABLE: .table
            case .CTOML_ARRAY: .array
            case .CTOML_STRING: .string(unsafe String(node.text))
            case .CTOML_INTEGER: .integer(unsafe node.integer)
            case .CTOML_FLOAT: .real(unsafe node.real)
            case .CTOML_BOOLEAN: .boolean(unsafe node.boolean)
            case .CTOML_DATE_TIME: .dateTime
            }
    }
}

extension String {
    fileprivate init(_ text: ctoml_text) {
        unsafe self.init(decoding: UnsafeRawBufferPointer(start: text.bytes, count: text.count), as: UTF8.self)
    }
}
