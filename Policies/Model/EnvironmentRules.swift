/// `[env]`: which of the caller's variables enter the jail.
public struct EnvironmentRules: Sendable, Equatable {
    /// What enters without being named.
    public enum Inheritance: String, CaseIterable, Sendable, Hashable {
        /// Nothing.
        case none
        /// Everything.
        case all
    }

    /// What enters without being named.
    public var inherit = Inheritance.none
    /// Globs of names that enter.
    public var pass: [String] = []
    /// Variables that the policy sets; they win over the caller's.
    public var set: [String: String] = [:]
    /// Where the policy sets them.
    public var setLocations: [String: SourceLocation] = [:]
    /// Globs of names whose values are replaced wherever output leaves. The variables themselves stay.
    public var mask: [String] = []

    /// Rules by which nothing enters.
    public init() {}

    /// The rules, ready to be held against many names.
    public func matcher() -> Matcher { Matcher(self) }

    /// The rules with their patterns read.
    public struct Matcher: Sendable {
        private let inheritsAll: Bool
        private let pass: [Glob]
        private let mask: [Glob]
        private let masksEverything: Bool

        fileprivate init(_ rules: EnvironmentRules) {
            inheritsAll = rules.inherit == .all
            pass = rules.pass.compactMap { try? Glob($0) }
            mask = rules.mask.compactMap { try? Glob($0) }
            // A pattern that cannot be read, which no loaded policy has, masks everything.
            masksEverything = mask.count < rules.mask.count
        }

        /// Whether a variable of the caller enters.
        public func passes(_ name: String) -> Bool { inheritsAll || pass.contains { $0.matches(name) } }

        /// Whether the value of a variable is replaced in output.
        public func masks(_ name: String) -> Bool { masksEverything || mask.contains { $0.matches(name) } }
    }
}

/// Checks the name of a variable: letters, digits and `_`, not starting with a digit (POSIX, 8.1).
func checkVariableName(_ name: String) throws(InvalidValue) {
    let valid = name.utf8.enumerated().allSatisfy { index, byte in
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): index > 0
        default: false
        }
    }
    guard valid, !name.isEmpty else {
        throw InvalidValue(
            "\(quoted(name)) is not the name of a variable", remedy: "use letters, digits and `_`, no digit first")
    }
}

/// Checks the value of a variable: any text that can be given to execve(2).
func checkVariableValue(_ value: String, of name: String) throws(InvalidValue) {
    guard !value.utf8.contains(0) else { throw InvalidValue("the value of \(quoted(name)) contains a NUL byte") }
}
