// Comparisons by bytes, beside `sameBytes`: what Unicode calls equal is two things to a shell and to the kernel.
internal import PolicyModel

/// Whether two lists of names or words are one.
func sameNames(_ first: [String], _ second: [String]) -> Bool {
    first.count == second.count && zip(first, second).allSatisfy { sameBytes($0, $1) }
}

/// Whether a text holds another one.
func contains(_ text: String, _ part: String) -> Bool {
    let bytes = Array(text.utf8), wanted = Array(part.utf8)
    return bytes.count >= wanted.count
        && (0...(bytes.count - wanted.count)).contains { bytes[$0...].starts(with: wanted) }
}
