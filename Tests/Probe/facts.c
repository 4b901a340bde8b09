// Facts about the surroundings, and small programs for tests of exit codes, signals and streams.
#include "common.h"
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <termios.h>
#include <time.h>

static void hostname(char **arguments, int count) {
    (void)arguments, (void)count;
    struct utsname names;
    uname(&names);
    observed("hostname=%s", names.nodename);
    observed("domainname=%s", names.domainname);
    observed("release=%s", names.release);
}

static void cwd(char **arguments, int count) {
    (void)arguments, (void)count;
    char *directory = getcwd(NULL, 0);
    if (directory) observed("cwd=%s", directory);
    else broken("cwd=failed %s", error_name(errno));
}

static void env(char **arguments, int count) {
    (void)arguments, (void)count;
    for (char **entry = environ; *entry; entry++) observed("%s", *entry);
}

static void args(char **arguments, int count) {
    for (int i = 0; i < count; i++) observed("%d=%s", i, arguments[i]);
}

static void ids(char **arguments, int count) {
    (void)arguments, (void)count;
    uid_t user[3];
    gid_t group[3];
    getresuid(&user[0], &user[1], &user[2]);
    getresgid(&group[0], &group[1], &group[2]);
    observed("uid=%u %u %u", user[0], user[1], user[2]);
    observed("gid=%u %u %u", group[0], group[1], group[2]);
    observed("groups=%d", getgroups(0, NULL));
    observed("pid=%d", getpid());
    observed("ppid=%d", getppid());
    observed("pgid=%d", getpgid(0));
    observed("sid=%d", getsid(0));
    mode_t mask = umask(0);
    umask(mask);
    observed("umask=%04o", mask);
    const char *const maps[] = {"uid_map", "gid_map", "setgroups"};
    for (size_t i = 0; i < COUNT(maps); i++) {
        char value[4096], path[64];
        snprintf(path, sizeof path, "/proc/self/%s", maps[i]);
        if (read_file(path, value, sizeof value) < 0) continue;
        char *rest = NULL;
        for (char *line = strtok_r(value, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) observed("%s=%s", maps[i], line);
    }
}

static void signals(char **arguments, int count) {
    (void)arguments, (void)count;
    const char *const masks[] = {"SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"};
    for (size_t i = 0; i < COUNT(masks); i++) {
        char value[64];
        if (!status_value(masks[i], value, sizeof value)) broken("%s=unreadable", masks[i]);
        else if (strtoull(value, NULL, 16)) broken("%s=%s", masks[i], value);
        else observed("%s=%s", masks[i], value);
    }
}

static void rlimits(char **arguments, int count) {
    (void)arguments, (void)count;
    const char *const names[] = {"cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock", "as", "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"};
    for (int i = 0; i < (int)COUNT(names); i++) {
        struct rlimit limit;
        if (getrlimit((__rlimit_resource_t)i, &limit) < 0) continue;
        char values[2][32];
        const rlim_t both[2] = {limit.rlim_cur, limit.rlim_max};
        for (int j = 0; j < 2; j++)
            if (both[j] == RLIM_INFINITY) snprintf(values[j], sizeof values[j], "unlimited");
            else snprintf(values[j], sizeof values[j], "%llu", (unsigned long long)both[j]);
        observed("%s=%s %s", names[i], values[0], values[1]);
    }
}

static void status_line(char **arguments, int count) {
    (void)count;
    char value[4096];
    if (status_value(arguments[0], value, sizeof value)) observed("%s=%s", arguments[0], value);
    else broken("%s=unreadable", arguments[0]);
}

static void boottime(char **arguments, int count) {
    (void)arguments, (void)count;
    struct timespec boot, monotonic;
    clock_gettime(CLOCK_BOOTTIME, &boot);
    clock_gettime(CLOCK_MONOTONIC, &monotonic);
    observed("boottime=%ld", boot.tv_sec);
    observed("monotonic=%ld", monotonic.tv_sec);
    char value[256];
    if (read_file("/proc/uptime", value, sizeof value) > 0) observed("uptime=%.*s", (int)strcspn(value, " ."), value);
    if (read_file("/proc/self/timens_offsets", value, sizeof value) > 0) {
        char *rest = NULL;
        for (char *line = strtok_r(value, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) observed("offset=%s", line);
    }
}

static long change_offsets(void *context) {
    (void)context;
    int file = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    return file < 0 ? -1 : write(file, "monotonic 0 0", 13);
}
static long new_time(void *context) {
    (void)context;
    return syscall(SYS_unshare, 0x80);
}

static void timens(char **arguments, int count) {
    (void)arguments, (void)count;
    try_it("timens_offsets", ANY, change_offsets, NULL);
    try_it("unshare-time", ANY, new_time, NULL);
    boottime(NULL, 0);
}

static void tty(char **arguments, int count) {
    (void)arguments, (void)count;
    for (int handle = 0; handle < 3; handle++) {
        char name[256];
        if (!isatty(handle)) observed("fd%d=no", handle);
        else observed("fd%d=%s", handle, ttyname_r(handle, name, sizeof name) == 0 ? name : "unnamed");
    }
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
    observed("controlling=%s", terminal >= 0 ? "yes" : error_name(errno));
    if (terminal >= 0) observed("foreground=%d", tcgetpgrp(terminal));
}

static void ns(char **arguments, int count) {
    (void)arguments, (void)count;
    const char *const names[] = {"cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts"};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct stat status;
        char path[64];
        snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
        if (stat(path, &status) == 0) observed("%s=%lu", names[i], (unsigned long)status.st_ino);
        else observed("%s=%s", names[i], error_name(errno));
    }
}

static void print_lines(const char *path) {
    FILE *file = fopen(path, "re");
    if (!file) {
        broken("%s=unreadable %s", path, error_name(errno));
        return;
    }
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    while ((length = getline(&line, &size, file)) > 0) {
        if (line[length - 1] == '\n') line[length - 1] = 0;
        observed("%s", line);
    }
    free(line);
    fclose(file);
}
static void procmounts(char **a, int count) { (void)a, (void)count, print_lines("/proc/self/mountinfo"); }
static void cgroup(char **a, int count) { (void)a, (void)count, print_lines("/proc/self/cgroup"); }

static void sleep_verb(char **arguments, int count) {
    (void)count;
    char *end;
    double seconds = strtod(arguments[0], &end);
    if (*end || !(seconds >= 0 && seconds < 1e6)) misused("%s: not a number of seconds", arguments[0]);
    pause_ms((long)(seconds * 1000));
    observed("slept=%s", arguments[0]);
}

static void exit_verb(char **arguments, int count) {
    (void)count;
    _exit((int)number(arguments[0], 0, 255));
}

static void signal_self(char **arguments, int count) {
    (void)count;
    int which = (int)number(arguments[0], 1, 64);
    observed("raising=%d", which);
    kill(getpid(), which);
    pause_ms(100);
    observed("survived=%d", which);
}

static void segv(char **arguments, int count) {
    (void)arguments, (void)count;
    observed("faulting=%d", getpid());
    volatile uintptr_t nowhere = 8;
    *(volatile int *)nowhere = 1;
}

static void stdin_count(char **arguments, int count) {
    (void)arguments, (void)count;
    unsigned long long total = 0;
    char bytes[65536];
    ssize_t got;
    while ((got = read(STDIN_FILENO, bytes, sizeof bytes)) > 0) total += (unsigned long long)got;
    if (got < 0) broken("stdin=failed %s", error_name(errno));
    observed("bytes=%llu", total);
}

static void echo_bytes(char **arguments, int count) {
    // Hex, so that any byte can be asked for: 1b5d35323b… is how OSC 52 begins.
    for (int i = 0; i < count; i++) {
        const char *hex = arguments[i];
        unsigned value;
        for (; sscanf(hex, "%2x", &value) == 1 && hex[0] && hex[1]; hex += 2) putchar((int)value);
    }
    fflush(stdout);
}

static long lower_nice(void *context) {
    (void)context;
    return setpriority(PRIO_PROCESS, 0, -5);
}
static long real_time(void *policy) { return sched_setscheduler(0, *(int *)policy, &(struct sched_param){.sched_priority = 1}); }
static long lower_score(void *context) {
    (void)context;
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    return file < 0 ? -1 : write(file, "-1000", 5);
}
static long io_real_time(void *context) {
    (void)context;
    return syscall(SYS_ioprio_set, 1, 0, 1 << 13);
}
static long raise_hard(void *context) {
    struct rlimit limit;
    int which = *(int *)context;
    if (getrlimit((__rlimit_resource_t)which, &limit) < 0) return -1;
    if (limit.rlim_max == RLIM_INFINITY) {
        errno = ENODATA;
        return -1;
    }
    limit.rlim_max++;
    return setrlimit((__rlimit_resource_t)which, &limit);
}

static void sched(char **arguments, int count) {
    (void)arguments, (void)count;
    observed("nice=%d", getpriority(PRIO_PROCESS, 0));
    observed("policy=%d", sched_getscheduler(0));
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) observed("cpus=%d", CPU_COUNT(&set));
    try_it("nice -5", ANY, lower_nice, NULL);
    int fifo = SCHED_FIFO, round_robin = SCHED_RR;
    try_it("SCHED_FIFO", ANY, real_time, &fifo);
    try_it("SCHED_RR", ANY, real_time, &round_robin);
    try_it("oom_score_adj", ANY, lower_score, NULL);
    try_it("ioprio-real-time", ANY, io_real_time, NULL);
    const int limits[] = {RLIMIT_CORE, RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_MEMLOCK, RLIMIT_AS, RLIMIT_CPU};
    for (size_t i = 0; i < COUNT(limits); i++) try_it(text("raise-hard-limit-%d", limits[i]), ANY, raise_hard, (void *)&limits[i]);
}

static void guard(char **arguments, int count) {
    (void)arguments, (void)count;
    observed("guard=passed");
    observed("mounts-propagate=%s", mounts_propagate() ? "yes" : "no");
    observed("default-route=%s", has_default_route() ? "yes" : "no");
}

const struct verb fact_verbs[] = {
    {"guard", "", "–", 0, 0, guard, "nothing, once the safety rule has passed"},
    {"hostname", "", "–", 0, 0, hostname, "the names that uname gives"},
    {"cwd", "", "1", 0, 0, cwd, "the working directory"},
    {"env", "", "–", 0, 0, env, "the environment"},
    {"args", "[WORD…]", "37", 0, 100000, args, "its arguments, numbered"},
    {"ids", "", "4", 0, 0, ids, "users, groups, process numbers, id maps"},
    {"signals", "", "–", 0, 0, signals, "signal masks, which have to be 0"},
    {"rlimits", "", "43", 0, 0, rlimits, "every soft and hard limit"},
    {"sched", "", "29", 0, 0, sched, "priorities and hard limits, and raising them"},
    {"status-line", "KEY", "4", 1, 1, status_line, "a line of /proc/self/status"},
    {"boottime", "", "–", 0, 0, boottime, "seconds since boot, and offsets of the time namespace"},
    {"timens", "", "12", 0, 0, timens, "changes the time namespace"},
    {"tty", "", "19", 0, 0, tty, "terminals on 0-2, and a controlling one"},
    {"ns", "", "12", 0, 0, ns, "inode numbers of its namespaces"},
    {"procmounts", "", "12", 0, 0, procmounts, "its mountinfo"},
    {"cgroup", "", "13", 0, 0, cgroup, "its cgroups as it sees them"},
    {"sleep", "SECONDS", "33", 1, 1, sleep_verb, "waits"},
    {"exit", "CODE", "–", 1, 1, exit_verb, "ends with this code, without a word"},
    {"signal-self", "NUMBER", "–", 1, 1, signal_self, "sends itself a signal"},
    {"segv", "", "43", 0, 0, segv, "a fault"},
    {"stdin-count", "", "–", 0, 0, stdin_count, "counts what stdin gives"},
    {"echo-bytes", "HEX…", "38", 1, 1000, echo_bytes, "these bytes and nothing else, raw"},
    {0},
};
