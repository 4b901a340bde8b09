// Reads the ignore files of one directory. It opens only what the caller has seen in the directory, or asks the kernel.
internal import Linux

/// Which of the names that matter a directory has.
struct IgnoreNames: OptionSet {
    var rawValue: UInt8
    static let rg = IgnoreNames(rawValue: 1)
    static let plain = IgnoreNames(rawValue: 2)
    static let git = IgnoreNames(rawValue: 4)
    static let repository = IgnoreNames(rawValue: 8)
    static let all: IgnoreNames = [.rg, .plain, .git, .repository]

    /// The one that a name stands for, if any.
    @unsafe static func of(_ name: UnsafeBufferPointer<UInt8>) -> IgnoreNames {
        guard name.count >= 4, unsafe name[0] == dot else { return [] }
        switch name.count {
        case 4: return unsafe equal(gitName, name) ? .repository : []
        case 7: return unsafe equal(plainName, name) ? .plain : []
        case 9: return unsafe equal(rgName, name) ? .rg : []
        case 10: return unsafe equal(gitignoreName, name) ? .git : []
        default: return []
        }
    }
}

private let gitName = Array(".git".utf8)
private let plainName = Array(".ignore".utf8)
private let rgName = Array(".rgignore".utf8)
private let gitignoreName = Array(".gitignore".utf8)

/// Reads ignore files beneath a root.
struct IgnoreReader: Sendable {
    let root: Root
    let settings: IgnoreSettings

    /// The frame of a directory whose path (empty, or ending with a slash) is given: its own, or the one above where it
    /// has no rules of its own.
    func frame(
        of directory: Int32, path: [UInt8], has names: IgnoreNames, above: IgnoreFrame?, unread: inout Int
    ) -> IgnoreFrame? {
        if names.isEmpty { return above }
        var files = IgnoreFrame.Files()
        if names.contains(.rg), settings.rgIgnore {
            files.rg = rules(rgName, directory, path, .followInside, above, &unread)
        }
        if names.contains(.plain), settings.dotIgnore {
            files.plain = rules(plainName, directory, path, .followInside, above, &unread)
        }
        if names.contains(.git), settings.gitignore {
            // git reads no .gitignore that is a link, since a repository could make it read anything.
            files.git = rules(gitignoreName, directory, path, .followButLast, above, &unread)
        }
        if names.contains(.repository), settings.gitignore || settings.gitExclude,
            let place = try? open(gitName, .path, .followInside, directory, path),
            let status = try? entryStatus(of: place.raw)
        {
            files.isRepository = true
            if settings.gitExclude {
                let common = status.kind == .regular ? commonDirectory(directory, path) : gitName
                if let common {
                    files.exclude = rules(
                        common + Array("/info/exclude".utf8), directory, path, .followInside, above, &unread)
                }
            }
        }
        if files.isEmpty { return above }
        return IgnoreFrame(parent: above, base: path.count, files)
    }

    private func rules(
        _ name: [UInt8], _ directory: Int32, _ path: [UInt8], _ links: LinkPolicy, _ above: IgnoreFrame?,
        _ unread: inout Int
    ) -> IgnoreRules? {
        do throws(TreeError) {
            let file = try RegularFile(try open(name, [.readOnly, .nonBlocking], links, directory, path))
            let size = Int(file.status.size), memory = above?.totalCost ?? 0
            // One small file with many names, one in each of ten thousand levels, is memory all the same.
            guard size <= settings.largestFile, size * 4 + memory <= settings.mostMemory else { throw .tooLong }
            let text: [UInt8]
            do throws(Errno) { text = try file.descriptor.readAll(limit: settings.largestFile) } catch {
                throw TreeError(error)
            }
            guard let rules = IgnoreRules(text, source: path + name) else { return nil }
            guard rules.cost + memory <= settings.mostMemory else { throw .tooLong }
            if rules.isCut { unread += 1 }
            return rules
        } catch {
            // One that is gone, is a directory, or is a link (git's rule) has no rules. Others should have been obeyed.
            if error != .missing && error != .notRegular && error != .link && error != .notDirectory { unread += 1 }
            return nil
        }
    }

    /// Opens what lies in a directory; where a link or `..` leads out of that, but not out of the root, by its path.
    private func open(
        _ name: [UInt8], _ flags: OpenFlags, _ links: LinkPolicy, _ directory: Int32, _ path: [UInt8]
    ) throws(TreeError) -> Descriptor {
        do throws(TreeError) { return try root.open(name, flags, links: links, from: directory) } catch {
            guard error == .outside, !path.isEmpty else { throw error }
            return try root.open(path + name, flags, links: links)
        }
    }

    /// Where a `.git` that is a file leads, as long as that lies beneath the root and is told relatively: a submodule
    /// (gitsubmodules(7)), or a linked worktree, whose `commondir` file leads on (gitrepository-layout(5)).
    private func commonDirectory(_ directory: Int32, _ path: [UInt8]) -> [UInt8]? {
        let lead = Array("gitdir: ".utf8)
        guard let text = line(gitName, directory, path), text.starts(with: lead) else { return nil }
        let place = Array(text.dropFirst(lead.count))
        guard let further = line(place + Array("/commondir".utf8), directory, path) else { return place }
        return further.first == slash ? nil : place + [slash] + further
    }

    private func line(_ name: [UInt8], _ directory: Int32, _ path: [UInt8]) -> [UInt8]? {
        guard
            let file = try? RegularFile(try open(name, [.readOnly, .nonBlocking], .followInside, directory, path)),
            file.status.size <= 8192,
            let text = try? file.descriptor.readAll(limit: 8192)
        else { return nil }
        return Array(text.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") && $0 != 0 })
    }
}
