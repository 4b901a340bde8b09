// Plain file operations for a test to aim, hard links to denied files (9), and set-uid bits (42).
#include "common.h"
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <dirent.h>

static void outcome(bool done, const char *label) {
    if (done) succeeded("%s", label);
    else refused(errno, "%s", label);
}

static void read_verb(char **arguments, int count) {
    (void)count;
    char bytes[4096];
    int file = open(arguments[0], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t first = file < 0 ? -1 : read(file, bytes, 64);
    if (first < 0) {
        refused(errno, "%s", arguments[0]);
        return;
    }
    long long total = first;
    char head[65];
    memcpy(head, bytes, (size_t)first);
    head[first] = 0;
    for (ssize_t got; (got = read(file, bytes, sizeof bytes)) > 0;) total += got;
    succeeded("%s bytes=%lld head=%s", arguments[0], total, head);
    close(file);
}

static void write_verb(char **arguments, int count) {
    const char *text = count > 1 ? arguments[1] : "written by the probe\n";
    int file = open(arguments[0], O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    outcome(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text), arguments[0]);
    if (file >= 0) close(file);
}

static void create_verb(char **arguments, int count) {
    const char *text = count > 1 ? arguments[1] : "";
    int file = open(arguments[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    outcome(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text), arguments[0]);
    if (file >= 0) close(file);
}

static void list_directory(char **arguments, int count) {
    (void)count;
    DIR *entries = opendir(arguments[0]);
    if (!entries) {
        refused(errno, "%s", arguments[0]);
        return;
    }
    int total = 0;
    for (struct dirent *entry; (entry = readdir(entries));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) {
            observed("entry=%s", entry->d_name);
            total++;
        }
    closedir(entries);
    succeeded("%s entries=%d", arguments[0], total);
}

static void stat_verb(char **arguments, int count) {
    (void)count;
    struct stat status;
    if (lstat(arguments[0], &status) < 0) {
        refused(errno, "%s", arguments[0]);
        return;
    }
    observed("mode=%06o", status.st_mode);
    observed("uid=%u", status.st_uid);
    observed("gid=%u", status.st_gid);
    observed("links=%lu", (unsigned long)status.st_nlink);
    observed("size=%lld", (long long)status.st_size);
    observed("dev=%u:%u", major(status.st_dev), minor(status.st_dev));
    observed("inode=%lu", (unsigned long)status.st_ino);
}

static void unlink_verb(char **a, int count) { (void)count, outcome(unlink(a[0]) == 0, a[0]); }
static void rmdir_verb(char **a, int count) { (void)count, outcome(rmdir(a[0]) == 0, a[0]); }
static void mkdir_verb(char **a, int count) { (void)count, outcome(mkdir(a[0], 0755) == 0, a[0]); }
static void truncate_verb(char **a, int count) { (void)count, outcome(truncate(a[0], 0) == 0, a[0]); }
static void rename_verb(char **a, int count) { (void)count, outcome(rename(a[0], a[1]) == 0, a[1]); }
static void link_verb(char **a, int count) { (void)count, outcome(link(a[0], a[1]) == 0, a[1]); }
static void symlink_verb(char **a, int count) { (void)count, outcome(symlink(a[0], a[1]) == 0, a[1]); }
static void chmod_verb(char **a, int count) {
    (void)count;
    char *end;
    unsigned long mode = strtoul(a[0], &end, 8);
    if (*end || mode > 07777) misused("%s: not an octal mode", a[0]);
    outcome(chmod(a[1], (mode_t)mode) == 0, a[1]);
}

static void exchange(char **arguments, int count) {
    (void)count;
    long wanted = number(arguments[2], 1, 100000000), done = 0;
    while (done < wanted && syscall(SYS_renameat2, AT_FDCWD, arguments[0], AT_FDCWD, arguments[1], 2) == 0) done++;
    if (done < wanted) refused(errno, "exchanged=%ld", done);
    else observed("exchanged=%ld", done);
}

static long execute(void *words) {
    int errors[2];
    if (pipe2(errors, O_CLOEXEC) < 0) return -1;
    pid_t child = fork();
    if (child < 0) return -1;
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (null >= 0) dup2(null, STDOUT_FILENO);
        execv(((char **)words)[0], words);
        _exit(write(errors[1], &errno, sizeof errno) > 0 ? 127 : 126);
    }
    close(errors[1]);
    int error = 0, status;
    ssize_t got = read(errors[0], &error, sizeof error);
    waitpid(child, &status, 0);
    errno = error;
    return got > 0 ? -1 : 0;
}

static void exec_verb(char **arguments, int count) {
    (void)count;
    try_it(arguments[0], ANY, execute, arguments);
}

static void verdict(const char *label, long got) {
    if (got > 0) succeeded("%s", label);
    else if (got == 0) observed("%s=empty", label);
    else refused(errno, "%s", label);
}

static long read_handle(int handle) {
    char byte;
    return handle < 0 ? -1 : read(handle, &byte, 1);
}

// Every way round a denial of PATH that starts from its inode or its ancestors; each leaves the tree as it was.
static void hardlink_read(char **arguments, int count) {
    char path[2048], parent[2048], scratch[2048], other[4200], moved[4200];
    snprintf(path, sizeof path, "%s", arguments[0]);
    if (path[0] != '/' || !path[1]) misused("hardlink-read: the path must be absolute");
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = 0;
    const char *name = strrchr(path, '/') + 1;
    snprintf(scratch, sizeof scratch, "%s", count > 1 ? arguments[1] : *parent ? parent : "/");
    snprintf(other, sizeof other, "%s/.cordon-probe-link-%d", scratch, getpid());

    verdict("direct", read_some(path));

    if (link(path, other) == 0) {
        verdict("hard-link", read_some(other));
        unlink(other);
    } else refused(errno, "hard-link");
    int handle = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (handle >= 0) {
        char self[64];
        snprintf(self, sizeof self, "/proc/self/fd/%d", handle);
        verdict("proc-self-fd", read_some(self));
        if (linkat(AT_FDCWD, self, AT_FDCWD, other, AT_SYMLINK_FOLLOW) == 0) {
            verdict("hard-link-by-fd", read_some(other));
            unlink(other);
        } else refused(errno, "hard-link-by-fd");
        verdict("openat-empty-path", read_handle(openat(handle, "", O_RDONLY | O_CLOEXEC)));
        close(handle);
    } else refused(errno, "o-path");
    if (symlink(path, other) == 0) {
        verdict("symlink", read_some(other));
        unlink(other);
    } else refused(errno, "symlink");
    if (rename(path, other) == 0) {
        verdict("renamed", read_some(other));
        if (rename(other, path) < 0) broken("renamed=not-restored %s", error_name(errno));
    } else refused(errno, "renamed");
    int file = open(other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file >= 0) {
        close(file);
        if (syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, other, 2) == 0) {
            verdict("exchanged", read_some(other));
            if (syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, other, 2) < 0)
                broken("exchanged=not-restored %s", error_name(errno));
        } else refused(errno, "exchanged");
        unlink(other);
    }
    // Each ancestor, the nearest first, up to the root of the mount: nothing beyond it is touched.
    struct stat target, here, above;
    bool known = lstat(*parent ? parent : "/", &target) == 0;
    char ancestor[2048], rest[2048] = "";
    snprintf(ancestor, sizeof ancestor, "%s", parent);
    snprintf(rest, sizeof rest, "/%s", name);
    for (int depth = 1; known && *ancestor && depth <= 8; depth++) {
        char label[64], through[6400];
        if (lstat(ancestor, &here) < 0 || here.st_dev != target.st_dev) break;
        bool top = lstat(text("%s/..", ancestor), &above) < 0 || above.st_dev != here.st_dev;
        snprintf(label, sizeof label, "ancestor-%d-renamed", depth);
        snprintf(moved, sizeof moved, "%s.cordon-probe-%d", ancestor, getpid());
        if (rename(ancestor, moved) == 0) {
            snprintf(through, sizeof through, "%s%s", moved, rest);
            verdict(label, read_some(through));
            if (rename(moved, ancestor) < 0) broken("%s=not-restored %s", label, error_name(errno));
        } else {
            top = top || errno == EBUSY;
            refused(errno, "%s", label);
        }
        if (top) break;
        char *slash = strrchr(ancestor, '/'), longer[4200];
        snprintf(longer, sizeof longer, "%s%s", slash, rest);
        snprintf(rest, sizeof rest, "%.*s", (int)sizeof rest - 1, longer);
        *slash = 0;
    }
    int directory = open(*parent ? parent : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    verdict("openat-parent", read_handle(directory < 0 ? -1 : openat(directory, name, O_RDONLY | O_CLOEXEC)));
    if (directory >= 0) close(directory);
    verdict("direct-again", read_some(path));
}

// Set-uid and set-gid bits: set on disk is what counts, a call that succeeds and drops them is harmless.
enum setter {
    CHMOD, FCHMOD, FCHMODAT, FCHMODAT2, CHMOD_HIGH, FCHMOD_HIGH, FCHMODAT_HIGH, CHMOD_INT80, CHMOD_X32,
    OPEN, OPENAT, OPENAT2, CREAT, OPEN_HIGH, CREAT_HIGH, TMPFILE, MKDIR, MKDIRAT, DIRECTORY_HIGH, MKNOD, MKNODAT, MKNOD_HIGH
};
static const struct {
    enum setter setter;
    const char *name;
} setters[] = {
    {CHMOD, "chmod"}, {FCHMOD, "fchmod"}, {FCHMODAT, "fchmodat"}, {FCHMODAT2, "fchmodat2"},
    {CHMOD_HIGH, "chmod-high-bits"}, {FCHMOD_HIGH, "fchmod-high-bits"}, {FCHMODAT_HIGH, "fchmodat-high-bits"},
    {CHMOD_INT80, "chmod-int80"}, {CHMOD_X32, "chmod-x32"}, {OPEN, "open"}, {OPENAT, "openat"}, {OPENAT2, "openat2"},
    {CREAT, "creat"}, {OPEN_HIGH, "open-high-bits"}, {CREAT_HIGH, "creat-high-bits"}, {TMPFILE, "open-tmpfile"},
    {MKDIR, "mkdir"}, {MKDIRAT, "mkdirat"}, {DIRECTORY_HIGH, "chmod-directory-high-bits"}, {MKNOD, "mknod"}, {MKNODAT, "mknodat"},
    {MKNOD_HIGH, "mknod-high-bits"},
};

struct setting {
    enum setter setter;
    unsigned long mode;
    const char *path;
};

static int empty_file(const char *path) { return open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644); }

static long set_bits(void *context) {
    const struct setting *s = context;
    const unsigned long here = (unsigned long)AT_FDCWD, high = HIGH_BIT | 0x10000;
    int file;
    switch (s->setter) {
    case CHMOD: return empty_file(s->path) < 0 ? -1 : syscall(SYS_chmod, s->path, s->mode);
    case FCHMOD: return (file = empty_file(s->path)) < 0 ? -1 : syscall(SYS_fchmod, file, s->mode);
    case FCHMODAT: return empty_file(s->path) < 0 ? -1 : syscall(SYS_fchmodat, here, s->path, s->mode);
    case FCHMODAT2: return empty_file(s->path) < 0 ? -1 : syscall(452, here, s->path, s->mode, 0L);
    case CHMOD_HIGH: return empty_file(s->path) < 0 ? -1 : syscall(SYS_chmod, s->path, s->mode | high);
    case FCHMOD_HIGH: return (file = empty_file(s->path)) < 0 ? -1 : syscall(SYS_fchmod, file, s->mode | high);
    case FCHMODAT_HIGH: return empty_file(s->path) < 0 ? -1 : syscall(SYS_fchmodat, here, s->path, s->mode | high);
    case CHMOD_X32: return empty_file(s->path) < 0 ? -1 : syscall(0x40000000 | SYS_chmod, s->path, s->mode);
    case CHMOD_INT80: {
        if (empty_file(s->path) < 0) return -1;
        char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
        if (low == MAP_FAILED) return -1;
        snprintf(low, 4096, "%s", s->path);
        long result;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(15L), "b"(low), "c"(s->mode) : "memory", "r8", "r9", "r10", "r11");
        if ((int)result < 0) errno = -(int)result;
        return (int)result < 0 ? -1 : 0;
    }
    case OPEN: return syscall(SYS_open, s->path, O_WRONLY | O_CREAT | O_EXCL, s->mode);
    case OPENAT: return syscall(SYS_openat, here, s->path, O_WRONLY | O_CREAT | O_EXCL, s->mode);
    case OPENAT2: {
        uint64_t how[3] = {O_WRONLY | O_CREAT | O_EXCL, s->mode, 0};
        return syscall(437, here, s->path, how, sizeof how);
    }
    case CREAT: return syscall(SYS_creat, s->path, s->mode);
    case OPEN_HIGH: return syscall(SYS_open, s->path, HIGH_BIT | O_WRONLY | O_CREAT | O_EXCL, s->mode | high);
    case CREAT_HIGH: return syscall(SYS_creat, s->path, s->mode | high);
    case TMPFILE: {
        char directory[4096], self[64];
        snprintf(directory, sizeof directory, "%s", s->path);
        *strrchr(directory, '/') = 0;
        file = (int)syscall(SYS_openat, here, directory, O_TMPFILE | O_WRONLY, s->mode);
        if (file < 0) return -1;
        snprintf(self, sizeof self, "/proc/self/fd/%d", file);
        return linkat(AT_FDCWD, self, AT_FDCWD, s->path, AT_SYMLINK_FOLLOW);
    }
    case MKDIR: return syscall(SYS_mkdir, s->path, s->mode);
    case MKDIRAT: return syscall(SYS_mkdirat, here, s->path, s->mode);
    // mkdir itself keeps only the sticky bit; a chmod after it is what sets the rest.
    case DIRECTORY_HIGH: return mkdir(s->path, 0755) < 0 ? -1 : syscall(SYS_chmod, s->path, s->mode | high);
    case MKNOD: return syscall(SYS_mknod, s->path, S_IFREG | s->mode, 0L);
    case MKNODAT: return syscall(SYS_mknodat, here, s->path, S_IFREG | s->mode, 0L);
    case MKNOD_HIGH: return syscall(SYS_mknod, s->path, S_IFREG | s->mode | high, 0L);
    }
    return -1;
}

static long file_capability(void *path) {
    // cap_sys_admin=ep, revision 2.
    const uint32_t value[] = {0x02000001, 1u << 21, 0, 0, 0};
    return empty_file(path) < 0 ? -1 : setxattr(path, "security.capability", value, sizeof value, 0);
}

static long memfd_bits(void *context) {
    (void)context;
    int file = (int)syscall(SYS_memfd_create, "probe", 1L);
    struct stat status;
    if (file < 0 || fchmod(file, 06755) < 0 || fstat(file, &status) < 0) return -1;
    errno = ENODATA;
    return status.st_mode & 06000 ? 0 : -1;
}

static void setuid_bits(char **arguments, int count) {
    (void)count;
    const struct {
        unsigned long mode;
        const char *name;
    } bits[] = {{04755, "setuid"}, {02755, "setgid"}};
    umask(0);
    for (size_t i = 0; i < COUNT(setters); i++)
        for (size_t j = 0; j < COUNT(bits); j++) {
            char label[64], path[4096];
            snprintf(label, sizeof label, "%s-%s", setters[i].name, bits[j].name);
            snprintf(path, sizeof path, "%s/.cordon-probe-bits-%d-%zu-%zu", arguments[0], getpid(), i, j);
            struct setting setting = {setters[i].setter, bits[j].mode, path};
            struct result result = in_child(set_bits, &setting);
            struct stat status = {0};
            bool exists = lstat(path, &status) == 0;
            if (result.end == RETURNED && exists && status.st_mode & (S_ISUID | S_ISGID))
                succeeded("%s mode=%06o", label, status.st_mode); // whatever the call said
            else if (result.end == RETURNED && result.value >= 0) observed("%s=stripped", label);
            else report(label, ANY, result);
            if (exists && remove(path) < 0) broken("%s=left-behind %s", label, error_name(errno));
        }
    char path[4096];
    snprintf(path, sizeof path, "%s/.cordon-probe-capability-%d", arguments[0], getpid());
    try_it("file-capability", ANY, file_capability, path);
    unlink(path);
    struct result result = in_child(memfd_bits, NULL);
    if (result.end == RETURNED && result.value >= 0) observed("memfd=bits-set, only in memory");
    else report("memfd", ANY, result);
}

const struct verb file_verbs[] = {
    {"read", "PATH", "–", 1, 1, read_verb, "reads a file"},
    {"write", "PATH [TEXT]", "–", 1, 2, write_verb, "appends to an existing file"},
    {"create", "PATH [TEXT]", "9", 1, 2, create_verb, "makes a new file"},
    {"list-dir", "PATH", "–", 1, 1, list_directory, "lists a directory"},
    {"stat", "PATH", "–", 1, 1, stat_verb, "what lstat says"},
    {"unlink", "PATH", "–", 1, 1, unlink_verb, "removes a file"},
    {"rmdir", "PATH", "–", 1, 1, rmdir_verb, "removes a directory"},
    {"mkdir", "PATH", "–", 1, 1, mkdir_verb, "makes a directory"},
    {"truncate", "PATH", "–", 1, 1, truncate_verb, "truncates a file to nothing"},
    {"rename", "FROM TO", "9", 2, 2, rename_verb, "renames"},
    {"link", "FROM TO", "9", 2, 2, link_verb, "makes a hard link"},
    {"symlink", "TARGET PATH", "–", 2, 2, symlink_verb, "makes a symbolic link"},
    {"chmod", "MODE PATH", "42", 2, 2, chmod_verb, "changes an octal mode"},
    {"exchange", "A B TIMES", "8", 3, 3, exchange, "swaps two names in one step, many times (RENAME_EXCHANGE)"},
    {"exec", "PATH [WORD…]", "20", 1, 1000, exec_verb, "executes a program, its output thrown away; any start at all is SUCCEEDED"},
    {"hardlink-read", "PATH [SCRATCH]", "9", 1, 2, hardlink_read, "reads a denied file through links, /proc/self/fd and renamed ancestors"},
    {"setuid-bits", "DIR", "42", 1, 1, setuid_bits, "sets set-uid and set-gid bits by every call; on disk is an escape"},
    {0},
};
