// A regular expression of RE2. This is the only file that touches memory of the C++ library.
internal import CRe2
internal import PolicyModel

/// An expression that must match the whole of a text.
// SAFETY: a compiled RE2 is constant, and matching is thread-safe (re2.h). It is freed with its only owner.
@safe final class Expression: @unchecked Sendable {
    private let pattern: OpaquePointer

    /// - Throws: ``InvalidValue`` with RE2's reason.
    init(_ text: String) throws(InvalidValue) {
        var reason = [CChar](repeating: 0, count: 200)
        var copy = text
        let compiled = copy.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) {
                unsafe cre2_compile($0.baseAddress, $0.count, &reason, 200)
            }
        }
        guard let compiled = unsafe compiled else {
            let message = String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw InvalidValue("\(quoted(text)) is not an expression of RE2: \(printable(message))")
        }
        unsafe pattern = compiled
    }

    deinit { unsafe cre2_free(pattern) }

    func matches(_ text: String) -> Bool {
        var copy = text
        return copy.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) { unsafe cre2_matches(pattern, $0.baseAddress, $0.count) }
        }
    }
}
