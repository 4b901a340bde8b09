/// Where something stands in a policy: lines and columns count from 1, columns in code points.
public struct SourceLocation: Sendable, Hashable, CustomStringConvertible {
    /// The path as it was given, or `preset:NAME`.
    public var file: String
    /// The line, from 1.
    public var line: Int
    /// The column in code points, from 1.
    public var column: Int

    /// A location from its parts.
    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// `file:line:column`, safe to print on a terminal.
    public var description: String { "\(printable(file)):\(line):\(column)" }
}

/// One thing that is wrong with a policy or with a request.
public struct Diagnostic: Sendable, Hashable, CustomStringConvertible {
    /// Where, unless it is about a whole file or about a request.
    public var location: SourceLocation?
    /// What is wrong.
    public var message: String
    /// What to write instead.
    public var remedy: String?

    /// A diagnostic from its parts.
    public init(location: SourceLocation?, message: String, remedy: String? = nil) {
        self.location = location
        self.message = message
        self.remedy = remedy
    }

    /// `file:line:column: message (remedy)`.
    public var description: String {
        let place = location.map { "\($0): " } ?? ""
        let advice = remedy.map { " (\($0))" } ?? ""
        return place + message + advice
    }
}

/// Everything that is wrong with a policy, in the order of the text; never empty.
public struct PolicyError: Error, Sendable, CustomStringConvertible {
    /// What is wrong.
    public var diagnostics: [Diagnostic]

    /// An error from its diagnostics.
    public init(diagnostics: [Diagnostic]) { self.diagnostics = diagnostics }

    /// One diagnostic a line.
    public var description: String { diagnostics.map(\.description).joined(separator: "\n") }
}

/// A text that is not what its place asks for: a size, a duration, a pattern, a user.
public struct InvalidValue: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    public var message: String
    /// What to write instead.
    public var remedy: String?

    /// An error from its parts.
    public init(_ message: String, remedy: String? = nil) {
        self.message = message
        self.remedy = remedy
    }

    /// `message (remedy)`.
    public var description: String { Diagnostic(location: nil, message: message, remedy: remedy).description }
}

/// A value and where it was written.
public struct Located<Value> {
    /// The value.
    public var value: Value
    /// Where; nil for a default and for what a request asked for.
    public var location: SourceLocation?

    /// A value with its location.
    public init(_ value: Value, at location: SourceLocation? = nil) {
        self.value = value
        self.location = location
    }
}

extension Located: Sendable where Value: Sendable {}
extension Located: Equatable where Value: Equatable {}
extension Located: Hashable where Value: Hashable {}
extension Located: CustomStringConvertible {
    /// The value alone.
    public var description: String { "\(value)" }
}
