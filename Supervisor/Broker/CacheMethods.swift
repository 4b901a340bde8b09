// The cache: keys and values of a user, or of one session. Whose namespace it is follows from who asks, never from a word.
internal import Cache
internal import Linux
internal import SupervisorCore
internal import Wire

extension Broker {
    /// Milliseconds on the clock of the cache.
    private var now: UInt64 { monotonicNanoseconds() / 1_000_000 }

    /// The namespace that a request is about: its session's, or its user's.
    private func namespace(_ params: inout Params, of call: Call) throws(RpcError) -> CacheNamespace {
        let user = call.connection.peer.user
        var owner = CacheOwner(user: user)
        if let text = try params.optionalText("session") {
            guard let entry = find(text, user: user) else {
                throw RpcError(.unknownSession, "no session \"\(text)\"", ["session": .string(text)])
            }
            owner = CacheOwner(user: user, session: entry.id)
        }
        if let known = cache.namespace(of: owner) { return known }
        return try caching { () throws(CacheError) in try cache.open(owner, now: now) }
    }

    /// Has what expires collected when it is time.
    private func watchExpiry() {
        guard let next = cache.nextExpiry else { return }
        if let timer = cacheTimer {
            guard next < cacheTimerAt else { return }
            loop.cancel(timer)
        }
        cacheTimerAt = next
        let wait = next - min(next, now)
        cacheTimer = loop.after(milliseconds: wait) { [weak self] in
            guard let self else { return }
            cacheTimer = nil
            cache.collect(now: now)
            watchExpiry()
        }
    }

    private func key(_ params: inout Params) throws(RpcError) -> [UInt8] { try params.bytes("key") }

    func getFromCache(_ call: Call, _ params: inout Params) throws(RpcError) {
        let space = try namespace(&params, of: call)
        let key = try key(&params)
        try params.finish()
        var json = JsonObject()
        if let value = space.get(key, now: now) {
            json.add("found", .bool(true))
            addText(value, as: "value", to: &json)
        } else {
            json.add("found", .bool(false))
        }
        call.answer(json)
    }

    func setInCache(_ call: Call, _ params: inout Params) throws(RpcError) {
        let space = try namespace(&params, of: call)
        let key = try key(&params)
        let value = try params.bytes("value")
        let ttl = try params.optionalCount("ttl_ms", 1...UInt64(Int64.max))
        try params.finish()
        try caching { () throws(CacheError) in try space.set(key, value, timeToLive: ttl, now: now) }
        watchExpiry()
        call.answer([:])
    }

    func deleteFromCache(_ call: Call, _ params: inout Params) throws(RpcError) {
        let space = try namespace(&params, of: call)
        let key = try key(&params)
        try params.finish()
        call.answer(["deleted": .bool(space.delete(key, now: now))])
    }

    func existsInCache(_ call: Call, _ params: inout Params) throws(RpcError) {
        let space = try namespace(&params, of: call)
        let key = try key(&params)
        try params.finish()
        var json: JsonObject = ["exists": .bool(space.exists(key, now: now))]
        switch space.timeToLive(key, now: now) {
        case .milliseconds(let left): json.add("ttl_ms", .count(left))
        case .missing, .unlimited: json.add("ttl_ms", .null)
        }
        call.answer(json)
    }

    private enum Operation: String, CaseIterable { case get, set, delete }

    func manyInCache(_ call: Call, _ params: inout Params) throws(RpcError) {
        let space = try namespace(&params, of: call)
        let operation = try params.choice("operation", Operation.self)
        guard var entries = try params.objects("entries"), entries.count <= 10_000 else {
            throw params.wrong("entries", "must be a list of at most 10,000 objects")
        }
        let ttl = try params.optionalCount("ttl_ms", 1...UInt64(Int64.max))
        try params.finish()
        var keys: [[UInt8]] = [], values: [[UInt8]] = []
        for index in entries.indices {
            keys.append(try entries[index].bytes("key"))
            if operation == .set { values.append(try entries[index].bytes("value")) }
            try entries[index].finish()
        }
        switch operation {
        case .get:
            call.answer([
                "values": .array(
                    space.getMany(keys, now: now).map { value in
                        guard let value else { return .null }
                        var json = JsonObject()
                        addText(value, as: "value", to: &json)
                        return .object(json)
                    })
            ])
        case .set:
            try caching { () throws(CacheError) in
                try space.setMany(
                    zip(keys, values).map { (key: $0, value: $1) }, timeToLive: ttl, now: now)
            }
            watchExpiry()
            call.answer(["set": .number(Int64(keys.count))])
        case .delete: call.answer(["deleted": .number(Int64(space.deleteMany(keys, now: now)))])
        case nil: throw params.wrong("operation", "is missing")
        }
    }

    func keysInCache(_ call: Call, _ params: inout Params) throws(RpcError) {
        let space = try namespace(&params, of: call)
        let glob = try params.optionalBytes("glob"), expression = try params.optionalText("regex")
        let cursor = try params.optionalCount("cursor", 0...UInt64(UInt32.max))
        let limit = try params.optionalCount("limit", 1...1000) ?? 1000
        try params.finish()
        let pattern: CachePattern
        switch (glob, expression) {
        case (nil, nil): pattern = .all
        case (let glob?, nil):
            pattern = .glob(try caching { () throws(CacheError) in try KeyGlob(glob) })
        case (nil, let expression?):
            pattern = .expression(try caching { () throws(CacheError) in try KeyExpression(Array(expression.utf8)) })
        default: throw params.wrong("glob", "and \"regex\" are two ways to say it: give one")
        }
        let page = space.keys(
            matching: pattern, after: cursor.map { CacheCursor(rawValue: UInt32($0)) }, limit: Int(limit), now: now)
        call.answer([
            "keys": .array(
                page.keys.map { key in
                    var json = JsonObject()
                    addText(key, as: "key", to: &json)
                    return .object(json)
                }),
            "next": page.next.map { .number(Int64($0.rawValue)) } ?? .null,
        ])
    }

    func expireInCache(_ call: Call, _ params: inout Params) throws(RpcError) {
        let space = try namespace(&params, of: call)
        let key = try key(&params)
        let ttl = try params.optionalCount("ttl_ms", 1...UInt64(Int64.max))
        try params.finish()
        let isThere = try caching { () throws(CacheError) in try space.expire(key, timeToLive: ttl, now: now) }
        watchExpiry()
        call.answer(["exists": .bool(isThere)])
    }

    func incrementInCache(_ call: Call, _ params: inout Params) throws(RpcError) {
        let space = try namespace(&params, of: call)
        let key = try key(&params)
        let amount = try params.whole("by", or: 1)
        try params.finish()
        let value = try caching { () throws(CacheError) in try space.increment(key, by: amount, now: now) }
        call.answer(["value": .number(value)])
    }

    func compareAndSetInCache(_ call: Call, _ params: inout Params) throws(RpcError) {
        let space = try namespace(&params, of: call)
        let key = try key(&params)
        let expected = try params.optionalBytes("expected")
        let value = try params.bytes("value")
        let ttl = try params.optionalCount("ttl_ms", 1...UInt64(Int64.max))
        try params.finish()
        let isSet = try caching { () throws(CacheError) in
            try space.compareAndSet(key, expected: expected, value, timeToLive: ttl, now: now)
        }
        watchExpiry()
        call.answer(["set": .bool(isSet)])
    }

    func clearCache(_ call: Call, _ params: inout Params) throws(RpcError) {
        let space = try namespace(&params, of: call)
        try params.finish()
        space.clear()
        watchExpiry()
        call.answer([:])
    }

    func cacheStatistics(_ call: Call, _ params: inout Params) throws(RpcError) {
        let space = try namespace(&params, of: call)
        try params.finish()
        let own = space.statistics
        call.answer([
            "entries": .number(Int64(own.entries)), "bytes": .number(Int64(own.bytes)), "hits": .count(own.hits),
            "misses": .count(own.misses), "evictions": .count(own.evictions), "expirations": .count(own.expirations),
            "quota": ["entries": .number(Int64(space.quota.entries)), "bytes": .number(Int64(space.quota.bytes))],
            "kept": .bool(space.isKept),
        ])
    }

    func configureCache(_ call: Call, _ params: inout Params) throws(RpcError) {
        let space = try namespace(&params, of: call)
        let entries = try params.optionalCount("entries", 0...UInt64(cache.limits.entries))
        let bytes = try params.optionalCount("bytes", 0...UInt64(cache.limits.bytes))
        let isKept = try params.optionalFlag("kept")
        try params.finish()
        // What a session has goes with it.
        guard space.owner.session == nil || isKept != true else {
            throw params.wrong("kept", "is for the namespace of a user: that of a session goes with it")
        }
        let quota = CacheQuota(
            entries: entries.map { Int($0) } ?? space.quota.entries, bytes: bytes.map { Int($0) } ?? space.quota.bytes)
        try caching { () throws(CacheError) in
            _ = try cache.open(space.owner, quota: quota, isKept: isKept ?? space.isKept, now: now)
        }
        call.answer([:])
    }

    // MARK: - Over a restart

    private static let snapshotName = "cache.snapshot"

    /// Takes up what was kept. What is damaged is left where it is, and not used.
    func loadCache() {
        guard let directory = records.directory, let place = try? open(directory, [.readOnly, .directory]) else {
            return
        }
        do throws(SnapshotError) {
            try cache.load(from: place.raw, name: Self.snapshotName, now: now, wall: wallMilliseconds())
            watchExpiry()
        } catch {
            if error != .system(.open, .noEntry) {
                records.log.error("the cache's snapshot cannot be loaded", ["why": .string("\(error)")])
            }
        }
    }

    /// Writes what is to be kept; in good order this is the last thing.
    func saveCache() {
        guard let directory = records.directory, let place = try? open(directory, [.readOnly, .directory]) else {
            return
        }
        do throws(SnapshotError) {
            try cache.save(in: place.raw, name: Self.snapshotName, now: now, wall: wallMilliseconds())
        } catch {
            records.log.error("the cache's snapshot cannot be written", ["why": .string("\(error)")])
        }
    }

    func saveCacheNow(_ call: Call, _ params: inout Params) throws(RpcError) {
        try params.finish()
        guard let directory = records.directory else { throw RpcError(.storage, "there is no state directory") }
        let snapshot = cache.snapshot(now: now, wall: wallMilliseconds())
        workers.perform(
            { () -> SnapshotError? in
                do throws(SnapshotError) {
                    let place: Descriptor
                    do throws(Errno) { place = try open(directory, [.readOnly, .directory]) } catch {
                        throw .system(.open, error)
                    }
                    var writer = try SnapshotWriter(snapshot, in: place.raw, name: Self.snapshotName)
                    while try writer.step() {}
                    return nil
                } catch {
                    return error
                }
            },
            then: { error in
                if let error {
                    call.fail(RpcError(.storage, "the cache cannot be written: \(error)"))
                } else {
                    call.answer([:])
                }
            })
    }
}

/// Bytes of the cache, as text where they are.
private func addText(_ bytes: [UInt8], as name: String, to json: inout JsonObject) {
    if let text = String(validating: bytes, as: UTF8.self) {
        json.add(name, .string(text))
    } else {
        json.add(name + "_base64", .string(base64(bytes)))
    }
}

private func caching<Result>(_ body: () throws(CacheError) -> Result) throws(RpcError) -> Result {
    do throws(CacheError) { return try body() } catch {
        let (reason, message): (String, String) =
            switch error {
            case .keyTooLong(let size):
                ("key_too_long", "a key has at most \(CacheLimits.longestKey) bytes, not \(size)")
            case .valueTooLong(let size):
                ("value_too_long", "a value has at most \(CacheLimits.longestValue) bytes, not \(size)")
            case .overQuota(let cost): ("over_quota", "it would cost \(cost) bytes, more than there is room for at all")
            case .invalidTimeToLive: ("invalid_ttl", "a time to live is at least a millisecond")
            case .notANumber: ("not_a_number", "the value is no whole number of 64 bits")
            case .overflow: ("overflow", "the number would need more than 64 bits")
            case .invalidPattern(let why): ("invalid_pattern", "no pattern: \(why)")
            case .dropped: ("dropped", "its session is closed")
            case .tooManyNamespaces: ("too_many_namespaces", "there are too many sessions with a cache")
            case .sessionTooLong: ("session_too_long", "the session's name is too long")
            }
        throw RpcError(.cache, message, ["reason": .string(reason)])
    }
}
