// Compiled seccomp programs, kept between runs: compiling takes longer than starting a jail.
public import JailFilters
internal import Linux

/// Programs by fingerprint: on disk, else compiled. A supervisor keeps those that it uses (`Supervisor.filterFiles`).
///
/// The directory belongs to this user alone and lies outside of what jails may write (`outside(of:)`), or it is
/// not used: whoever can write a filter can weaken it.
public struct FilterStore: Sendable {
    private var directory: String?

    /// - Parameter directory: where programs are kept; nil: nowhere.
    public init(directory: String?) { self.directory = directory }

    /// The place for this user.
    public static func standard(home: String?, cacheHome: String?) -> FilterStore {
        if effectiveUser == 0 { return FilterStore(directory: "/var/cache/cordon/filters") }
        guard let base = cacheHome ?? home.map({ $0 + "/.cache" }) else { return FilterStore(directory: nil) }
        return FilterStore(directory: base + "/cordon/filters")
    }

    /// The same store, or none where its directory lies in a tree that jails may write, or the other way round:
    /// whoever writes there writes the filters of the next run.
    public func outside(of writableTrees: [String]) -> FilterStore {
        guard let directory, let real = existing(directory) else { return self }
        let meets = writableTrees.contains { tree in
            isInside(real, tree) || isInside(tree, real)
        }
        return meets ? FilterStore(directory: nil) : self
    }

    /// The real path of a directory that may not exist yet.
    private func existing(_ path: String) -> String? {
        if let real = try? resolvedPath(path) { return real }
        guard let parent = parentPath(path), !parent.isEmpty, let above = existing(parent) else { return path }
        return above + path[parent.endIndex...]
    }

    /// The two programs for a request, in load order. `name` is its fingerprint, which takes a while to compute.
    public func programs(for request: FilterRequest, named name: String) throws(LaunchFailure) -> [[UInt8]] {
        if let stored = load(name) { return stored }
        do throws(FilterError) {
            let compiled = try compileFilters(request)
            store(compiled, as: name)
            return [compiled.arguments, compiled.calls]
        } catch {
            throw LaunchFailure(
                step: "filters", object: error.object, errno: Errno(rawValue: error.errno),
                remedy: "libseccomp refused: \(error)")
        }
    }

    /// The directory, opened, if it is this user's own and nobody else may write it.
    private func trusted(create: Bool) -> Descriptor? {
        guard let directory else { return nil }
        if create { try? makeDirectories(directory, mode: 0o700) }
        guard let opened = try? open(directory, [.readOnly, .directory, .noFollow]),
            let status = try? status(of: opened.raw), status.isOwnAlone
        else { return nil }
        return opened
    }

    private func load(_ name: String) -> [[UInt8]]? {
        guard let directory = trusted(create: false),
            let file = try? open(
                name, [.readOnly, .noFollow], beneath: directory.raw, resolve: [.beneath, .noSymlinks]),
            let status = try? status(of: file.raw), status.isOwnAlone,
            let bytes = try? file.readAll(limit: 1 << 20)
        else { return nil }
        return Self.unpack(bytes)
    }

    private func store(_ programs: FilterPrograms, as name: String) {
        guard let directory = trusted(create: true) else { return }
        let temporary = name + "." + String(processID)
        guard
            let file = try? open(
                temporary, [.writeOnly, .create, .exclusive], mode: 0o600, beneath: directory.raw,
                resolve: [.beneath, .noSymlinks])
        else { return }
        // A full disk leaves no half program behind: only a complete file gets the name.
        do throws(Errno) {
            try file.writeAll(Self.pack([programs.arguments, programs.calls]))
            try rename(temporary, to: name, in: directory.raw)
        } catch {
            try? unlink(temporary, in: directory.raw)
        }
    }

    private static let magic = Array("cordon-filters-1".utf8)

    private static func pack(_ programs: [[UInt8]]) -> [UInt8] {
        var bytes = magic
        var sum = Checksum()
        for program in programs {
            let length = UInt32(program.count)
            for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: length >> shift)) }
            bytes += program
        }
        sum.add(bytes)
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: sum.value >> shift))
        }
        return bytes
    }

    /// nil for anything but a complete, undamaged file: it is compiled anew.
    private static func unpack(_ bytes: [UInt8]) -> [[UInt8]]? {
        guard bytes.count > magic.count + 8, bytes.starts(with: magic) else { return nil }
        var sum = Checksum()
        sum.add(Array(bytes.dropLast(8)))
        let stored = bytes.suffix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard stored == sum.value else { return nil }
        var programs: [[UInt8]] = []
        var rest = bytes.dropFirst(magic.count).dropLast(8)
        while !rest.isEmpty {
            guard rest.count >= 4 else { return nil }
            let length = Int(rest.prefix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
            rest = rest.dropFirst(4)
            guard rest.count >= length, length > 0, length % 8 == 0 else { return nil }
            programs.append(Array(rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return programs.count == 2 ? programs : nil
    }
}

/// FNV-1a over 64 bits: tells damage, not malice, which the directory's owner keeps out.
private struct Checksum {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325
    mutating func add(_ bytes: [UInt8]) {
        for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }
}
