"""Builds the guest: Debian packages, its kernel, and the initramfs. Starts nothing and needs root only to install.

Raises Unavailable, with what to do about it, for everything that the machine at hand cannot give.
"""

import fcntl
import glob
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(os.path.dirname(os.path.dirname(HERE)), ".build", "guest")

# A program whose absence says that the package is missing. qemu's package is that of the architecture alone.
PACKAGES = {
    "qemu-system-x86": "qemu-system-x86_64",
    "busybox-static": "busybox",
    "uidmap": "newuidmap",
    "e2fsprogs": "mkfs.ext4",
    "systemd": "systemd-run",
}
# Debian's own programs, taken with their libraries, for what busybox lacks.
PROGRAMS = ["newuidmap", "newgidmap", "nsenter", "unshare", "setpriv", "dash", "bash", "perl", "systemctl",
            "systemd-run", "/lib/systemd/systemd"]
# Roots of the module graph; the modules that they depend on come along. ext4 is built in.
MODULES = ["virtio_pci", "virtio_blk", "overlay"]

TESTER = 1001
SETUID = {"newuidmap", "newgidmap"}

ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\n"
    "tester:x:1001:1001:tester:/home/tester:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\ntty:x:5:\ntester:x:1001:\nnogroup:x:65534:\n",
    "subuid": "tester:100000:65536\n",
    "subgid": "tester:100000:65536\n",
    "hostname": "cordon-guest\n",
    "hosts": "127.0.0.1 localhost\n127.0.1.1 cordon-guest\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "machine-id": "c0bd0000000000000000000000000001\n",
    "os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Cordon test guest (Debian 12 kernel)"\n',
    "shells": "/bin/sh\n/bin/bash\n",
}


class Unavailable(Exception):
    """Something that the guest needs cannot be had here."""


def _run(*argv, **options):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def _which(program):
    return shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")


def install_packages():
    missing = [package for package, program in PACKAGES.items() if not _which(program)]
    if not missing:
        return
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    if os.geteuid() != 0:
        raise Unavailable(f"missing packages; as root: apt-get install {' '.join(missing)}")
    if not glob.glob("/var/lib/apt/lists/*_Packages*"):
        _run(*apt, "update", env=environment)
    try:
        _run(*apt, "install", "-y", "--no-install-recommends", *missing, env=environment)
    except Unavailable:
        _run(*apt, "update", env=environment)  # lists that are too old name files that are gone
        _run(*apt, "install", "-y", "--no-install-recommends", *missing, env=environment)


def kernel():
    """The directory with `vmlinuz` and the modules, NAME.ko and `order`, downloaded unless it is in the cache."""
    found = _cached_kernel()
    if found:
        return found
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = _cached_kernel()  # another run may have fetched it while this one waited
        if found:
            return found
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=CACHE) as temporary:
            return _fetch_kernel(temporary)


def _cached_kernel():
    found = [path for path in glob.glob(os.path.join(CACHE, "linux-image-*")) if os.path.isdir(path)]
    return max(found, key=os.path.getmtime, default=None)


def _fetch_kernel(temporary):
    def depends():
        return re.search(r"Depends: (linux-image-\S+)", _run("apt-cache", "depends", "linux-image-cloud-amd64"))

    try:
        package = depends()
    except Unavailable:
        package = None
    if not package:
        _run("apt-get", "-qq", "update")
        package = depends()
    # The sandbox user of apt may not write here; root alone would be warned about that.
    _run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package[1], cwd=temporary)
    (archive,) = glob.glob(os.path.join(temporary, "*.deb"))
    unpacked = os.path.join(temporary, "unpacked")
    _run("dpkg-deb", "-x", archive, unpacked)

    kept = os.path.join(temporary, "kept")
    os.mkdir(kept)
    (image,) = glob.glob(os.path.join(unpacked, "boot", "vmlinuz-*"))
    shutil.copy(image, os.path.join(kept, "vmlinuz"))
    objects = {
        os.path.basename(path)[: -len(".ko")].replace("-", "_"): path
        for path in glob.glob(os.path.join(unpacked, "lib", "modules", "**", "*.ko"), recursive=True)
    }
    order = []
    for module in MODULES:
        _collect(module, objects, order)
    for module in order:
        shutil.copy(objects[module], os.path.join(kept, module + ".ko"))
    with open(os.path.join(kept, "order"), "w") as file:
        file.write("".join(f"{module}.ko\n" for module in order))
    final = os.path.join(CACHE, os.path.basename(archive)[: -len(".deb")])
    os.rename(kept, final)
    return final


def _collect(module, objects, order):
    """Appends a module to `order` after what it depends on, as its .modinfo section says."""
    if module in order:
        return
    if module not in objects:
        raise Unavailable(f"the kernel package has no module {module}")
    with open(objects[module], "rb") as file:
        depends = re.search(rb"\0depends=([^\0]*)\0", file.read())
    for needed in depends[1].decode().split(",") if depends else []:
        if needed:
            _collect(needed.replace("-", "_"), objects, order)
    order.append(module)


class Archive:
    """A cpio archive in "newc" form, as Documentation/driver-api/early-userspace/buffer-format.rst describes it.

    Written here rather than by cpio(1) because owners and modes are then ours to name, and no one needs root.
    Uncompressed: reading it costs qemu nothing, inflating it under emulation would.
    """

    def __init__(self, path):
        self.file = open(path, "wb")
        self.names = set()
        self.made = int(time.time())  # 1970 would be older than every file that a case compares with

    def _entry(self, name, mode, data=b"", owner=0, links=1):
        encoded = name.encode() + b"\0"
        fields = [len(self.names) + 1, mode, owner, owner, links, self.made, len(data), 0, 0, 0, 0, len(encoded), 0]
        self._padded(b"070701" + b"".join(b"%08X" % value for value in fields) + encoded)
        self._padded(data)
        self.names.add(name)

    def _padded(self, data):
        self.file.write(data + b"\0" * (-len(data) % 4))

    def directory(self, name, mode=0o755, owner=0):
        parent = os.path.dirname(name)
        if parent and parent not in self.names:
            self.directory(parent)
        if name not in self.names:
            self._entry(name, stat.S_IFDIR | mode, owner=owner, links=2)

    def add(self, name, data, mode=0o644):
        if name not in self.names:
            self.directory(os.path.dirname(name))
            self._entry(name, stat.S_IFREG | mode, data.encode() if isinstance(data, str) else data)

    def copy(self, name, source, mode=0o755):
        with open(source, "rb") as file:
            self.add(name, file.read(), mode)

    def link(self, name, target):
        if name not in self.names:
            self.directory(os.path.dirname(name))
            self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def close(self):
        self._entry("TRAILER!!!", 0)
        self.file.close()


def _libraries(path):
    """What a program needs at run time: the libraries and the loader, as paths; None for a static one or a script."""
    done = subprocess.run(["ldd", path], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    if done.returncode != 0 or "statically linked" in done.stdout:
        return None
    if "not found" in done.stdout:
        raise Unavailable(f"{path} lacks a library: {done.stdout}")
    return re.findall(r"(/\S+) \(0x", done.stdout)


def _add_program(archive, path, mode=0o755):
    """One of the host's programs with its libraries, under the names that merged /usr gives them."""
    archive.copy("usr/bin/" + os.path.basename(path), path, mode)
    for library in _libraries(path) or []:
        name = library.lstrip("/")
        archive.copy(name if name.startswith("usr/") else "usr/" + name, library)


def build_initramfs(path, modules, binaries, tree, programs, cases):
    """Writes the whole system of the guest, in which `inside/init` is the first program."""
    archive = Archive(path)
    for name in ["dev", "proc", "sys", "usr/bin", "usr/lib", "usr/lib64", "var/lib", "var/tmp"]:
        archive.directory(name)
    archive.directory("usr/sbin")
    archive.directory("root", 0o700)
    archive.directory("home/tester", 0o755, TESTER)
    for name in ["bin", "sbin", "lib", "lib64"]:
        archive.link(name, "usr/" + name)
    for name, text in ETC.items():
        archive.add("etc/" + name, text)

    for program in PROGRAMS + programs:
        source = _which(program)
        if not source:
            raise Unavailable(f"{program} is not installed")
        _add_program(archive, os.path.join(os.path.realpath(os.path.dirname(source)), os.path.basename(source)),
                     0o4755 if program in SETUID else 0o755)
    archive.link("usr/bin/sh", "dash")  # as in Debian; busybox's would run its applets instead of these programs
    busybox = _which("busybox")
    if _libraries(busybox):
        raise Unavailable("busybox is not static: apt-get install busybox-static")
    archive.copy("usr/bin/busybox", busybox)
    for applet in _run(busybox, "--list").split():
        if applet != "busybox":
            archive.link("usr/bin/" + applet, "busybox")

    for source in glob.glob("/usr/lib/locale/C.utf8/**", recursive=True):
        if os.path.isfile(source):
            archive.copy(source.lstrip("/"), source, 0o644)

    archive.directory("cordon/bin")
    if binaries:
        _add_binaries(archive, binaries)
    if tree:
        _add_tree(archive, tree)
    _add_harness(archive, modules, cases)
    archive.close()


def _add_binaries(archive, directory):
    for name in sorted(os.listdir(directory)):
        source = os.path.join(directory, name)
        if not os.path.isfile(source) or not os.access(source, os.X_OK):
            continue
        if _libraries(source):
            raise Unavailable(f"{source} is dynamic; the guest takes static executables and scripts")
        archive.copy("cordon/bin/" + name, source)


def _add_tree(archive, tree):
    """Files and links, in the guest's / as they are in the tree's; root owns them."""
    for folder, _, names in os.walk(tree):
        for name in sorted(names):
            source = os.path.join(folder, name)
            inside = os.path.relpath(source, tree)
            if os.path.islink(source):
                archive.directory(os.path.dirname(inside))
                archive.link(inside, os.readlink(source))
            else:
                archive.copy(inside, source, stat.S_IMODE(os.stat(source).st_mode))


def _add_harness(archive, modules, cases):
    archive.copy("init", os.path.join(HERE, "inside", "init"))
    archive.copy("cordon/harness/cases", os.path.join(HERE, "inside", "cases"))
    archive.copy("cordon/harness/manager", os.path.join(HERE, "inside", "manager"), 0o644)
    with open(os.path.join(modules, "order")) as file:
        order = file.read()
    archive.add("cordon/harness/modules", order)
    for module in order.split():
        archive.copy("cordon/harness/" + module, os.path.join(modules, module), 0o644)
    archive.add("cordon/harness/order", "".join(f"{index}\n" for index in range(len(cases))))
    for index, case in enumerate(cases):
        folder = f"cordon/harness/case/{index}/"
        archive.add(folder + "as", case.user + "\n")
        archive.add(folder + "limit", f"{case.limit:g}\n")
        archive.add(folder + "run", case.script)


def make_disk(path, megabytes):
    """An empty ext4 file system in a sparse file."""
    with open(path, "wb") as file:
        file.truncate(megabytes << 20)
    _run(_which("mkfs.ext4"), "-q", "-F", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", path)
