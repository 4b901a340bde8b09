// Private caches on the host: directories of the caller's, made before a plan names them.
internal import Linux

/// Makes a directory and those above it, for this user alone. One that is there already must be this user's, and nobody
/// else may write it: what is planted there would be built and run.
public func makePrivateDirectory(_ path: String) throws(LaunchFailure) {
    let found = try step("cache", path) { () throws(Errno) in
        try makeDirectories(path, mode: 0o700)
        return try status(at: path)
    }
    guard found.isDirectory, found.isOwnAlone else {
        throw LaunchFailure(
            step: "cache", object: path, remedy: "it is another user's, or others may write it: remove it")
    }
}
