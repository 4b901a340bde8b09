// The ignore files of one directory, linked to those of the directories above it, and their order of precedence.
//
// Between kinds of files ripgrep's order: .rgignore, .ignore, .gitignore, .git/info/exclude, global excludes, the
// caller's others. Within a kind the deeper file decides, and git's kinds reach up to the repository's top only.

/// One directory that has ignore files or is a repository's top.
final class IgnoreFrame: Sendable {
    private let parent: IgnoreFrame?
    /// Bytes of the directory's path from the root, with its slash.
    private let base: Int
    private let isRepository: Bool
    private let rg: IgnoreRules?
    private let plain: IgnoreRules?
    private let git: IgnoreRules?
    private let exclude: IgnoreRules?
    // Whether this or a frame above has any.
    private let anyRg: Bool, anyPlain: Bool, anyGit: Bool, anyExclude: Bool
    private let inRepository: Bool
    /// Where the rules of the global excludes start.
    private let repositoryBase: Int
    let needsPath: Bool
    /// About how many bytes of memory its rules take, and those with the ones above.
    let ownCost: Int
    let totalCost: Int

    struct Files {
        var rg: IgnoreRules?
        var plain: IgnoreRules?
        var git: IgnoreRules?
        var exclude: IgnoreRules?
        var isRepository = false
        var isEmpty: Bool { rg == nil && plain == nil && git == nil && exclude == nil && !isRepository }
    }

    init(parent: IgnoreFrame?, base: Int, _ files: Files) {
        self.parent = parent
        self.base = base
        isRepository = files.isRepository
        (rg, plain, git, exclude) = (files.rg, files.plain, files.git, files.exclude)
        anyRg = files.rg != nil || parent?.anyRg == true
        anyPlain = files.plain != nil || parent?.anyPlain == true
        anyGit = files.git != nil || parent?.anyGit == true
        anyExclude = files.exclude != nil || parent?.anyExclude == true
        inRepository = files.isRepository || parent?.inRepository == true
        repositoryBase = files.isRepository ? base : parent?.repositoryBase ?? 0
        let own = [files.rg, files.plain, files.git, files.exclude]
        ownCost = own.reduce(256) { $0 + ($1?.cost ?? 0) }
        totalCost = ownCost + (parent?.totalCost ?? 0)
        needsPath = own.contains { $0?.needsPath == true } || parent?.needsPath == true
    }

    private enum Kind { case rg, plain, git, exclude }

    private func rules(_ kind: Kind) -> IgnoreRules? {
        switch kind {
        case .rg: rg
        case .plain: plain
        case .git: git
        case .exclude: exclude
        }
    }

    private func nearest(_ kind: Kind, _ subject: Subject) -> IgnoreDecision? {
        var frame: IgnoreFrame? = self
        while let here = frame {
            if let rules = here.rules(kind) {
                let rule = unsafe rules.decide(subject, base: here.base)
                if rule >= 0 { return IgnoreDecision(rules: rules, rule: rule) }
            }
            if here.isRepository && (kind == .git || kind == .exclude) { return nil }
            frame = here.parent
        }
        return nil
    }

    fileprivate func decide(_ subject: Subject, _ given: GivenRules) -> IgnoreDecision? {
        if anyRg, let decision = unsafe nearest(.rg, subject) { return decision }
        if anyPlain, let decision = unsafe nearest(.plain, subject) { return decision }
        if inRepository || !given.requiresRepository {
            if anyGit, let decision = unsafe nearest(.git, subject) { return decision }
            if anyExclude, let decision = unsafe nearest(.exclude, subject) { return decision }
            if let decision = unsafe given.global(subject, base: repositoryBase) { return decision }
        }
        return nil
    }
}

/// A rule that decides.
struct IgnoreDecision {
    var rules: IgnoreRules
    var rule: Int
    var isIgnored: Bool { !rules.rules[rule].isNegated }
    var verdict: IgnoreVerdict {
        IgnoreVerdict(isIgnored: isIgnored, source: rules.source, line: rules.rules[rule].line)
    }
}

/// The rules that came with the settings.
struct GivenRules: Sendable {
    let requiresRepository: Bool
    private let globalRules: IgnoreRules?
    private let extra: [IgnoreRules]
    private let needsPath: Bool

    init(_ settings: IgnoreSettings) {
        requiresRepository = settings.requiresRepository
        globalRules = IgnoreRules(settings.globalExcludes)
        extra = settings.extra.compactMap { IgnoreRules($0) }.reversed()
        needsPath = globalRules?.needsPath == true || extra.contains { $0.needsPath }
    }

    /// Whether nothing can be left out under this frame.
    func isEmpty(_ frame: IgnoreFrame?) -> Bool {
        frame == nil && extra.isEmpty && (globalRules == nil || requiresRepository)
    }

    /// Whether a subject's path has to be there.
    func needsPath(_ frame: IgnoreFrame?) -> Bool { needsPath || frame?.needsPath == true }

    fileprivate func global(_ subject: Subject, base: Int) -> IgnoreDecision? {
        guard let globalRules else { return nil }
        let rule = unsafe globalRules.decide(subject, base: base)
        return rule >= 0 ? IgnoreDecision(rules: globalRules, rule: rule) : nil
    }

    /// What decides about a name in a directory whose nearest frame this is.
    @unsafe func decide(_ subject: Subject, in frame: IgnoreFrame?) -> IgnoreDecision? {
        if let frame {
            if let decision = unsafe frame.decide(subject, self) { return decision }
        } else if !requiresRepository, let decision = unsafe global(subject, base: 0) {
            return decision
        }
        for rules in extra {
            let rule = unsafe rules.decide(subject, base: 0)
            if rule >= 0 { return IgnoreDecision(rules: rules, rule: rule) }
        }
        return nil
    }
}
