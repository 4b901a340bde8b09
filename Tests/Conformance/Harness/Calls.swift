// The few system calls that tests make themselves, without pointers.
import Glibc

enum Calls {
    static func open(_ path: String, _ flags: Int32) -> Int32 { unsafe Glibc.open(path, flags | O_CLOEXEC) }

    static func changeMode(_ path: String, _ mode: mode_t) { _ = unsafe chmod(path, mode) }

    /// Of the name itself, should it be a link.
    static func changeOwner(_ path: String, _ owner: uid_t) { _ = unsafe lchown(path, owner, owner) }

    /// Whether it was made.
    static func makeDirectory(_ path: String) -> Bool { unsafe mkdir(path, 0o755) == 0 }

    static func makeFifo(_ path: String) { _ = unsafe mkfifo(path, 0o666) }

    static func makeLink(_ path: String, to existing: String) { _ = unsafe link(existing, path) }

    /// nil when there is nothing of that name; a link is not followed.
    static func status(_ path: String) -> stat? {
        var status = stat()
        return unsafe lstat(path, &status) == 0 ? status : nil
    }

    /// A directory with a unique name.
    static func temporaryDirectory(_ prefix: String) -> String? {
        var template = Array((prefix + ".XXXXXX").utf8CString)
        let made = unsafe template.withUnsafeMutableBufferPointer { buffer in
            unsafe buffer.baseAddress.map { unsafe mkdtemp($0) != nil } ?? false
        }
        return made ? String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }
}
