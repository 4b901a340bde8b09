// The workspace as a directory descriptor, and the one function that opens beneath it. Nothing else in the tools opens.
public import Linux

/// How symbolic links in a path are treated.
public enum LinkPolicy: Sendable {
    /// Followed, as long as they stay inside the root.
    case followInside
    /// Refused wherever they stand.
    case refuse
    /// Followed inside, but for one at the path's end, which is refused (or with `OpenFlags.path`, opened itself).
    case followButLast
}

/// A directory, with everything beneath it. Paths are bytes, relative to it, and never lead out.
public final class Root: Sendable {
    let directory: Descriptor

    /// Takes an open directory.
    ///
    /// - Throws: `notDirectory` where it is something else.
    public init(owning directory: consuming Descriptor) throws(TreeError) {
        let status: FileStatus
        do throws(Errno) { status = try Linux.status(of: directory.raw) } catch { throw TreeError(error) }
        self.directory = directory
        guard status.isDirectory else { throw .notDirectory }
    }

    /// The root's own number, for calls that take a directory beside a path that was judged. It must not be closed.
    public var raw: Int32 { directory.raw }

    /// The longest path that the kernel takes in one call, without its NUL: PATH_MAX of path_resolution(7).
    static let longestCall = 4095

    /// Opens a path beneath the root. An empty one is the root itself.
    ///
    /// Whatever the path and the links in it say, the file lies beneath the root at the moment of opening: the kernel
    /// sees to it (RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS of openat2(2)), also while somebody renames directories.
    ///
    /// - Parameters:
    ///   - directory: Where the path starts, if not at the root: a directory that was opened beneath the same root.
    ///   - staysOnFileSystem: Whether a mount point on the way is refused, as `outside`.
    public func open(
        _ path: some Collection<UInt8>, _ flags: OpenFlags = .readOnly, mode: UInt32 = 0,
        links: LinkPolicy = .followInside, from directory: Int32? = nil, staysOnFileSystem: Bool = false
    ) throws(TreeError) -> Descriptor {
        if path.first == slash { throw .absolute }
        if path.contains(0) { throw .nul }
        var terminated = path.isEmpty ? [dot] : Array(path)
        if terminated.count > Self.longestCall {
            return try openByHops(terminated, flags, mode, links, directory, staysOnFileSystem)
        }
        terminated.append(0)
        return try openTerminated(
            terminated, at: 0, flags, mode: mode, links: links, from: directory ?? raw,
            staysOnFileSystem: staysOnFileSystem)
    }

    /// The same for the path that starts somewhere in these bytes, not with a slash, and ends with their next NUL.
    func openTerminated(
        _ bytes: [UInt8], at offset: Int, _ flags: OpenFlags, mode: UInt32 = 0, links: LinkPolicy,
        from directory: Int32, staysOnFileSystem: Bool = false
    ) throws(TreeError) -> Descriptor {
        var resolve: Resolution = [.beneath, .noMagicLinks]
        var flags = flags
        if links == .refuse { resolve.insert(.noSymlinks) }
        if links == .followButLast { flags.insert(.noFollow) }
        if staysOnFileSystem { resolve.insert(.noCrossDevice) }
        do throws(Errno) {
            return try Linux.open(
                terminated: bytes, at: offset, flags, mode: mode, beneath: directory, resolve: resolve)
        } catch { throw TreeError(error) }
    }

    /// A path longer than one call takes, piece by piece. `..` and links work only within a piece.
    private func openByHops(
        _ path: [UInt8], _ flags: OpenFlags, _ mode: UInt32, _ links: LinkPolicy, _ start: Int32?,
        _ staysOnFileSystem: Bool
    ) throws(TreeError) -> Descriptor {
        var rest = path[...]
        var here: Descriptor?
        while rest.count > Self.longestCall {
            guard let cut = rest.prefix(Self.longestCall).lastIndex(of: slash) else { throw .tooLong }
            let from = here.read { $0.raw } ?? start ?? raw
            let piece = Array(rest[..<cut])
            here = try open(
                piece, [.path, .directory], links: links == .refuse ? .refuse : .followInside, from: from,
                staysOnFileSystem: staysOnFileSystem)
            rest = rest[cut...].drop { $0 == slash }
        }
        let from = here.read { $0.raw } ?? start ?? raw
        return try open(
            Array(rest), flags, mode: mode, links: links, from: from, staysOnFileSystem: staysOnFileSystem)
    }

    /// Opens a file for reading, and makes sure that it is a regular one: opening a pipe never waits, and what it or a
    /// device holds is never read.
    public func openRegular(_ path: some Collection<UInt8>, links: LinkPolicy = .followInside, from: Int32? = nil)
        throws(TreeError) -> RegularFile
    {
        try RegularFile(try open(path, [.readOnly, .nonBlocking], links: links, from: from))
    }
}

/// A regular file, open for reading.
public struct RegularFile: ~Copyable, Sendable {
    /// The file.
    public let descriptor: Descriptor
    /// Its status when it was opened.
    public let status: EntryStatus

    /// - Throws: `notRegular` where it is something else.
    public init(_ descriptor: consuming Descriptor) throws(TreeError) {
        let status: EntryStatus
        do throws(Errno) { status = try entryStatus(of: descriptor.raw) } catch { throw TreeError(error) }
        guard status.kind == .regular else { throw .notRegular }
        self.descriptor = descriptor
        self.status = status
    }

    /// Gives the descriptor away.
    public consuming func take() -> Descriptor { descriptor }
}

let slash = UInt8(ascii: "/")
let dot = UInt8(ascii: ".")
