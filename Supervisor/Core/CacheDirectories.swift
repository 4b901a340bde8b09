// Private caches on the host: directories of the caller's, made before a plan names them.
internal import Linux

/// Makes a directory and those above it, for this user alone. One that is there already must be this user's, and nobody
/// else may write it: what is planted there would be built and run.
public func makePrivateDirectory(_ path: String) throws(LaunchFailure) {
    try makeDirectories(path)
    let found = try step("cache", path) { () throws(Errno) in try status(at: path) }
    guard found.isDirectory, found.user == effectiveUser, found.mode & 0o022 == 0 else {
        throw LaunchFailure(
            step: "cache", object: path, remedy: "it is another user's, or others may write it: remove it")
    }
}

/// Makes a directory and those above it, each for this user alone where it is missing.
func makeDirectories(_ path: String) throws(LaunchFailure) {
    var made = ""
    for component in pathComponents(path) {
        made += "/" + component
        try step("cache", made) { () throws(Errno) in try makeDirectoryIfMissing(made, mode: 0o700) }
    }
}
