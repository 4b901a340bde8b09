// The second opinion: the tree of tree-sitter-bash, reduced to what is compared with this module's own reading.
//
// This is the only file that touches memory of the C library. A parser that recovers from mistakes, as an editor's does,
// is no judge by itself; but where it sees other commands than we do, one of us is wrong, and the string is opaque.
internal import CTreeSitter
internal import CTreeSitterBash

struct SyntaxTree {
    /// Where the names of commands start.
    private(set) var commandStarts: [Int] = []
    /// Where words of commands start, names included.
    private(set) var wordStarts: [Int] = []
    /// Where command substitutions start.
    private(set) var substitutionStarts: [Int] = []

    private static let redirections: Set<String> = ["file_redirect", "herestring_redirect", "heredoc_redirect"]

    /// Kinds of nodes that mean that something is defined, or computed in a way that is not analysed.
    private static let refused: Set<String> = [
        "process_substitution", "arithmetic_expansion", "variable_assignment", "variable_assignments",
        "function_definition", "c_style_for_statement", "test_command", "declaration_command", "unset_command",
        "translated_string", "brace_expression", "subscript", "array",
    ]

    /// What is longer is not read. The library counts the depth of repetitions in 16 bits: 65,534 braces in a row overflow
    /// them, and it writes behind its memory (libtree-sitter 0.20.7).
    private static let longest = 32_768

    /// Reads a string of UTF-8.
    init(_ bytes: [UInt8]) throws(OpaqueCommand) {
        let whole = 0..<bytes.count
        guard bytes.count <= Self.longest else {
            throw OpaqueCommand("it is longer than the \(Self.longest) bytes that are analysed", at: whole)
        }
        guard let parser = unsafe ts_parser_new() else { throw OpaqueCommand("no memory to parse it", at: whole) }
        defer { unsafe ts_parser_delete(parser) }
        // Hostile text can make a generalised parser slow; nobody's command takes this long.
        unsafe ts_parser_set_timeout_micros(parser, 200_000)
        guard unsafe ts_parser_set_language(parser, tree_sitter_bash()) else {
            throw OpaqueCommand("the grammar does not fit libtree-sitter", at: whole)
        }
        let parsed = unsafe bytes.withUnsafeBytes { raw in
            unsafe ts_parser_parse_string(
                parser, nil, raw.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32(raw.count))
        }
        guard let tree = unsafe parsed else { throw OpaqueCommand("it takes too long to parse", at: whole) }
        defer { unsafe ts_tree_delete(tree) }
        let root = unsafe ts_tree_root_node(tree)
        if unsafe ts_node_has_error(root) { throw OpaqueCommand("a parse error", at: whole) }
        try unsafe walk(root)
    }

    /// Without recursion: nesting is the string's to choose.
    private mutating func walk(_ root: TSNode) throws(OpaqueCommand) {
        var cursor = unsafe ts_tree_cursor_new(root)
        defer { unsafe ts_tree_cursor_delete(&cursor) }
        // Whether each node above is a command: asking the tree for a parent takes a walk from its root.
        var above: [Bool] = []
        while true {
            let isCommand = try unsafe visit(ts_tree_cursor_current_node(&cursor), inCommand: above.last ?? false)
            if unsafe ts_tree_cursor_goto_first_child(&cursor) {
                above.append(isCommand)
                continue
            }
            while unsafe !ts_tree_cursor_goto_next_sibling(&cursor) {
                guard unsafe ts_tree_cursor_goto_parent(&cursor) else { return }
                above.removeLast()
            }
        }
    }

    /// Notes a node, and says whether it is a command.
    private mutating func visit(_ node: TSNode, inCommand: Bool) throws(OpaqueCommand) -> Bool {
        guard unsafe ts_node_is_named(node), let name = unsafe ts_node_type(node) else { return false }
        let kind = unsafe String(cString: name)
        let range = unsafe Int(ts_node_start_byte(node))..<Int(ts_node_end_byte(node))
        if Self.refused.contains(kind) {
            throw OpaqueCommand(
                "a part that is not analysed (" + kind.map { $0 == "_" ? " " : String($0) }.joined() + ")", at: range)
        }
        if kind == "command_substitution" { substitutionStarts.append(range.lowerBound) }
        if kind == "command_name" { commandStarts.append(range.lowerBound) }
        if inCommand, !Self.redirections.contains(kind) { wordStarts.append(range.lowerBound) }
        return kind == "command"
    }

    /// Whether the tree has the same commands with the same words, and computes the same.
    func agrees(with reading: ShellReading) -> Bool {
        commandStarts.sorted() == reading.commandStarts.sorted()
            // The number of a descriptor is a word to it in `cat 0<f`, where to shells it never is.
            && wordStarts.filter { !reading.descriptorStarts.contains($0) }.sorted() == reading.wordStarts.sorted()
            && substitutionStarts.sorted() == reading.substitutionStarts.sorted()
    }
}
