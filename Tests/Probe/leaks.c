// Descriptors, identity and memory that must not come in from outside: rows 1-6, 41, 43.
#include "common.h"
#include <dirent.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/uio.h>

// A row 1 climb: from a directory that was held open, up to the marker.
static void climb(const char *from, const char *marker) {
    char path[4096], label[256];
    for (int levels = 1; levels <= 8; levels++) {
        size_t length = (size_t)snprintf(path, sizeof path, "%s", from);
        for (int i = 0; i < levels; i++) length += (size_t)snprintf(path + length, sizeof path - length, "/..");
        snprintf(path + length, sizeof path - length, "/%s", marker + strspn(marker, "/"));
        struct stat status;
        snprintf(label, sizeof label, "%s climbed %d", from, levels);
        if (stat(path, &status) == 0) succeeded("%s reached %s", label, marker);
        else if (levels == 8) refused(errno, "%s", label);
    }
}

static void fds(char **arguments, int count) {
    const char *marker = count ? arguments[0] : "no-marker-given";
    char path[64], target[4096];
    for (int handle = 0; handle < 65536; handle++) {
        if (fcntl(handle, F_GETFD) < 0) continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = 0;
        if (handle > 2) succeeded("fd=%d %s", handle, target);
        else observed("fd%d=%s", handle, target);
    }
    // Once more by name, for a descriptor beyond the numbers tried above.
    DIR *entries = opendir("/proc/self/fd");
    if (!entries) broken("listed=failed %s", error_name(errno));
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        int handle = atoi(entry->d_name);
        if (handle >= 65536 && handle != dirfd(entries)) succeeded("fd=%d", handle);
    }
    if (entries) closedir(entries);

    for (int handle = 0; handle < 1024; handle++) {
        struct stat status;
        if (fstat(handle, &status) < 0 || (handle > 2 && !S_ISDIR(status.st_mode))) continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
        climb(path, marker);
    }
    climb("/proc/self/cwd", marker);
    climb(".", marker);
    climb("/proc/self/root", marker);
    char *directory = getcwd(NULL, 0);
    if (!directory) broken("cwd=failed %s", error_name(errno));
    else if (directory[0] != '/') succeeded("cwd=%s lies outside the root", directory);
    else observed("cwd=%s", directory);
    free(directory);
}

struct opening {
    const char *path;
    int flags;
};
static long open_it(void *context) {
    const struct opening *wanted = context;
    return open(wanted->path, wanted->flags | O_CLOEXEC);
}

// As CVE-2019-5736 does: a handle first, a writable descriptor through it later.
static long reopen_for_write(void *path) {
    int handle = open(path, O_PATH | O_CLOEXEC);
    if (handle < 0) return -1;
    char again[64];
    snprintf(again, sizeof again, "/proc/self/fd/%d", handle);
    return open(again, O_WRONLY | O_CLOEXEC);
}

static void exe_overwrite(char **arguments, int count) {
    (void)arguments, (void)count;
    // In a child, `self` is still this program.
    char *const paths[] = {"/proc/1/exe", "/proc/self/exe", text("/proc/%d/exe", getppid()), "/proc/2/exe"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct opening writing = {paths[i], O_WRONLY}, both = {paths[i], O_RDWR};
        try_it(text("%s O_WRONLY", paths[i]), ANY, open_it, &writing);
        try_it(text("%s O_RDWR", paths[i]), ANY, open_it, &both);
        try_it(text("%s reopened", paths[i]), ANY, reopen_for_write, paths[i]);
    }
}

static long set_groups(void *context) {
    (void)context;
    return setgroups(1, (gid_t[]){0});
}
static long drop_groups(void *context) {
    (void)context;
    return setgroups(0, NULL);
}

static void groups(char **arguments, int count) {
    (void)arguments, (void)count;
    gid_t list[1024];
    int length = getgroups(COUNT(list), list);
    observed("count=%d", length);
    for (int i = 0; i < length; i++) succeeded("group=%u", list[i]);
    char value[1024];
    if (status_value("Groups", value, sizeof value)) observed("status=%s", value);
    try_it("setgroups(0)", ANY, set_groups, NULL);
    try_it("setgroups()", ANY, drop_groups, NULL);
}

static long raise_ambient(void *context) {
    (void)context;
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0);
}
static long set_all_caps(void *context) {
    (void)context;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    memset(data, 0xff, sizeof data);
    return syscall(SYS_capset, &header, data);
}
static long become_root(void *context) {
    (void)context;
    return setresuid(0, 0, 0);
}
static long become_root_group(void *context) {
    (void)context;
    return setresgid(0, 0, 0);
}
static long allow_new_privileges(void *context) {
    (void)context;
    return prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

static void caps(char **arguments, int count) {
    unsigned long long allowed = count ? strtoull(arguments[0], NULL, 16) : 0;
    const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
    char value[64];
    for (size_t i = 0; i < COUNT(sets); i++) {
        if (!status_value(sets[i], value, sizeof value)) broken("%s=unreadable", sets[i]);
        else if (strtoull(value, NULL, 16) & ~allowed) succeeded("%s=%s", sets[i], value);
        else observed("%s=%s", sets[i], value);
    }
    if (!status_value("NoNewPrivs", value, sizeof value)) broken("NoNewPrivs=unreadable");
    else if (strcmp(value, "1")) succeeded("NoNewPrivs=%s", value);
    else observed("NoNewPrivs=%s", value);
    if (status_value("Seccomp", value, sizeof value)) observed("Seccomp=%s", value);
    if (status_value("Seccomp_filters", value, sizeof value)) observed("Seccomp_filters=%s", value);
    observed("securebits=%d", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
    observed("dumpable=%d", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
    try_it("ambient-raise", ANY, raise_ambient, NULL);
    try_it("capset-all", ANY, set_all_caps, NULL);
    try_it("no-new-privs-off", ANY, allow_new_privileges, NULL);
    uid_t real, effective, saved;
    if (getresuid(&real, &effective, &saved) == 0 && effective != 0) {
        try_it("setresuid(0)", ANY, become_root, NULL);
        try_it("setresgid(0)", ANY, become_root_group, NULL);
    }
}

static long read_path(void *path) { return read_some(path); }
static long open_for_write(void *path) { return open(path, O_WRONLY | O_CLOEXEC); }

static void supervisor_proc(char **arguments, int count) {
    (void)count;
    long pid = number(arguments[0], 2, 1 << 22);
    const char *const files[] = {"environ", "mem",  "fd/", "maps",  "root/",   "cwd/",  "exe",     "auxv",
                                 "stack",   "task", "io",  "ns/mnt", "cmdline", "status", "syscall", "net/unix"};
    struct stat status;
    observed("visible=%s", stat(text("/proc/%ld", pid), &status) == 0 ? "yes, a process of this namespace has that number" : "no");
    for (size_t i = 0; i < COUNT(files); i++) try_it(text("read %s", files[i]), ANY, read_path, text("/proc/%ld/%s", pid, files[i]));
    try_it("write mem", ANY, open_for_write, text("/proc/%ld/mem", pid));
    const struct named_call calls[] = {
        {"kill", {SYS_kill, {(unsigned long)pid, 0}}},
        {"pidfd_open", {434, {(unsigned long)pid, 0}}},
        {"sched_setaffinity", {SYS_sched_setaffinity, {(unsigned long)pid, 0, 0}}},
        {"prlimit64", {SYS_prlimit64, {(unsigned long)pid, RLIMIT_NOFILE, 0, ARGUMENT(&(struct rlimit){0})}}},
    };
    try_calls(ANY, calls, COUNT(calls));
}

// How a file reads: its size is of no interest, only the verdict.
static struct result reading(const char *path) { return in_child(read_path, (void *)path); }

static void path_alias(char **arguments, int count) {
    const char *path = arguments[0], *scratch = count > 1 ? arguments[1] : "/tmp";
    if (path[0] != '/') misused("path-alias: the path must be absolute");
    const char *relative = path + strspn(path, "/");
    struct result direct = reading(path);
    bool readable = direct.end == RETURNED && direct.value > 0;
    if (readable) observed("direct=readable");
    else if (direct.end == RETURNED && direct.value == 0) observed("direct=empty");
    else observed("direct=%s", direct.end == RETURNED ? error_name(direct.error) : "killed");

    char parent[2048], link_path[2048], directory_link[2048], bind[2048], aliases[16][4400];
    const char *labels[16];
    size_t total = 0;
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    const char *name = path + (slash - parent) + 1;
    *slash = 0;
    const char *base = strrchr(parent, '/');
    snprintf(link_path, sizeof link_path, "%s/.cordon-probe-link-%d", scratch, getpid());
    snprintf(directory_link, sizeof directory_link, "%s/.cordon-probe-dirlink-%d", scratch, getpid());
    snprintf(bind, sizeof bind, "%s/.cordon-probe-bind-%d", scratch, getpid());
    int parent_handle = open(*parent ? parent : "/", O_PATH | O_DIRECTORY);

#define ALIAS(label, ...) (labels[total] = label, snprintf(aliases[total++], sizeof aliases[0], __VA_ARGS__))
    ALIAS("proc-self-root", "/proc/self/root/%s", relative);
    ALIAS("proc-thread-self-root", "/proc/thread-self/root/%s", relative);
    ALIAS("proc-1-root", "/proc/1/root/%s", relative);
    ALIAS("proc-parent-root", "/proc/%d/root/%s", getppid(), relative);
    ALIAS("dot-dot-usr", "/usr/../%s", relative);
    ALIAS("dot-dot-above-root", "/../../%s", relative);
    ALIAS("double-slash", "//%s/.//%s", parent, name);
    if (base && base[1]) ALIAS("dot-dot-parent", "%s/../%s/%s", parent, base + 1, name);
    if (parent_handle >= 0) ALIAS("proc-self-fd-parent", "/proc/self/fd/%d/%s", parent_handle, name);
    if (symlink(path, link_path) == 0) ALIAS("symlink", "%s", link_path);
    if (symlink(*parent ? parent : "/", directory_link) == 0) ALIAS("symlinked-parent", "%s/%s", directory_link, name);
    if (mkdir(bind, 0700) == 0) {
        if (mount(*parent ? parent : "/", bind, NULL, MS_BIND | MS_REC, NULL) == 0) ALIAS("bind-mount", "%s/%s", bind, name);
        else refused(errno, "bind-mount");
    }
    for (size_t i = 0; i < total; i++) {
        struct result alias = reading(aliases[i]);
        if (alias.end == RETURNED && alias.value >= 0) {
            if (alias.value > 0 && !readable) succeeded("%s readable", labels[i]);
            else observed("%s=%s", labels[i], alias.value > 0 ? "readable" : "empty");
        } else report(labels[i], ANY, alias);
    }
    umount2(bind, MNT_DETACH);
    rmdir(bind);
    unlink(link_path);
    unlink(directory_link);
}

static void print_bytes(const char *label, const unsigned char *bytes, size_t length) {
    char value[129];
    for (size_t i = 0; i < length && i < 64; i++) sprintf(value + 2 * i, "%02x", bytes[i]);
    observed("%s=%s", label, value);
}

static void random_bytes(char **arguments, int count) {
    (void)arguments, (void)count;
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) == sizeof bytes) print_bytes("getrandom", bytes, sizeof bytes);
    else broken("getrandom=failed %s", error_name(errno));
    int device = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (device >= 0 && read(device, bytes, sizeof bytes) == sizeof bytes) print_bytes("urandom", bytes, sizeof bytes);
    else broken("urandom=failed %s", error_name(errno));
    if (device >= 0) close(device);
    const unsigned char *given = (const unsigned char *)(uintptr_t)getauxval(AT_RANDOM);
    if (given) print_bytes("AT_RANDOM", given, 16);
    const char *const files[] = {"uuid", "boot_id"};
    char path[64], value[128];
    for (size_t i = 0; i < COUNT(files); i++) {
        snprintf(path, sizeof path, "/proc/sys/kernel/random/%s", files[i]);
        if (read_file(path, value, sizeof value) <= 0) observed("%s=unreadable", files[i]);
        else observed("%s=%.*s", files[i], (int)strcspn(value, "\n"), value);
    }
    observed("stack=%p", (void *)bytes);
}

static long lift_core_limit(void *context) {
    struct rlimit now;
    if (setrlimit(RLIMIT_CORE, context) != 0 || getrlimit(RLIMIT_CORE, &now) != 0) return -1;
    // A jail may say yes and leave the limit where it is.
    if (now.rlim_cur == ((const struct rlimit *)context)->rlim_cur) return 0;
    errno = EPERM;
    return -1;
}

static void crash(const char *label, const struct rlimit *limit) {
    pid_t child = fork();
    if (child == 0) {
        if (limit) setrlimit(RLIMIT_CORE, limit);
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        signal(SIGILL, SIG_DFL);
        __builtin_trap();
    }
    int status = 0;
    char name[16];
    if (child < 0 || waitpid(child, &status, 0) != child) broken("%s=unstarted %s", label, error_name(errno));
    else if (!WIFSIGNALED(status)) broken("%s=survived", label);
    else if (WCOREDUMP(status)) succeeded("%s dumped %s", label, signal_name(WTERMSIG(status), name));
    else observed("%s=no-core %s", label, signal_name(WTERMSIG(status), name));
}

static void core(char **arguments, int count) {
    (void)arguments, (void)count;
    struct rlimit limit = {0};
    getrlimit(RLIMIT_CORE, &limit);
    observed("soft=%llu", (unsigned long long)limit.rlim_cur);
    observed("hard=%llu", (unsigned long long)limit.rlim_max);
    char pattern[256];
    if (read_file("/proc/sys/kernel/core_pattern", pattern, sizeof pattern) > 0)
        observed("pattern=%.*s", (int)strcspn(pattern, "\n"), pattern);
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY}, zero = {0, limit.rlim_max}, one = {1, limit.rlim_max};
    struct rlimit most = {limit.rlim_max, limit.rlim_max};
    try_it("limit-lifted", ANY, lift_core_limit, &unlimited);
    crash("crash", NULL);
    // A handler behind a pipe is started even at 0; only a soft limit of exactly 1 keeps the kernel from it (core(5)).
    crash("crash-at-0", &zero);
    if (limit.rlim_max >= 1) crash("crash-at-1", &one);
    crash("crash-at-hard", &most);
}

const struct verb leak_verbs[] = {
    {"fds", "[MARKER]", "1", 0, 1, fds, "open descriptors; climbing from each, and from the working directory, to a host path"},
    {"exe-overwrite", "", "2", 0, 0, exe_overwrite, "opens the executables of PID 1, 2, the parent and itself for writing"},
    {"groups", "", "3", 0, 0, groups, "supplementary groups, and setting them"},
    {"caps", "[HEXMASK]", "4", 0, 1, caps, "the five sets (beyond the mask is an escape), NoNewPrivs, raising any"},
    {"supervisor-proc", "PID", "5", 1, 1, supervisor_proc, "a host process's environ, mem, fd and the like"},
    {"path-alias", "PATH [SCRATCH]", "6", 1, 2, path_alias, "reads a path by other names; better luck than directly is an escape"},
    {"random", "", "41", 0, 0, random_bytes, "random bytes from every source"},
    {"core", "", "43", 0, 0, core, "the core limit, lifting it, and crashes under several"},
    {0},
};
