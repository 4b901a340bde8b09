// Where the paths of a plan are in the root that is being made.
//
// A path is taken apart into the directory that it is in and its last name. The directory is reached through no
// symbolic link (openat2(2)), since parts of the tree come from images and workspaces, whose links may point anywhere
// (CVE-2025-31133); a single name in it, taken with O_NOFOLLOW or made with O_EXCL, leads nowhere else. The last
// directory is kept open: most steps of a plan are about the same one as the step before.
internal import Linux

/// The directories and names of a new root.
struct RootPlaces: ~Copyable {
    /// The root's own directory; kept until the process ends.
    let root: Int32
    private var directory: Descriptor?
    private var directoryPath: [UInt8] = []

    private static let slash = UInt8(ascii: "/")

    init(root: Int32) { self.root = root }

    /// A directory's descriptor and a name in it; "." for the root itself.
    struct Place {
        var directory: Int32
        var name: [UInt8]
    }

    /// The place of a path whose directory is there.
    mutating func locate(_ path: [UInt8]) throws(Errno) -> Place {
        let (above, name) = Self.split(path)
        guard !above.isEmpty else { return Place(directory: root, name: name) }
        if directory == nil || directoryPath != above {
            directory = try open(
                bytes: above, [.path, .directory], beneath: root, resolve: [.inRoot, .noSymlinks, .noMagicLinks])
            directoryPath = above
        }
        return Place(directory: directory.read { $0.raw } ?? root, name: name)
    }

    /// The place of a path whose directory is made where it is missing.
    mutating func prepare(_ path: [UInt8]) throws(Errno) -> Place {
        do throws(Errno) { return try locate(path) } catch {
            guard error == .noEntry else { throw error }
        }
        let (above, _) = Self.split(path)
        try makeDirectory(above)
        return try locate(path)
    }

    /// Makes a directory, and those above it; one that is there already stays as it is.
    mutating func makeDirectory(_ path: [UInt8]) throws(Errno) {
        let place = try prepare(path)
        do throws(Errno) { try Linux.makeDirectory(bytes: place.name, mode: 0o755, in: place.directory) } catch {
            guard error == .exists else { throw error }
        }
    }

    /// Opens what is at a path now: the topmost mount, or a link itself.
    mutating func find(_ path: [UInt8]) throws(Errno) -> Descriptor {
        let place = try locate(path)
        return try open(bytes: place.name, [.path, .noFollow], at: place.directory)
    }

    /// Something was mounted at a path: what was open beneath it is hidden now.
    mutating func mounted(at path: [UInt8]) {
        let stripped = Self.stripped(path)
        guard directoryPath.starts(with: stripped) else { return }
        directory = nil
        directoryPath = []
    }

    private static func stripped(_ path: [UInt8]) -> ArraySlice<UInt8> {
        var rest = path[...]
        while rest.first == slash { rest = rest.dropFirst() }
        while rest.last == slash { rest = rest.dropLast() }
        return rest
    }

    private static func split(_ path: [UInt8]) -> (above: [UInt8], name: [UInt8]) {
        let path = stripped(path)
        guard !path.isEmpty else { return ([], [UInt8(ascii: ".")]) }
        guard let last = path.lastIndex(of: slash) else { return ([], Array(path)) }
        return (Array(path[..<last]), Array(path[(last + 1)...]))
    }
}
