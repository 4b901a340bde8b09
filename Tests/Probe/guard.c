// The safety rule. Run bare as root, the probe could unmount the machine's own /proc or kill all of its processes, so
// it does nothing at all unless every check below holds; what cannot be checked counts as failed.
//
// 1. Its pid, UTS and mount namespaces are not the machine's initial ones, as told by their inode numbers, through a
//    /proc that really is procfs of its own pid namespace (or, where there is none, through a pidfd: Linux 6.11).
// 2. On a machine that is itself a container nothing is initial. So PID 1 of the namespace must be known as well:
//    - the probe itself (`unshare … probe VERB`: the namespace was made for it), or
//    - a process named `jail-init`, or
//    - one that bears the name given with `--init NAME`; names of a machine's own init are never taken, or
//    - when it cannot be seen (hidepid, no /proc): the caller's word, CORDON_PROBE=jail in the environment.
#include "common.h"
#include <sys/ioctl.h>
#include <sys/vfs.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

static const struct space {
    const char *name;
    unsigned long pidfd_request;
    ino_t initial[3];
} spaces[] = {
    // The second field is PIDFD_GET_*_NAMESPACE, which the headers of Linux 6.1 do not have. The initial mount
    // namespace has a fixed number only in newer kernels; before, it was the first that was handed out.
    {"pid", 0xff05, {0xEFFFFFFC}},
    {"uts", 0xff0a, {0xEFFFFFFE}},
    {"mnt", 0xff03, {0xEFFFFFF8, 0xF0000000, 0xF0000001}},
};

static void require_space(const struct space *space, int handle) {
    struct stat status;
    struct statfs kind;
    if (handle < 0 || fstat(handle, &status) < 0 || fstatfs(handle, &kind) < 0 || kind.f_type != 0x6e736673)
        misused("refusing to start: the %s namespace cannot be identified", space->name);
    for (size_t i = 0; i < COUNT(space->initial); i++)
        if (status.st_ino == space->initial[i])
            misused("refusing to start: this is the machine's own %s namespace", space->name);
    close(handle);
}

static bool vouched(const char *name, const char *expected) {
    const char *const machines[] = {"systemd", "init", "sysvinit", "runit", "openrc-init", "s6-svscan", ""};
    const char *base = strrchr(name, '/');
    base = base ? base + 1 : name;
    if (strcmp(base, "jail-init") == 0) return true;
    if (!expected || strcmp(base, expected)) return false;
    for (size_t i = 0; i < COUNT(machines); i++)
        if (strcmp(base, machines[i]) == 0) return false;
    return true;
}

void require_jail(const char *expected) {
    const char *word = getenv("CORDON_PROBE");
    bool caller_vouches = word && strcmp(word, "jail") == 0;
    struct statfs kind;
    char value[4096], path[64];

    bool has_proc = statfs("/proc", &kind) == 0 && kind.f_type == 0x9fa0;
    if (has_proc) {
        ssize_t length = readlink("/proc/self", value, sizeof value - 1);
        if (length < 0) misused("refusing to start: /proc/self cannot be read");
        value[length] = 0;
        if (atol(value) != getpid() || !status_value("NSpid", value, sizeof value) || strpbrk(value, " \t"))
            misused("refusing to start: /proc belongs to another pid namespace");
    }
    int self = has_proc ? -1 : (int)syscall(SYS_pidfd_open, getpid(), 0);
    for (size_t i = 0; i < COUNT(spaces); i++) {
        snprintf(path, sizeof path, "/proc/self/ns/%s", spaces[i].name);
        require_space(&spaces[i], has_proc ? open(path, O_RDONLY | O_CLOEXEC) : ioctl(self, spaces[i].pidfd_request, 0));
    }
    if (self >= 0) close(self);

    if (getpid() == 1) return;
    if (has_proc) {
        ssize_t length = read_file("/proc/1/comm", value, sizeof value);
        if (length > 0) {
            if (value[length - 1] == '\n') value[length - 1] = 0;
            if (vouched(value, expected)) return;
            // Started by descriptor, a process is named after the descriptor's number in older kernels.
            char arguments[4096];
            if (read_file("/proc/1/cmdline", arguments, sizeof arguments) > 0 && vouched(arguments, expected)) return;
            misused("refusing to start: PID 1 is \"%s\", neither jail-init nor the one named with --init", value);
        }
    }
    if (!caller_vouches) misused("refusing to start: PID 1 cannot be seen, and CORDON_PROBE is not \"jail\"");
}

// Whether a mount here belongs to a peer group, so that unmounting it might reach other namespaces; unknown is yes.
bool mounts_propagate(void) {
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    if (!mounts) return true;
    char *line = NULL;
    size_t size = 0;
    bool shared = false;
    while (getline(&line, &size, mounts) > 0) shared = shared || strstr(line, " shared:");
    free(line);
    fclose(mounts);
    return shared;
}

// Whether this network namespace leads out; unknown is yes.
bool has_default_route(void) {
    FILE *routes = fopen("/proc/self/net/route", "re");
    if (!routes) return true;
    char line[512], name[64];
    unsigned long destination;
    bool found = false;
    while (fgets(line, sizeof line, routes))
        if (sscanf(line, "%63s %lx", name, &destination) == 2 && strcmp(name, "Iface") && destination == 0) found = true;
    fclose(routes);
    return found;
}
