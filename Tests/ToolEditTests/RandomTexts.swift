// Random texts and random changes of them, made so that lines repeat and hunks can go astray.
import Foundation
import TestSupport

@testable import ToolEdit

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
func string(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

/// Lines that repeat a lot, and some that do not.
func randomLine(_ random: inout SeededGenerator) -> String {
    switch Int.random(in: 0...9, using: &random) {
    case 0: ""
    case 1: "}"
    case 2: "    }"
    case 3...6: ["a", "b", "c", "d", "  e", "\tf", "-- x", "++ y", "@@ z", "\\ w"].randomElement(using: &random) ?? ""
    default: "line \(Int.random(in: 0...999, using: &random))"
    }
}

func randomLines(_ count: Int, _ random: inout SeededGenerator) -> [String] {
    (0..<count).map { _ in randomLine(&random) }
}

/// A few lines inserted, removed and replaced.
func mutated(_ lines: [String], changes: Int, _ random: inout SeededGenerator) -> [String] {
    var lines = lines
    for _ in 0..<changes {
        let place = Int.random(in: 0...lines.count, using: &random)
        switch Int.random(in: 0...3, using: &random) {
        case 0: lines.insert(randomLine(&random), at: place)
        case 1 where place < lines.count: lines.remove(at: place)
        case 2 where place < lines.count: lines[place] = randomLine(&random)
        case 3 where place < lines.count:
            let end = min(lines.count, place + Int.random(in: 1...4, using: &random))
            lines.replaceSubrange(
                place..<end, with: randomLines(Int.random(in: 0...4, using: &random), &random))
        default: lines.append(randomLine(&random))
        }
    }
    return lines
}

/// A text of lines; the last may have no end, and ends may be CRLF.
func text(_ lines: [String], end: String = "\n", closed: Bool = true) -> [UInt8] {
    bytes(lines.joined(separator: end) + (closed && !lines.isEmpty ? end : ""))
}

/// Many cases in directories of their own, and what two programs make of them, by one shell.
struct Trial {
    let root: URL
    private(set) var count = 0

    init() throws {
        root = FileManager.default.temporaryDirectory.appending(path: "tool-edit-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
    }

    /// A case: a file and a patch of it.
    mutating func add(file: [UInt8]?, patch: [UInt8]) throws {
        let place = root.appending(path: "\(count)")
        for program in ["p", "g"] {
            let folder = place.appending(path: program)
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            if let file { try Data(file).write(to: folder.appending(path: "f")) }
        }
        try Data(patch).write(to: place.appending(path: "patch"))
        count += 1
    }

    /// Runs both programs over all cases.
    func run() throws {
        let script = """
            export GIT_CEILING_DIRECTORIES='\(root.path)' GIT_CONFIG_NOSYSTEM=1 LC_ALL=C
            for case in */; do
                cd "$case/p" && patch -s -f --binary --no-backup-if-mismatch -p1 -i ../patch >../p.log 2>&1
                echo $? >../p.status
                cd ../g && git apply --whitespace=nowarn ../patch >../g.log 2>&1; echo $? >../g.status
                cd ../..
            done
            """
        _ = try execute(["bash", "-c", script], directory: root.path)
    }

    /// What a program left of a case's file; nil where it failed.
    func result(_ index: Int, _ program: String) throws -> [UInt8]?? {
        let place = root.appending(path: "\(index)")
        let status = try String(contentsOf: place.appending(path: "\(program).status"), encoding: .utf8)
        guard status == "0\n" else { return nil }
        guard let data = try? Data(contentsOf: place.appending(path: "\(program)/f")) else { return .some(nil) }
        return .some(Array(data))
    }

    /// What a program complained.
    func log(_ index: Int, _ program: String) -> String {
        (try? String(contentsOf: root.appending(path: "\(index)/\(program).log"), encoding: .utf8)) ?? ""
    }

    func remove() { try? FileManager.default.removeItem(at: root) }
}

/// What we make of a patch of one file `f`: nil where it is refused, `.some(nil)` where the file is gone.
func applied(_ patch: [UInt8], to file: [UInt8]?, _ options: PatchOptions = PatchOptions()) -> [UInt8]?? {
    do {
        let set = try resolvePatch(patch, options: options) { path in
            path == bytes("f") ? file.map { .file(FileSnapshot(bytes: $0)) } ?? .missing : .missing
        }
        return .some(set.changes[0].after?.bytes)
    } catch {
        return error.reason == .empty ? .some(file) : nil
    }
}
