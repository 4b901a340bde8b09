// Private caches on the host: directories of the caller's, made before a plan names them.
internal import Linux

/// Makes a directory and those above it, for this user alone.
public func makePrivateDirectory(_ path: String) throws(LaunchFailure) {
    var made = ""
    for component in path.split(separator: "/") {
        made += "/" + component
        try step("cache", made) { () throws(Errno) in
            do throws(Errno) { try makeDirectory(made, mode: 0o700) } catch {
                guard error == .exists else { throw error }
            }
        }
    }
}
