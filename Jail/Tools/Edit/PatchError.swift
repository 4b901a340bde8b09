// Why a patch was refused: the file, the line of the patch, and where its lines may have been meant. Nothing was
// changed.

/// A refused patch.
public struct PatchError: Error, Sendable, Equatable {
    /// The reasons; the raw values are stable words.
    public enum Reason: String, Sendable {
        /// The text is no patch of a known form, or not a whole one.
        case malformed
        /// The patch changes nothing.
        case empty
        /// A path that is absolute, leaves the workspace, is empty or has a NUL.
        case badPath = "bad_path"
        /// A file to update, delete or move is not there.
        case missing
        /// A file to create, copy or rename to is there already.
        case exists
        /// A path cannot be read as a file; `detail` has the reader's word.
        case unreadable
        /// The lines of a hunk, or of a context line behind `@@`, are not in the file.
        case notFound = "not_found"
        /// A hunk without line numbers fits in more than one place.
        case ambiguous
        /// A file that is to be deleted has other contents than the patch says.
        case notEmpty = "not_empty"
        /// Binary patches, symlinks, submodules.
        case unsupported
        /// More or larger than the limits.
        case tooLarge = "too_large"
    }

    /// Why.
    public var reason: Reason
    /// The file.
    public var path: [UInt8]?
    /// The line of the patch, from 1; 0 where none is to blame.
    public var patchLine: Int
    /// Where the lines may have been meant, the best first, at most three.
    public var candidates: [EditCandidate]
    /// More on the reason, for people.
    public var detail: String

    init(
        _ reason: Reason, path: [UInt8]? = nil, patchLine: Int = 0, candidates: [EditCandidate] = [],
        detail: String = ""
    ) {
        (self.reason, self.path, self.patchLine) = (reason, path, patchLine)
        (self.candidates, self.detail) = (candidates, detail)
    }

    /// One sentence for people and agents.
    public var message: String {
        var text = ""
        if let path { text += String(decoding: path, as: UTF8.self) + ": " }
        if patchLine > 0 { text += "line \(patchLine) of the patch: " }
        switch reason {
        case .malformed: text += "malformed patch"
        case .empty: text += "empty patch: no files were modified"
        case .badPath: text += "bad path"
        case .missing: text += "no such file"
        case .exists: text += "the file exists already"
        case .unreadable: text += "cannot be read"
        case .notFound: text += "failed to find the expected lines"
        case .ambiguous: text += "the lines are in more than one place"
        case .notEmpty: text += "the file to be deleted has other contents"
        case .unsupported: text += "not supported"
        case .tooLarge: text += "too large"
        }
        if !detail.isEmpty { text += " (\(detail))" }
        if !candidates.isEmpty {
            let lines = candidates.map { $0.line == $0.endLine ? "\($0.line)" : "\($0.line)-\($0.endLine)" }
            text += "; the nearest are lines " + lines.joined(separator: ", ")
        }
        return text
    }
}

/// Where a hunk came to lie, and what had to be overlooked for it.
public struct HunkPlacement: Sendable, Equatable {
    /// How the lines of a hunk were compared.
    public enum Comparison: String, Sendable {
        /// Byte for byte.
        case exact
        /// White space at the ends of lines left out.
        case trailingSpace = "trailing_space"
        /// White space around lines left out.
        case surroundingSpace = "surrounding_space"
        /// Typographic dashes, quotes and spaces as their ASCII, and characters that are canonically equivalent.
        case typographic
    }

    /// The file, under its new name.
    public var path: [UInt8]
    /// The hunk's line in the patch, from 1.
    public var patchLine: Int
    /// The first line of the file before the patch that the hunk covers, from 1.
    public var line: Int
    /// By how many lines it lies lower than its header says, previous hunks' offsets included; 0 without line numbers.
    public var offset = 0
    /// How many lines of context were left out at most, at either end.
    public var fuzz = 0
    /// How its lines were compared.
    public var comparison = Comparison.exact
    /// The header's counts were wrong, and were counted anew.
    public var isRecounted = false
    /// The file has CRLF and the patch has not, or the other way round: added lines got the file's line ends.
    public var hasOtherLineEnds = false
}

/// How a patch is applied.
public struct PatchOptions: Sendable, Equatable {
    /// The most lines of context that may be left out at either end of a hunk, as `patch --fuzz`; 0 is what git does.
    public var fuzz = 2
    /// The most lines by which a hunk may lie elsewhere; nil for any number, as `patch` and git have it.
    public var offset: Int?
    /// How many components are taken off the names in unified diffs; nil takes one off where both have `a/` and `b/`.
    public var strip: Int?
    /// Whether wrong counts in `@@` lines are counted anew, as `git apply --recount`.
    public var recounts = true
    /// The workspace's absolute path: names beneath it may be absolute.
    public var workspace: [UInt8] = []
    /// The most bytes of a patch, and of all files that it makes.
    public var limit = 256 << 20
    /// The most files.
    public var files = 10_000
    /// Lines of context in the diff that is returned.
    public var context = 3

    /// The usual way.
    public init() {}
}
