// floor: a jail from C, with the same work as Cordon's, so that Cordon's own cost can be told from the kernel's.
//
//   floor full COUNT|- PLAN       PID 1 is a clone of this program, without an execve of its own
//   floor exec-init COUNT|- PLAN  PID 1 is this program, executed anew: the static executable that Cordon needs too
//   floor bare COUNT|- PLAN       namespaces, a tmpfs root with /usr and /proc, pivot_root, execve; nothing else
//
// Prints nanoseconds from the first call to the end of the clean-up, one line for each iteration. With "-" in
// place of a count, one iteration runs for each byte on standard input, so that measurements can alternate.
// What the shortest way leaves out (time limits, signals, a janitor, errors with remedies) is left out here.
#define _GNU_SOURCE 1
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/capability.h>

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static long clone_into(uint64_t flags, int cgroup, int *pidfd) {
    struct clone_args arguments = {.flags = flags | CLONE_PIDFD, .pidfd = (uint64_t)pidfd, .exit_signal = SIGCHLD};
    if (cgroup >= 0) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = (uint64_t)cgroup;
    }
    return syscall(SYS_clone3, &arguments, sizeof arguments);
}

// MARK: - cgroups

struct groups {
    char version1[MOST_GROUPS][256];
    char version2[256];
    int birth, lock;
};

static void set(const char *directory, const char *file, uint64_t value) {
    char path[320], text[32];
    snprintf(path, sizeof path, "%s/%s", directory, file);
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    write_text(AT_FDCWD, path, text);
}

static void make_group(const char *base, const char *directory) {
    if (mkdir(directory, 0755) == 0) return;
    char parent[256];
    snprintf(parent, sizeof parent, "%s/cordon", base);
    if ((mkdir(parent, 0755) < 0 && errno != EEXIST) || mkdir(directory, 0755) < 0) die("cgroup", directory);
}

static void make_groups(const struct plan *plan, struct groups *groups) {
    uint64_t name;
    if (getrandom(&name, sizeof name, 0) != sizeof name) die("getrandom", "");
    groups->birth = groups->lock = -1;
    for (size_t index = 0; index < plan->version1_count; index++) {
        char *directory = groups->version1[index];
        snprintf(directory, 256, "%s/cordon/floor-%016llx", plan->version1[index].base, (unsigned long long)name);
        make_group(plan->version1[index].base, directory);
        const char *controller = plan->version1[index].controller;
        if (strcmp(controller, "memory") == 0 && plan->memory != 0) {
            set(directory, "memory.limit_in_bytes", plan->memory);
            if (plan->limits_swap) set(directory, "memory.memsw.limit_in_bytes", plan->memory + plan->swap);
        } else if (strcmp(controller, "pids") == 0 && plan->pids != 0) set(directory, "pids.max", plan->pids);
        else if (strcmp(controller, "cpu") == 0 && plan->cpu_millis != 0) {
            set(directory, "cpu.cfs_period_us", 100000);
            set(directory, "cpu.cfs_quota_us", plan->cpu_millis * 100);
        }
    }
    if (plan->version2 == NULL) return;
    snprintf(groups->version2, 256, "%s/cordon/floor-%016llx", plan->version2, (unsigned long long)name);
    make_group(plan->version2, groups->version2);
    groups->lock = open(groups->version2, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (groups->lock < 0 || flock(groups->lock, LOCK_EX | LOCK_NB) < 0) die("flock", groups->version2);
    groups->birth = groups->lock;
    if (plan->version2_limits) {
        if (plan->memory != 0) set(groups->version2, "memory.max", plan->memory);
        if (plan->pids != 0) set(groups->version2, "pids.max", plan->pids);
    }
}

static void read_counter(const char *directory, const char *file) {
    char path[320], text[4096];
    snprintf(path, sizeof path, "%s/%s", directory, file);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return;
    while (read(descriptor, text, sizeof text) > 0) {}
    close(descriptor);
}

static void read_counters(const struct plan *plan, const struct groups *groups) {
    if (plan->version2 != NULL) read_counter(groups->version2, "cpu.stat");
    for (size_t index = 0; index < plan->version1_count; index++) {
        const char *controller = plan->version1[index].controller, *directory = groups->version1[index];
        if (strcmp(controller, "memory") == 0) {
            read_counter(directory, "memory.max_usage_in_bytes");
            read_counter(directory, "memory.oom_control");
        } else if (strcmp(controller, "pids") == 0) {
            read_counter(directory, "pids.peak");
            read_counter(directory, "pids.events");
        } else if (strcmp(controller, "blkio") == 0)
            read_counter(directory, "blkio.throttle.io_service_bytes_recursive");
    }
}

static void remove_group(const char *directory) {
    for (int attempt = 0; attempt < 2000; attempt++) {
        if (rmdir(directory) == 0) return;
        if (errno != EBUSY) break;
        usleep(100);
    }
    die("rmdir", directory);
}

static void remove_groups(const struct plan *plan, struct groups *groups) {
    for (size_t index = plan->version1_count; index-- > 0;) remove_group(groups->version1[index]);
    if (plan->version2 != NULL) remove_group(groups->version2);
    if (groups->lock >= 0) close(groups->lock);
}

// MARK: - Ids and trees

static void write_map(pid_t pid, const char *file, uint32_t inside, uint32_t outside, uint32_t count) {
    char path[64], text[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    snprintf(text, sizeof text, "%u %u %u\n", inside, outside, count);
    write_text(AT_FDCWD, path, text);
}

// A user namespace that carries a map of one id.
static int make_map(const struct step *tree, uint32_t user, uint32_t group) {
    int pidfd, gate[2];
    if (pipe2(gate, O_CLOEXEC) < 0) die("pipe", "");
    long pid = clone_into(CLONE_NEWUSER | CLONE_CLEAR_SIGHAND, -1, &pidfd);
    if (pid < 0) die("clone3", "user");
    if (pid == 0) {
        char byte;
        close(gate[1]);
        _exit((int)read(gate[0], &byte, 1));
    }
    write_map((pid_t)pid, "gid_map", tree->group, group, 1);
    write_map((pid_t)pid, "uid_map", tree->user, user, 1);
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/ns/user", pid);
    int namespace = open(path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0) die("open", path);
    close(gate[0]);
    close(gate[1]);
    close(pidfd);
    waitpid((pid_t)pid, NULL, 0);
    return namespace;
}

static int clone_tree(const struct step *tree, uint32_t user, uint32_t group) {
    int copy = open_tree(AT_FDCWD, tree->source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (copy < 0) die("open_tree", tree->source);
    int map = tree->mapped ? make_map(tree, user, group) : -1;
    struct { uint64_t set, clear, propagation, userns; } values = {
        tree->attributes | (map >= 0 ? 0x100000 : 0), 0, 0, map >= 0 ? (uint64_t)map : 0};
    if (syscall(SYS_mount_setattr, copy, "", AT_EMPTY_PATH | AT_RECURSIVE, &values, sizeof values) < 0)
        die("mount_setattr", tree->source);
    if (map >= 0) close(map);
    return copy;
}

// MARK: - One jail

static char *plan_text;
static size_t plan_size;
static int plan_file, null, self;

// As Cordon's stub: capabilities become ambient, so that execve in a namespace without maps keeps them.
static _Noreturn void execute_init(int control) {
    for (int capability = 0; capability <= 40; capability++) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2];
        if (capability == 0) {
            if (syscall(SYS_capget, &header, data) < 0) die("capget", "");
            data[0].inheritable = data[0].permitted;
            data[1].inheritable = data[1].permitted;
            if (syscall(SYS_capset, &header, data) < 0) die("capset", "");
        }
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
    }
    int plan = fcntl(plan_file, F_DUPFD_CLOEXEC, 10), executable = fcntl(self, F_DUPFD_CLOEXEC, 10);
    if (plan < 0 || executable < 0 || dup2(control, 3) < 0 || dup2(plan, 4) < 0) die("dup2", "");
    syscall(SYS_close_range, 5, ~0u, CLOSE_RANGE_CLOEXEC);
    char *arguments[] = {"floor-init", NULL}, *none[] = {NULL};
    syscall(SYS_execveat, executable, "", arguments, none, AT_EMPTY_PATH);
    die("execveat", "");
}

static void run_full(struct plan *plan, const int *filters, bool executes) {
    struct groups groups;
    int lock = -1;
    uint32_t slot = 0;
    if (plan->own_range) {
        lock = open("/run/cordon/ids.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (lock < 0) die("open", "/run/cordon/ids.lock");
        if (getrandom(&slot, sizeof slot, 0) != sizeof slot) die("getrandom", "");
        for (slot %= 4096;; slot = (slot + 1) % 4096) {
            struct flock byte = {.l_type = F_WRLCK, .l_start = slot, .l_len = 1};
            if (fcntl(lock, F_OFD_SETLK, &byte) == 0) break;
        }
    }
    uint32_t first = 0x70000000u + slot * 65536u;
    make_groups(plan, &groups);

    int control[2], input[2], output[2], errors[2], pidfd;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0 ||
        pipe2(input, O_CLOEXEC) < 0 ||
        pipe2(output, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC) < 0)
        die("socketpair", "");
    long pid = clone_into(plan->namespaces | CLONE_CLEAR_SIGHAND, groups.birth, &pidfd);
    if (pid < 0) die("clone3", "");
    if (pid == 0) {
        setsid();
        for (int descriptor = 0; descriptor < 2; descriptor++) dup2(null, descriptor);
        // What else would cross goes with the exec; without one, the kernel closes it when PID 1 ends, but the
        // parent's ends must go now, or end-of-file never comes.
        if (executes) execute_init(control[1]);
        close(control[0]);
        close(output[0]);
        close(output[1]);
        close(errors[0]);
        close(errors[1]);
        close(input[0]);
        close(input[1]);
        live_as_init(plan, control[1]);
    }
    close(control[1]);
    write_map((pid_t)pid, "gid_map", 0, first, 65536);
    write_map((pid_t)pid, "uid_map", 0, first, 65536);

    uint32_t user = 0, group = 0;
    for (size_t index = 0; index < plan->count; index++)
        if (plan->steps[index].kind == IDENTITY) {
            user = first + plan->steps[index].user;
            group = first + plan->steps[index].group;
        }
    int descriptors[64] = {input[0], output[1], errors[1], filters[0], filters[1]};
    size_t count = 5;
    for (size_t index = 0; index < plan->version1_count; index++) {
        char path[320];
        snprintf(path, sizeof path, "%s/tasks", groups.version1[index]);
        if ((descriptors[count++] = open(path, O_WRONLY | O_CLOEXEC)) < 0) die("open", path);
    }
    for (size_t index = 0; index < plan->count; index++)
        if (plan->steps[index].kind == CLONE_TREE) descriptors[count++] = clone_tree(&plan->steps[index], user, group);
    send_message(control[0], 's', descriptors, count);
    for (size_t index = 0; index < 3; index++) close(descriptors[index]);
    for (size_t index = 5; index < count; index++) close(descriptors[index]);

    char byte;
    receive_message(control[0], &byte, NULL, 0);
    if (byte != 'r') die("command", "did not end well");
    // Both streams end with the jail: everything was said.
    char text[4096];
    while (read(output[0], text, sizeof text) > 0) {}
    while (read(errors[0], text, sizeof text) > 0) {}
    int status;
    if (waitpid((pid_t)pid, &status, __WALL) != pid || status != 0) die("jail", "PID 1 did not end well");
    if (plan->reads_counters) read_counters(plan, &groups);
    remove_groups(plan, &groups);
    close(pidfd);
    close(control[0]);
    close(input[1]);
    close(output[0]);
    close(errors[0]);
    if (lock >= 0) close(lock);
}

// The bare floor of a jail: nothing is limited, mapped (but for root) or filtered.
static void run_bare(const struct plan *plan) {
    int pidfd;
    uint64_t flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                     CLONE_NEWCGROUP | CLONE_VFORK;
    long pid = clone_into(flags, -1, &pidfd);
    if (pid < 0) die("clone3", "");
    if (pid == 0) {
        write_text(AT_FDCWD, "/proc/self/setgroups", "deny");
        write_text(AT_FDCWD, "/proc/self/gid_map", "0 0 1\n");
        write_text(AT_FDCWD, "/proc/self/uid_map", "0 0 1\n");
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("tmpfs", "/tmp", "tmpfs", 0, NULL) < 0 ||
            mkdir("/tmp/usr", 0755) < 0 || mkdir("/tmp/proc", 0755) < 0 || symlink("usr/lib64", "/tmp/lib64") < 0 ||
            symlink("usr/lib", "/tmp/lib") < 0 || mount("/usr", "/tmp/usr", NULL, MS_BIND | MS_REC, NULL) < 0 ||
            mount("proc", "/tmp/proc", "proc", 0, NULL) < 0 || chdir("/tmp") < 0 ||
            syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
            die("bare", "root");
        execve(plan->command[0], plan->command, plan->environment);
        die("execve", plan->command[0]);
    }
    int status;
    if (waitpid((pid_t)pid, &status, 0) != pid || status != 0) die("bare", "did not end well");
    close(pidfd);
}

static char *read_all(int file, size_t *size) {
    struct stat status;
    if (fstat(file, &status) < 0) die("fstat", "plan");
    char *text = malloc((size_t)status.st_size + 1);
    if (pread(file, text, (size_t)status.st_size, 0) != status.st_size) die("read", "plan");
    text[status.st_size] = 0;
    *size = (size_t)status.st_size;
    return text;
}

/// The most memory that a program needs, in kilobytes. The kernel counts in what its parent had at execve, so the parent has
/// to be as small as this one.
static int print_peak(char **program) {
    pid_t pid = fork();
    if (pid == 0) {
        dup2(null, 1);
        execv(program[0], program);
        _exit(127);
    }
    struct rusage usage;
    int status;
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || status != 0) die("peak", program[0]);
    printf("%ld\n", usage.ru_maxrss);
    return 0;
}

int main(int count, char **arguments) {
    static struct plan plan;
    if (strcmp(arguments[0], "floor-init") == 0) {
        plan_text = read_all(4, &plan_size);
        parse_plan(plan_text, &plan);
        close(4);
        live_as_init(&plan, 3);
    }
    if (count > 2 && strcmp(arguments[1], "peak") == 0) {
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        return print_peak(arguments + 2);
    }
    if (count != 4) {
        fprintf(stderr, "usage: floor full|exec-init|bare COUNT|- PLAN\n       floor peak PROGRAM [ARGUMENT…]\n");
        return 2;
    }
    plan_file = open(arguments[3], O_RDONLY | O_CLOEXEC);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (plan_file < 0 || null < 0 || self < 0) die("open", arguments[3]);
    plan_text = read_all(plan_file, &plan_size);
    parse_plan(plan_text, &plan);
    bool bare = strcmp(arguments[1], "bare") == 0, executes = strcmp(arguments[1], "exec-init") == 0;
    int filters[2] = {-1, -1};
    for (int index = 0; index < 2 && !bare; index++)
        if ((filters[index] = open(plan.filters[index], O_RDONLY | O_CLOEXEC)) < 0) die("open", plan.filters[index]);

    bool paced = strcmp(arguments[2], "-") == 0;
    long iterations = paced ? 0 : atol(arguments[2]);
    char byte;
    for (long done = 0; paced ? read(0, &byte, 1) == 1 : done < iterations; done++) {
        uint64_t begin = now();
        if (bare) run_bare(&plan);
        else run_full(&plan, filters, executes);
        printf("%llu\n", (unsigned long long)(now() - begin));
        fflush(stdout);
    }
    return 0;
}
