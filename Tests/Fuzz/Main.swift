// fuzz: libFuzzer on what reads hostile bytes: the command analyser with the engine behind it, the policy loader, and the
// supervisor's wire.
//
// usage: fuzz commands|policies|wire [LIBFUZZER OPTION…]. Built by .ci/fuzz alone, with coverage and AddressSanitizer.
internal import CFuzzer
internal import Glibc
internal import PolicyDecision
internal import PolicyModel
internal import Wire

/// What a target does with some bytes; a trap or a report of a sanitizer is a finding.
private typealias Target = @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32

private let commands: Target = { bytes, count in
    let text = unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
    for engine in Engines.all {
        let verdict = engine.judge(CommandRequest(.string(text), workspace: "/work/tree"))
        // What was executed without a shell must be what the string says, so it cannot be empty.
        precondition(!verdict.evidence.isEmpty && verdict.argv?.isEmpty != true)
        if let command = verdict.command {
            // What is written anew for bash must be judged alike, and need no second rewrite of its words.
            let again = engine.judge(CommandRequest(.string(Array(command.utf8)), workspace: "/work/tree"))
            // The second parser's time is by the clock, which goes on while the machine stands still.
            precondition(
                again.opaque == nil || again.opaque == "it takes too long to parse",
                "a rewritten command cannot be analysed")
        }
    }
    return 0
}

private let policies: Target = { bytes, count in
    let text = unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
    guard let policy = try? Policy.load("fuzz.toml", reader: { (_) throws(FileReadFailure) in text }) else { return 0 }
    // One form: what it prints loads to the same.
    let printed = policy.description
    let again = try? Policy.load("fuzz.toml") { (_) throws(FileReadFailure) in Array(printed.utf8) }
    precondition(again?.description == printed, "a policy is not what it prints")
    guard let engine = try? Engine([Tier(.session, policy)]) else { return 0 }
    _ = engine.judge(CommandRequest(.string(Array("ls -la | grep x > out".utf8)), workspace: "/work/tree"))
    _ = try? policy.lint()
    _ = policy.exposure()
    _ = policy.changes(to: policy)
    return 0
}

private let wire: Target = { bytes, count in
    let text = unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
    if let value = try? JsonValue(parsing: text) {
        // What is written is read again as the same.
        precondition((try? JsonValue(parsing: value.serialized.utf8)) == value, "a value is not what it is written as")
    }
    if case .success(let message) = RpcMessage.parse(text) {
        guard case .success = RpcMessage.parse(message.encoded) else {
            preconditionFailure("a message is not what it is written as")
        }
    }
    precondition(base64Decoded(base64(text)) == text, "bytes are not what they are written as")
    if let bytes = base64Decoded(String(decoding: text, as: UTF8.self)) {
        precondition(Array(base64(bytes).utf8) == text, "there are two ways to write the same bytes")
    }
    var decoder = FrameDecoder(longest: 512)
    var rest = text[...]
    while let first = rest.first {
        // Pieces of all sizes.
        let piece = rest.prefix(Int(first % 13) + 1)
        rest = rest.dropFirst(piece.count)
        decoder.append(piece)
        var isMore = true
        while isMore {
            do throws(FrameError) {
                guard let frame = try decoder.next() else {
                    isMore = false
                    continue
                }
                precondition(frame.payload.count <= 512)
                if frame.kind == .control { _ = try? JsonValue(parsing: frame.payload) }
            } catch {}
        }
    }
    return 0
}

private enum Engines {
    static let all: [Engine] = ["unconfined-command", "agent"].compactMap { name in
        guard let policy = try? Policy.load("preset:\(name)", reader: { (_) throws(FileReadFailure) in throw .missing })
        else {
            return nil
        }
        return try? Engine([Tier(.session, policy)])
    }
}

@main
struct Fuzz {
    static func main() {
        let name = CommandLine.arguments.dropFirst().first
        let target: Target
        switch name {
        case "commands": unsafe target = commands
        case "policies": unsafe target = policies
        case "wire": unsafe target = wire
        default:
            print("usage: fuzz commands|policies|wire [LIBFUZZER OPTION…]")
            exit(2)
        }
        precondition(Engines.all.count == 2)
        // libFuzzer takes the program's own arguments, without the name of the target.
        var count = CommandLine.argc - 1
        var arguments = unsafe CommandLine.unsafeArgv
        unsafe arguments[1] = arguments[0]
        unsafe arguments += 1
        exit(unsafe LLVMFuzzerRunDriver(&count, &arguments, target))
    }
}
