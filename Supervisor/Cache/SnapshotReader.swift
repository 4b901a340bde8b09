// Reads a snapshot whose bytes may be anything: all of it is found to be sound before anything is loaded.
internal import Linux

extension CacheStore {
    /// Loads a snapshot into an empty cache: its namespaces are there again, and kept. What expired meanwhile is left
    /// out.
    ///
    /// - Parameters:
    ///   - directory: an open directory.
    ///   - quota: of each namespace, until it is opened with another.
    ///   - longest: the most bytes of a file that is read.
    ///   - now: on the store's clock, in milliseconds.
    ///   - wall: the same moment in milliseconds since 1970. Where that clock went back, a time to live is no longer
    ///     than it was when the snapshot was taken.
    /// - Throws: ``SnapshotError``; then nothing is loaded. A file that is not there is ENOENT.
    public func load(
        from directory: Int32, name: String, quota: CacheQuota = CacheQuota(), longest: Int = 1 << 30, now: UInt64,
        wall: UInt64
    ) throws(SnapshotError) {
        try checkSnapshotName(name)
        let file = try during(.open) { () throws(Errno) in
            // Not through a link; and a pipe must not make the supervisor wait.
            try Linux.open(name, [.readOnly, .noFollow, .nonBlocking], at: directory)
        }
        let status = try during(.read) { () throws(Errno) in try Linux.status(of: file.raw) }
        guard status.isRegular else { throw .damaged }
        guard status.size <= longest else { throw .tooLarge }
        let bytes = try during(.read) { () throws(Errno) in try readWhole(file.raw, limit: longest) }
        try load(bytes, quota: quota, now: now, wall: wall)
    }

    /// Loads a snapshot from its bytes, as ``load(from:name:quota:longest:now:wall:)`` does from a file.
    public func load(
        _ bytes: [UInt8], quota: CacheQuota = CacheQuota(), now: UInt64, wall: UInt64
    ) throws(SnapshotError) {
        guard isEmpty else { throw .notEmpty }
        var reader = SnapshotReader(bytes: bytes, limits: limits, now: now, wall: wall, use: uses)
        try reader.read()
        uses = reader.use
        do throws(CacheError) {
            for part in reader.parts { try restore(part.owner, part.table, quota: quota, now: now) }
        } catch {
            for namespace in all { drop(namespace) }
            throw .tooLarge
        }
    }
}

struct SnapshotReader {
    struct Part {
        let owner: CacheOwner
        var table: Table
    }

    private(set) var parts: [Part] = []
    private(set) var use: UInt64
    private let bytes: [UInt8]
    private let limits: CacheLimits
    private let now: UInt64, wall: UInt64
    private var at = 0
    private var saved: UInt64 = 0
    private var entries: UInt64 = 0
    private var usage = Usage()
    private var namespacesOfUser: [UInt32: Int] = [:]

    init(bytes: [UInt8], limits: CacheLimits, now: UInt64, wall: UInt64, use: UInt64) {
        self.bytes = bytes
        self.limits = limits
        self.now = now
        self.wall = wall
        self.use = use
    }

    mutating func read() throws(SnapshotError) {
        guard try Array(take(SnapshotFormat.magic.count)) == SnapshotFormat.magic else { throw .damaged }
        let version = try number(UInt32.self)
        guard version == SnapshotFormat.version else { throw .version(version) }
        guard bytes.count >= at + 8 else { throw .damaged }
        var checksum = Checksum(SnapshotFormat.checksumKey)
        checksum.add(bytes.dropLast(8))
        var expected: [UInt8] = []
        expected.append(number: checksum.value)
        guard bytes.suffix(8).elementsEqual(expected) else { throw .damaged }

        saved = try number(UInt64.self)
        while true {
            let kind = try number(UInt8.self)
            if kind == SnapshotFormat.end { break }
            switch kind {
            case SnapshotFormat.namespace: try readNamespace()
            case SnapshotFormat.entry: try readEntry()
            default: throw .damaged
            }
        }
        guard try number(UInt64.self) == entries, at == bytes.count - 8 else { throw .damaged }
        guard Set(parts.map(\.owner)).count == parts.count else { throw .damaged }
    }

    private mutating func readNamespace() throws(SnapshotError) {
        let user = try number(UInt32.self)
        let length = try number(UInt16.self)
        var session: [UInt8]?
        if length != SnapshotFormat.noSession {
            guard length <= CacheOwner.longestSession else { throw .damaged }
            session = try Array(take(Int(length)))
        }
        guard parts.count < limits.namespaces, (parts.count + 1) * EntryCost.namespace <= limits.bytes / 2 else {
            throw .tooLarge
        }
        namespacesOfUser[user, default: 0] += 1
        guard namespacesOfUser[user, default: 0] <= limits.namespacesOfUser else { throw .tooLarge }
        parts.append(Part(owner: CacheOwner(user: user, sessionBytes: session), table: Table(seed: .random())))
    }

    private mutating func readEntry() throws(SnapshotError) {
        let keyLength = Int(try number(UInt16.self)), valueLength = Int(try number(UInt32.self))
        let expiry = try number(UInt64.self)
        guard !parts.isEmpty, keyLength <= CacheLimits.longestKey, valueLength <= CacheLimits.longestValue else {
            throw .damaged
        }
        let key = StoredKey(try Array(take(keyLength)))
        let value = try take(valueLength)
        entries += 1
        let last = parts.count - 1
        guard parts[last].table.find(key, parts[last].table.hash(key)) == nil else { throw .damaged }
        var deadline = UInt64.max
        if expiry != 0 {
            guard expiry > saved else { throw .damaged }
            guard expiry > wall else { return }
            deadline = saturatingSum(now, min(expiry - wall, expiry - saved))
        }
        // Counted while it grows: a small file can hold many entries, each of which costs more than its bytes there.
        usage += Usage(
            entries: 1, bytes: EntryCost.of(key: keyLength, value: valueLength, expires: deadline != .max))
        guard usage.entries <= limits.entries, usage.bytes <= limits.bytes else { throw .tooLarge }
        use += 1
        parts[last].table.set(key, Array(value), deadline: deadline, use: use)
    }

    private mutating func take(_ count: Int) throws(SnapshotError) -> ArraySlice<UInt8> {
        guard count <= bytes.count - at else { throw .damaged }
        at += count
        return bytes[(at - count)..<at]
    }

    private mutating func number<Number: FixedWidthInteger & UnsignedInteger>(
        _ type: Number.Type
    ) throws(SnapshotError) -> Number {
        var value: Number = 0
        for (index, byte) in try take(Number.bitWidth / 8).enumerated() {
            value |= Number(byte) << Number(index * 8)
        }
        return value
    }
}
