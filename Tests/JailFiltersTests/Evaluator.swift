/// A classic BPF machine, as small as seccomp's programs need it (seccomp(2), bpf(4)): so that a verdict
/// can be asked for a million calls without making one.

import JailFilters

/// `struct seccomp_data`, without the instruction pointer.
struct CallData {
    static let x86_64: UInt32 = 0xC000_003E
    static let i386: UInt32 = 0x4000_0003

    var number: UInt32
    var architecture = CallData.x86_64
    var arguments: [UInt64] = []

    /// The 32-bit word at a byte offset; the offsets are those of the kernel's structure, little-endian.
    func word(at offset: UInt32) -> UInt32? {
        switch offset {
        case 0: return number
        case 4: return architecture
        case 16..<64 where offset.isMultiple(of: 4):
            let index = Int(offset - 16) / 8
            let argument = index < arguments.count ? arguments[index] : 0
            return UInt32(truncatingIfNeeded: offset.isMultiple(of: 8) ? argument : argument >> 32)
        default: return nil
        }
    }
}

struct BPFProgram {
    struct Instruction {
        var code: UInt16
        var whenTrue: UInt8
        var whenFalse: UInt8
        var constant: UInt32
    }

    var instructions: [Instruction] = []

    init(_ bytes: [UInt8]) {
        for start in stride(from: 0, to: bytes.count - 7, by: 8) {
            let constant = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[start + 4 + $1]) << UInt32(8 * $1) }
            instructions.append(
                Instruction(
                    code: UInt16(bytes[start]) | UInt16(bytes[start + 1]) << 8, whenTrue: bytes[start + 2],
                    whenFalse: bytes[start + 3], constant: constant))
        }
    }

    /// What the program returns; nil when it does what no valid program does.
    func run(_ data: CallData) -> (verdict: UInt32, steps: Int)? {
        var accumulator: UInt32 = 0
        var index = 0
        var steps = 0
        while index < instructions.count {
            let instruction = instructions[index]
            steps += 1
            index += 1
            let holds: Bool
            switch instruction.code {
            case 0x20:  // LD W ABS
                guard let word = data.word(at: instruction.constant) else { return nil }
                accumulator = word
                continue
            case 0x54:  // ALU AND K
                accumulator &= instruction.constant
                continue
            case 0x05:  // JMP JA
                index += Int(instruction.constant)
                continue
            case 0x06: return (instruction.constant, steps)  // RET K
            case 0x15: holds = accumulator == instruction.constant
            case 0x25: holds = accumulator > instruction.constant
            case 0x35: holds = accumulator >= instruction.constant
            case 0x45: holds = accumulator & instruction.constant != 0
            default: return nil
            }
            index += Int(holds ? instruction.whenTrue : instruction.whenFalse)
        }
        return nil
    }
}

/// Both programs, as the kernel combines them.
struct Stack {
    let arguments: BPFProgram
    let calls: BPFProgram

    init(_ programs: FilterPrograms) {
        arguments = BPFProgram(programs.arguments)
        calls = BPFProgram(programs.calls)
    }

    /// The strictest action, and of equals the one of the program loaded last, which runs first
    /// (kernel/seccomp.c, seccomp_run_filters).
    func verdict(_ data: CallData) -> UInt32? {
        guard let last = calls.run(data)?.verdict, let first = arguments.run(data)?.verdict else { return nil }
        func rank(_ verdict: UInt32) -> Int32 { Int32(bitPattern: verdict & 0xFFFF_0000) }
        return rank(first) < rank(last) ? first : last
    }
}
