// A command string → everything that it could run, or the reason why that cannot be said.

/// Analyses a string as `bash --noprofile --norc -c` would run it. No byte of it is executed or expanded.
///
/// Two readings must agree: this module's own, which knows little and refuses the rest, and that of tree-sitter-bash.
///
/// - Throws: `OpaqueCommand` for whatever is not static, not known, or not read alike. A parse error is opaque too: bash
///   runs the lines in front of one.
public func analyse(_ command: [UInt8]) throws(OpaqueCommand) -> ShellProgram {
    let scan = try ShellScanner.scan(command)
    let reading = try ShellParser.parse(scan.tokens)
    guard try SyntaxTree(reading.withFewPipes(scan.plain)).agrees(with: reading) else {
        throw OpaqueCommand("two parsers read it differently", at: 0..<command.count)
    }
    return reading.program
}
