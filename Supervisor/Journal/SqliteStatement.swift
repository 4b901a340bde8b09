// A prepared statement: the only file that holds its C pointer, binds values and reads columns.
internal import CSqlite

/// A value for a parameter.
enum SqliteValue {
    case null
    case integer(Int64)
    case text(String)
    case bytes(ArraySlice<UInt8>)
}

/// Finalised when its owner goes away.
@safe struct SqliteStatement: ~Copyable {
    private let handle: OpaquePointer

    @unsafe init(owning handle: OpaquePointer) { unsafe self.handle = unsafe handle }

    deinit { unsafe sqlite3_finalize(handle) }

    /// Runs it to its end.
    borrowing func run(_ values: SqliteValue...) throws(SqliteError) {
        try rows(values) { _ in true }
    }

    /// Calls for each row, until there is none or the answer is false. It is ready to run again afterwards.
    borrowing func rows(
        _ values: [SqliteValue] = [], _ read: (borrowing SqliteStatement) -> Bool
    ) throws(SqliteError) {
        // The error of a step is told once more by reset, so only the first is looked at. Values stay bound until they
        // are replaced: large ones are let go of at once.
        defer {
            unsafe sqlite3_reset(handle)
            unsafe sqlite3_clear_bindings(handle)
        }
        for (index, value) in values.enumerated() { try bind(value, at: Int32(index + 1)) }
        SqliteConnection.forgetErrno()
        while true {
            let code = unsafe sqlite3_step(handle)
            if code == SQLITE_DONE { return }
            guard code == SQLITE_ROW else { throw failure(code) }
            if !read(self) { return }
        }
    }

    /// A column of the row that is being read.
    borrowing func integer(_ column: Int32) -> Int64 { unsafe sqlite3_column_int64(handle, column) }

    /// A column of the row that is being read; what is not UTF-8 in it is replaced.
    borrowing func text(_ column: Int32) -> String {
        unsafe withBytes(of: column) { unsafe String(decoding: $0, as: UTF8.self) }
    }

    /// A column of the row that is being read.
    borrowing func bytes(_ column: Int32) -> [UInt8] { unsafe withBytes(of: column) { unsafe Array($0) } }

    borrowing func isNull(_ column: Int32) -> Bool { unsafe sqlite3_column_type(handle, column) == SQLITE_NULL }

    private borrowing func withBytes<Result>(
        of column: Int32, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        // The bytes of a text are those of its UTF-8, the database's encoding. The length is asked for after the
        // pointer, since asking for that may convert the value.
        let start = unsafe sqlite3_column_blob(handle, column)
        let count = unsafe sqlite3_column_bytes(handle, column)
        return unsafe body(UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : Int(count)))
    }

    private borrowing func bind(_ value: SqliteValue, at index: Int32) throws(SqliteError) {
        let code: Int32
        switch value {
        case .null: code = unsafe sqlite3_bind_null(handle, index)
        case .integer(let number): code = unsafe sqlite3_bind_int64(handle, index, number)
        case .text(var text):
            code = text.withUTF8 { buffer in
                unsafe buffer.withMemoryRebound(to: CChar.self) {
                    unsafe cordon_sqlite_bind_text(handle, index, $0.baseAddress, UInt64($0.count))
                }
            }
        case .bytes(let bytes):
            code = unsafe bytes.withUnsafeBytes {
                unsafe cordon_sqlite_bind_bytes(handle, index, $0.baseAddress, UInt64($0.count))
            }
        }
        guard code == SQLITE_OK else { throw failure(code) }
    }

    private borrowing func failure(_ code: Int32) -> SqliteError {
        unsafe SqliteConnection.error(sqlite3_db_handle(handle), code)
    }
}
