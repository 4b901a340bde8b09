// A regular expression of RE2 over the bytes of keys. This is the only file here that touches memory of the C++
// library.
internal import CRe2

// SAFETY: a compiled RE2 is constant, and matching is thread-safe (re2.h). It is freed with its only owner.

/// An expression of RE2 that must match the whole of a key: linear time, no back references. Keys and expressions are
/// bytes: `.` stands for one byte (but a newline, unless `(?s)`), and a letter beyond ASCII is as many as UTF-8 needs.
@safe public final class KeyExpression: @unchecked Sendable {
    private let pattern: OpaquePointer

    /// Bytes of the longest expression.
    public static let longestPattern = 1024

    /// Compiles an expression.
    ///
    /// - Throws: ``CacheError/invalidPattern(_:)`` with RE2's reason.
    public init(_ expression: [UInt8]) throws(CacheError) {
        guard expression.count <= Self.longestPattern else {
            throw .invalidPattern("an expression has at most 1024 bytes")
        }
        var reason = [CChar](repeating: 0, count: 200)
        let compiled = unsafe expression.withUnsafeBytes { bytes in
            unsafe cre2_compile_bytes(
                bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, &reason, 200)
        }
        guard let compiled = unsafe compiled else {
            throw .invalidPattern(
                String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
        unsafe pattern = compiled
    }

    deinit { unsafe cre2_free(pattern) }

    /// Whether the whole key matches.
    public func matches(_ key: [UInt8]) -> Bool {
        unsafe key.withUnsafeBytes { bytes in
            unsafe cre2_matches(pattern, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
        }
    }
}
