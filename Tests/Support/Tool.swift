// Running the release binary, as a person would.
import Foundation

/// The repository, found from this file.
public let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

/// The release binary.
public let cordon = repository + "/.build/release/cordon"

/// What came of a program.
public struct Finished {
    /// Its exit status.
    public var status: Int32
    /// What it printed.
    public var output: String
    /// What it complained.
    public var errors: String
}

/// Runs a program to its end.
public func execute(
    _ words: [String], environment: [String: String] = [:], directory: String = "/tmp", input: String? = nil
) throws -> Finished {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = words
    process.currentDirectoryURL = URL(fileURLWithPath: directory)
    process.environment = ["PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root", "LANG": "C.UTF-8"]
        .merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    if let input {
        // Short enough for a pipe's buffer.
        let pipe = Pipe()
        pipe.fileHandleForWriting.write(Data(input.utf8))
        try pipe.fileHandleForWriting.close()
        process.standardInput = pipe
    }
    let output = Pipe(), errors = Pipe()
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    // Neither of the two fills a pipe that the other keeps from being read: errors are few.
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let errorText = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return Finished(status: process.terminationStatus, output: text, errors: errorText)
}
