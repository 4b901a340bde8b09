/// From a plan to BPF, through libseccomp.

internal import CLibseccomp
internal import CLinux

extension ArgumentTest {
    /// The same in libseccomp's terms. For SCMP_CMP_MASKED_EQ, `datum_a` is the mask (seccomp_rule_add(3)).
    var comparison: scmp_arg_cmp {
        switch self {
        case .low(let argument, let value):
            Self.compare(argument, SCMP_CMP_MASKED_EQ, 0xFFFF_FFFF, UInt64(value))
        case .bits(let argument, let mask, let value): Self.compare(argument, SCMP_CMP_MASKED_EQ, mask, value)
        case .not(let argument, let value): Self.compare(argument, SCMP_CMP_NE, value)
        case .above(let argument, let value): Self.compare(argument, SCMP_CMP_GT, value)
        case .exactly(let argument, let value): Self.compare(argument, SCMP_CMP_EQ, value)
        case .anything(let argument): Self.compare(argument, SCMP_CMP_GE, 0)
        }
    }

    private static func compare(_ argument: Int, _ operation: scmp_compare, _ a: UInt64, _ b: UInt64 = 0)
        -> scmp_arg_cmp
    {
        scmp_arg_cmp(arg: UInt32(argument), op: operation, datum_a: a, datum_b: b)
    }
}

/// libseccomp's filter, released at the end.
@safe private struct Filter: ~Copyable {
    private let context: scmp_filter_ctx

    init(_ name: String, otherwise: CallVerdict) throws(FilterError) {
        guard let context = unsafe seccomp_init(otherwise.rawValue) else {
            throw FilterError(step: .create, object: name, errno: ENOMEM)
        }
        unsafe self.context = context
    }

    deinit { unsafe seccomp_release(context) }

    /// Only x86-64, the native architecture, is in the filter; libseccomp tests for x32 by itself.
    func fill(_ plan: FilterPlan) throws(FilterError) {
        try set(SCMP_FLTATR_ACT_BADARCH, to: badArchitecture.rawValue, "bad architecture")
        // 2: a binary tree over the numbers. The kernel runs every program once for each number when it is
        // loaded (kernel/seccomp.c, seccomp_cache_prepare), and a tree makes that several times cheaper.
        try set(SCMP_FLTATR_CTL_OPTIMIZE, to: 2, "optimize")
        // Loading is done elsewhere.
        try set(SCMP_FLTATR_CTL_NNP, to: 0, "no_new_privs")
        for rule in plan.rules { try add(rule) }
    }

    private func set(_ attribute: scmp_filter_attr, to value: UInt32, _ name: String) throws(FilterError) {
        let result = unsafe seccomp_attr_set(context, attribute, value)
        guard result == 0 else { throw FilterError(step: .attribute, object: name, errno: -result) }
    }

    private func add(_ rule: ArgumentRule) throws(FilterError) {
        let number = try callNumber(rule.call)
        let comparisons = rule.tests.map(\.comparison)
        let result = unsafe comparisons.withUnsafeBufferPointer { buffer in
            unsafe seccomp_rule_add_array(
                context, rule.verdict.rawValue, number, UInt32(buffer.count), buffer.baseAddress)
        }
        guard result == 0 else { throw FilterError(step: .rule, object: rule.call, errno: -result) }
    }

    /// The program. Through a memfd and not a pipe: a process that another thread is just spawning holds
    /// copies of all descriptors until its execve, so end-of-file would not come when this side closes.
    func export(_ name: String) throws(FilterError) -> [UInt8] {
        let file = unsafe memfd_create("cordon-filter", UInt32(MFD_CLOEXEC))
        guard file >= 0 else { throw FilterError(step: .file, object: name, errno: lastError()) }
        defer { close(file) }
        let result = unsafe seccomp_export_bpf(context, file)
        guard result == 0 else { throw FilterError(step: .export, object: name, errno: -result) }

        // One byte more than a program may have, so that one too long does not pass for its beginning.
        var failure: Int32 = 0
        let program = unsafe [UInt8](unsafeUninitializedCapacity: Self.longest + 1) { buffer, count in
            while count < buffer.count {
                let start = unsafe buffer.baseAddress?.advanced(by: count)
                let read = unsafe pread(file, start, buffer.count - count, off_t(count))
                if read == 0 { break }
                if read < 0 && lastError() != EINTR {
                    failure = lastError()
                    break
                }
                count += max(read, 0)
            }
        }
        guard failure == 0 else { throw FilterError(step: .read, object: name, errno: failure) }
        guard !program.isEmpty, program.count <= Self.longest, program.count.isMultiple(of: 8) else {
            throw FilterError(step: .size, object: "\(name), \(program.count) bytes", errno: E2BIG)
        }
        return program
    }

    /// BPF_MAXINSNS instructions (linux/bpf_common.h) of eight bytes.
    private static var longest: Int { 4096 * 8 }
}

/// `errno` is a macro of a kind that does not import.
func lastError() -> Int32 { unsafe __errno_location().pointee }

/// The program of one plan.
func compile(_ plan: FilterPlan) throws(FilterError) -> [UInt8] {
    let filter = try Filter(plan.name, otherwise: plan.otherwise)
    try filter.fill(plan)
    return try filter.export(plan.name)
}

/// The x86-64 number of a call. libseccomp's pseudo-numbers (for calls of other architectures) are
/// negative, and count as unknown.
func callNumber(_ name: String) throws(FilterError) -> Int32 {
    let number = unsafe seccomp_syscall_resolve_name(name)
    if number >= 0 { return number }
    guard let number = CallTables.newNumbers[name] else {
        throw FilterError(step: .resolve, object: name, errno: ENOSYS)
    }
    return number
}

/// Such as "2.5.4"; that of the library in use, which writes the programs.
func libraryVersion() -> String {
    guard let version = unsafe seccomp_version() else { return "unknown" }
    return unsafe "\(version.pointee.major).\(version.pointee.minor).\(version.pointee.micro)"
}
