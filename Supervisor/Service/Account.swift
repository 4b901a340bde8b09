// A user as the machine's own files of accounts have it: passwd(5) and group(5). No name service is asked: what it answers
// may come from elsewhere, and its libraries would run here as root.
internal import Linux

/// An account, and the groups it is in.
struct Account {
    struct Group: Hashable {
        let number: UInt32
        /// nil where no file names it.
        let name: String?
    }

    let user: UInt32
    /// nil where no file names it.
    let name: String?
    /// The primary one first.
    let groups: [Group]
    /// nil where no file names one.
    let home: String?

    /// - Parameters:
    ///   - group: what it is in where no file says so.
    ///   - passwords, members: the contents of passwd(5) and group(5).
    init(_ user: UInt32, group: UInt32, passwords: String, members: String) {
        let line = Self.lines(passwords, fields: 7).first { $0[2].elementsEqual("\(user)".utf8) }
        let name = line.map { String(Substring($0[0])) }
        let primary = line.flatMap { UInt32(Substring($0[3])) } ?? group
        var groups = [Group(number: primary, name: nil)]
        for line in Self.lines(members, fields: 4) {
            guard let number = UInt32(Substring(line[2])), number != .max else { continue }
            let found = Group(number: number, name: String(Substring(line[0])))
            if number == primary {
                groups[0] = found
            } else if let name,
                line[3].split(separator: UInt8(ascii: ",")).contains(where: { $0.elementsEqual(name.utf8) })
            {
                groups.append(found)
            }
        }
        self.user = user
        self.name = name
        self.groups = groups
        home = line.map { String(Substring($0[5])) }.flatMap { $0.utf8.first == UInt8(ascii: "/") ? $0 : nil }
    }

    /// As the files are now.
    ///
    /// - Throws: why one of them cannot be read. Without its name and groups an account could be held for one that a later rule,
    ///   with more rights, is about.
    init(user: UInt32, group: UInt32) throws(Errno) {
        self.init(
            user, group: group, passwords: try Self.contents("/etc/passwd"), members: try Self.contents("/etc/group"))
    }

    /// One of whom nothing is to be known but the number.
    init(numbered user: UInt32) { self.init(user, group: .max, passwords: "", members: "") }

    private static func contents(_ path: String) throws(Errno) -> String {
        do throws(Errno) { return String(decoding: try readFile(path), as: UTF8.self) } catch {
            // One that is not there names nobody.
            if error == .noEntry { return "" }
            throw error
        }
    }

    /// For messages.
    var description: String { name.map { "\($0) (\(user))" } ?? "\(user)" }

    /// The names in a file of accounts or groups.
    static func names(in file: String) -> [String] {
        ((try? readText(file)) ?? "").utf8.split(separator: UInt8(ascii: "\n")).compactMap { line in
            line.split(separator: UInt8(ascii: ":")).first.map { String(Substring($0)) }
        }
    }

    private static func lines(_ text: String, fields: Int) -> [[Substring.UTF8View]] {
        text.utf8.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let parts = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            return parts.count == fields ? parts : nil
        }
    }
}
