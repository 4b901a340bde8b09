// Runs a command under circumstances that a test wants to see it cope with.
//
//   fault-fixture ignore-sigchld CMD ARG...            SIGCHLD is ignored, as by a careless caller
//   fault-fixture block-signals CMD ARG...             every signal is blocked
//   fault-fixture intercept LOG [PATTERN=ERRNO...] -- CMD ARG...
//
// `intercept` sees every system call of CMD and its descendants that is listed below, by seccomp notification. Each
// has a key, `PROCESS.ORDER:CALL:COUNT`: the process's name, which of that name it is, the call, and how often that
// process has made it. Keys are written to LOG, one a line; those that match a pattern (fnmatch) are answered with the
// errno instead of being carried out, and their lines end with " FAILED". A call that makes a user namespace is named
// `clone3+user`, `clone+user` or `unshare+user`. The exit status is the command's; 128+N for a signal.
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALL(name) {#name, SYS_##name}
static const struct {
    const char *name;
    unsigned number;
} calls[] = {
    CALL(clone3), CALL(clone), CALL(unshare), CALL(setns), CALL(mount), CALL(umount2), CALL(move_mount),
    CALL(open_tree), CALL(mount_setattr), CALL(fsopen), CALL(fsconfig), CALL(fsmount), CALL(pivot_root), CALL(chroot),
    CALL(sethostname), CALL(setgroups), CALL(setresuid), CALL(setresgid), CALL(setuid), CALL(setgid), CALL(prctl),
    CALL(keyctl), CALL(landlock_create_ruleset), CALL(landlock_add_rule), CALL(landlock_restrict_self), CALL(seccomp),
    CALL(capset), CALL(setsid), CALL(prlimit64), CALL(setrlimit), CALL(execve), CALL(execveat), CALL(memfd_create),
    CALL(socketpair), CALL(pipe), CALL(pipe2), CALL(epoll_create1), CALL(epoll_ctl), CALL(signalfd4), CALL(mkdir),
    CALL(mkdirat), CALL(symlink), CALL(symlinkat), CALL(fchmod), CALL(fchmodat), CALL(fchown), CALL(fchownat),
    CALL(chdir), CALL(fchdir), CALL(close_range), CALL(flock), CALL(openat2), CALL(sendmsg), CALL(pidfd_open),
    CALL(setpgid), CALL(dup2), CALL(dup3), CALL(timerfd_create), CALL(openat), CALL(open), CALL(write),
};
enum { CALLS = sizeof calls / sizeof *calls };

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "fault-fixture: %s: %s\n", what, strerror(errno));
    exit(99);
}

static int install(void) {
    struct sock_filter program[2 * CALLS + 8];
    unsigned short length = 0;
    program[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < CALLS; i++) {
        program[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, 0, 1);
        program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    }
    program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {length, program};
    // An unprivileged caller needs it, and a privileged one must not have it forced on what it runs.
    if (geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail("no_new_privs");
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
}

// Every process met so far, by the name it had.
static struct process {
    int pid, order;
    char name[32];
    unsigned counts[CALLS];
} processes[512];
static size_t process_count;

static struct process *find(int pid) {
    char path[64], name[32] = "gone";
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    FILE *file = fopen(path, "re");
    if (file) {
        if (fgets(name, sizeof name, file)) name[strcspn(name, "\n")] = 0;
        fclose(file);
    }
    int order = 1;
    for (size_t i = 0; i < process_count; i++) {
        if (strcmp(processes[i].name, name)) continue;
        if (processes[i].pid == pid) return &processes[i];
        order++;
    }
    if (process_count == sizeof processes / sizeof *processes) fail("too many processes");
    struct process *made = &processes[process_count++];
    *made = (struct process){.pid = pid, .order = order};
    memcpy(made->name, name, sizeof name);
    return made;
}

static uint64_t clone_flags(const struct seccomp_notif *call, const char *name) {
    if (strcmp(name, "clone3")) return call->data.args[0];
    char path[64];
    uint64_t flags = 0;
    snprintf(path, sizeof path, "/proc/%u/mem", call->pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    if (memory < 0 || pread(memory, &flags, sizeof flags, (off_t)call->data.args[0]) != sizeof flags) flags = 0;
    if (memory >= 0) close(memory);
    return flags;
}

static int errno_named(const char *name) {
    for (int number = 1; number < 140; number++)
        if (strerrorname_np(number) && strcmp(strerrorname_np(number), name) == 0) return number;
    errno = EINVAL;
    fail(name);
}

static void answer(int listener, FILE *log, char **rules) {
    struct seccomp_notif call = {0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) return;
    size_t index = 0;
    while (index < CALLS && calls[index].number != (unsigned)call.data.nr) index++;
    const char *name = calls[index].name;
    bool makes = strcmp(name, "clone3") == 0 || strcmp(name, "clone") == 0 || strcmp(name, "unshare") == 0;
    bool user = makes && clone_flags(&call, name) & CLONE_NEWUSER;
    struct process *process = find((int)call.pid);
    char key[128];
    snprintf(key, sizeof key, "%s.%d:%s%s:%u", process->name, process->order, name, user ? "+user" : "",
             ++process->counts[index]);
    struct seccomp_notif_resp response = {.id = call.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    for (char **rule = rules; *rule; rule++) {
        char pattern[256];
        snprintf(pattern, sizeof pattern, "%s", *rule);
        char *equals = strrchr(pattern, '=');
        if (!equals) fail("a rule is PATTERN=ERRNO");
        *equals = 0;
        if (fnmatch(pattern, key, 0) == 0) response = (struct seccomp_notif_resp){.id = call.id, .error = -errno_named(equals + 1)};
    }
    fprintf(log, "%s%s\n", key, response.error ? " FAILED" : "");
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

static int intercept(char **words) {
    FILE *log = fopen(words[0], "we");
    if (!log) fail(words[0]);
    char **rules = words + 1, **command = rules;
    while (*command && strcmp(*command, "--")) command++;
    if (!*command) fail("no command");
    *command++ = NULL;
    int pair[2], alive[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 || pipe2(alive, O_CLOEXEC) < 0) fail("socketpair");
    pid_t supervisor = getpid(), child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != supervisor) _exit(99);
        int listener = install();
        if (listener < 0) fail("seccomp");
        // sendmsg is intercepted by now, and nobody is listening yet: only the number goes over, by write's elder.
        struct iovec piece = {&listener, sizeof listener};
        if (syscall(SYS_pwritev2, pair[1], &piece, 1, (off_t)-1, 0, 0) < 0) fail("pwritev2");
        // Until the other side has its copy.
        char byte;
        if (read(pair[1], &byte, 1) != 1) _exit(99);
        close(listener);
        execvp(command[0], command);
        fail(command[0]);
    }
    close(pair[1]);
    int theirs, listener = -1;
    if (read(pair[0], &theirs, sizeof theirs) != sizeof theirs) fail("the filter could not be installed");
    int process = (int)syscall(SYS_pidfd_open, child, 0);
    listener = (int)syscall(SYS_pidfd_getfd, process, theirs, 0);
    if (listener < 0) fail("pidfd_getfd");
    fcntl(listener, F_SETFD, FD_CLOEXEC);
    if (write(pair[0], "x", 1) != 1) fail("write");

    int status = 0;
    bool ended = false;
    for (int quiet = 0; quiet < 400;) {
        struct pollfd watched[2] = {{listener, POLLIN, 0}, {ended ? -1 : process, POLLIN, 0}};
        if (poll(watched, 2, 5) < 0) continue;
        if (watched[1].revents) ended = waitpid(child, &status, 0) == child;
        if (watched[0].revents & POLLIN) answer(listener, log, rules);
        // Nobody is left under the filter.
        else if (watched[0].revents & POLLHUP) {
            if (!ended) waitpid(child, &status, 0);
            break;
        } else if (ended) quiet++;
    }
    fclose(log);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int count, char **words) {
    if (count < 3) {
        fprintf(stderr, "usage: fault-fixture ignore-sigchld|block-signals|intercept ...\n");
        return 99;
    }
    if (strcmp(words[1], "ignore-sigchld") == 0) signal(SIGCHLD, SIG_IGN);
    else if (strcmp(words[1], "block-signals") == 0) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
    } else if (strcmp(words[1], "intercept") == 0) return intercept(words + 2);
    else fail(words[1]);
    execvp(words[2], words + 2);
    fail(words[2]);
}
