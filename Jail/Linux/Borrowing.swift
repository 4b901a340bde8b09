// Looking into an optional owner without taking it: `?.` would consume.

extension Optional where Wrapped: ~Copyable {
    /// The result of `body` on what is there, or nil.
    public borrowing func read<Result, Failure: Error>(
        _ body: (borrowing Wrapped) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        switch self {
        case .some(let wrapped): try body(wrapped)
        case .none: nil
        }
    }
}
