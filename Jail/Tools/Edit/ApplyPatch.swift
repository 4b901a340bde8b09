// Patches from text to changes of files: the form is recognised, everything is computed, nothing is written.

/// Computes what a patch does, all of it or nothing.
///
/// Two forms are known: unified diffs (of `diff -u` and git: several files, new, deleted, renamed and copied ones,
/// modes, `\ No newline at end of file`; offset and fuzz as GNU patch has them, and reported) and the `*** Begin
/// Patch` format. Sections are done in order, and each sees what the ones before it did.
///
/// - Parameters:
///   - text: the patch.
///   - read: gives a file of the workspace as it is; asked at most once for a path.
/// - Returns: the changes, for a caller that does all of them or none.
/// - Throws: `PatchError`, which names file and line, and where the lines may have been meant.
public func resolvePatch(
    _ text: [UInt8], options: PatchOptions = PatchOptions(), read: @escaping ([UInt8]) -> FileReading
) throws(PatchError) -> ChangeSet {
    guard text.count <= options.limit else { throw PatchError(.tooLarge, detail: "\(text.count) bytes") }
    var tree = PatchedTree(read: read)
    let placements: [HunkPlacement]
    if AgentParser.isAgentPatch(text) {
        var apply = AgentApply(options)
        for section in try AgentParser.parse(text, options) { try apply.apply(section, to: &tree) }
        placements = apply.placements
    } else if UnifiedParser.isUnified(text) {
        var apply = UnifiedApply(text, options)
        for section in try UnifiedParser.parse(text, options) { try apply.apply(section, to: &tree) }
        placements = apply.placements
    } else {
        throw PatchError(
            .malformed, patchLine: text.isEmpty ? 0 : 1, detail: "neither a unified diff nor a '*** Begin Patch' text")
    }
    let changes = try tree.changes()
    guard !changes.isEmpty else { throw PatchError(.empty) }
    let size = changes.reduce(0) { $0 + ($1.after?.bytes.count ?? 0) }
    guard size <= options.limit else { throw PatchError(.tooLarge, detail: "\(size) bytes of results") }
    return ChangeSet(changes, placements, context: options.context)
}
