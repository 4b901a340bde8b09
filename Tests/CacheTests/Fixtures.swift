// What the tests of the cache share.
import Foundation
import Linux
import TestSupport

@testable import Cache

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

func text(_ bytes: [UInt8]?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

/// A cache with one namespace.
struct OneNamespace {
    let store: CacheStore
    let namespace: CacheNamespace

    init(
        limits: CacheLimits = CacheLimits(), quota: CacheQuota = CacheQuota(), isKept: Bool = false
    ) throws(CacheError) {
        store = CacheStore(limits: limits)
        namespace = try store.open(CacheOwner(user: 1), quota: quota, isKept: isKept, now: 0)
    }
}

/// A directory that goes away.
final class TemporaryDirectory {
    let path: String
    let descriptor: Descriptor

    init() throws {
        path = NSTemporaryDirectory() + "cordon-cache-\(UUID().uuidString)"
        try makeDirectory(path, mode: 0o700)
        descriptor = try Linux.open(path, [.directory])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }

    func contents(_ name: String) -> [UInt8]? {
        FileManager.default.contents(atPath: path + "/" + name).map { Array($0) }
    }

    func write(_ bytes: [UInt8], to name: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path + "/" + name))
    }
}

extension CacheNamespace {
    /// All keys that match, in order, by walking from page to page.
    func allKeys(_ pattern: CachePattern = .all, limit: Int = 1000, examining: Int = 10_000, now: UInt64) -> [String] {
        var found: [String] = []
        var cursor: CacheCursor?
        repeat {
            let page = keys(matching: pattern, after: cursor, limit: limit, examining: examining, now: now)
            found += page.keys.map { String(decoding: $0, as: UTF8.self) }
            cursor = page.next
        } while cursor != nil
        return found.sorted()
    }
}
