// A matcher by RE2: linear in the text for one match, and bounded in memory, whatever the pattern.
internal import CRe2

/// A compiled pattern of RE2's syntax, over bytes of UTF-8.
@safe public struct Re2Matcher: ~Copyable {
    private let pattern: OpaquePointer
    /// How many groups the pattern has.
    public let groups: Int

    /// Compiles a pattern. `^` and `$` are those of lines.
    ///
    /// - Throws: `EditError` of reason `badPattern`, with RE2's reason.
    public init(_ text: [UInt8], ignoresCase: Bool = false) throws(EditError) {
        guard text.count <= 1 << 16 else { throw EditError(.badPattern, detail: "longer than 64 KiB") }
        let whole = Array((ignoresCase ? "(?mi)" : "(?m)").utf8) + text
        var reason = [CChar](repeating: 0, count: 200)
        let compiled = unsafe whole.withUnsafeBytes { bytes in
            unsafe cre2_compile(
                bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, &reason, reason.count)
        }
        guard let compiled = unsafe compiled else {
            let words = String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw EditError(.badPattern, detail: words)
        }
        unsafe pattern = compiled
        groups = unsafe Int(cre2_groups(compiled))
    }

    deinit { unsafe cre2_free(pattern) }

    /// The number of a named group, nil where there is none.
    public func group(named name: String) -> Int? {
        let number = unsafe cre2_group(pattern, name)
        return number > 0 ? Int(number) : nil
    }

    /// The next match, as `TextMatcher` has it.
    public func match(_ text: [UInt8], _ from: Int, _ to: Int) -> [Range<Int>?]? {
        guard from >= 0, from <= to, to <= text.count else { return nil }
        var places = [Int](repeating: -1, count: 2 * (groups + 1))
        let count = places.count / 2
        let found = unsafe text.withUnsafeBytes { bytes in
            unsafe places.withUnsafeMutableBufferPointer { places in
                guard let out = places.baseAddress else { return false }
                return unsafe cre2_find(
                    pattern, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, from, to, out, count)
            }
        }
        guard found else { return nil }
        return (0..<count).map { places[2 * $0] < 0 ? nil : places[2 * $0]..<places[2 * $0 + 1] }
    }
}
