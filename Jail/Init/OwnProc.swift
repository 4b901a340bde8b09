// A /proc of a nested pid namespace's own, over the jail's, with the same masks.
//
// The jail's own is one of the outer namespace: in it a program would find others' processes under its pids. It is never
// unmounted, so that the kernel sees it whole and allows another one (mount_namespaces(7)).
internal import JailPlan
internal import Linux

/// Applies the steps of a plan that mount it, in a mount namespace that is the caller's alone.
struct OwnProc: ~Copyable {
    private var places: RootPlaces
    /// What hides a file in the jail's /proc, to hide it in the new one.
    private var masks: [(path: [UInt8], tree: Int32)] = []
    private let owner: DescriptorList

    init(_ steps: [Action]) throws(Errno) {
        var owner = DescriptorList()
        let root = try openPlace("/")
        var places = RootPlaces(root: root.raw)
        owner.append(root)
        for case .hide(let path, let optional) in steps {
            do throws(Errno) {
                let place = try places.find(pathBytes(path))
                // What is there must be a mask: a file of /proc itself would hide nothing.
                let seen = try status(of: place.raw).identity, proc = try status(at: "/proc").identity
                guard seen.device != proc.device else { throw Errno.stale }
                let tree = try cloneTree("", at: place.raw, recursive: false)
                masks.append((pathBytes(path), tree.raw))
                owner.append(tree)
            } catch {
                guard optional, error == .noEntry || error == .notDirectory else { throw error }
            }
        }
        self.places = places
        self.owner = owner
    }

    /// Whether the step is one about /proc, and then it was applied.
    mutating func apply(_ action: Action) throws(Errno) -> Bool {
        switch action {
        case .fileSystem(let type, let path, let parameters, let attributes):
            let mount = try makeFileSystem(type, parameters.map { ($0.key, $0.value) }, attributes: attributes)
            try attach(mount.raw, at: path)
        case .hide(let path, _):
            if let mask = masks.first(where: { $0.path == pathBytes(path) }) { try attach(mask.tree, at: path) }
        case .protect(let path, _):
            let place = try places.find(pathBytes(path))
            let tree = try cloneTree("", at: place.raw, recursive: true, attributes: .readOnly)
            try attach(tree.raw, at: path)
        default: return false
        }
        return true
    }

    private mutating func attach(_ tree: Int32, at path: String) throws(Errno) {
        let place = try places.find(pathBytes(path))
        try Linux.attach(tree, to: "", in: place.raw)
        places.mounted(at: pathBytes(path))
    }
}
