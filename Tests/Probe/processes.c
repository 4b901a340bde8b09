// Other processes: tracing (18), pipelines (23), survivors and signals (33-36).
#include "common.h"
#include <dirent.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>

static long attach(void *pid) {
    pid_t target = *(pid_t *)pid;
    if (ptrace(PTRACE_ATTACH, target, 0, 0) < 0) return -1;
    waitpid(target, NULL, __WALL);
    ptrace(PTRACE_DETACH, target, 0, 0);
    return 0;
}
static long seize(void *pid) { return ptrace(PTRACE_SEIZE, *(pid_t *)pid, 0, 0); }
static long take_descriptor(void *pid) {
    int process = (int)syscall(434, *(pid_t *)pid, 0);
    if (process < 0) return -1;
    for (int handle = 0; handle < 16; handle++) {
        long taken = syscall(438, process, handle, 0);
        if (taken >= 0 || errno != EBADF) return taken;
    }
    return -1;
}
static long open_memory_for_write(void *pid) { return open(text("/proc/%d/mem", *(pid_t *)pid), O_RDWR | O_CLOEXEC); }
static long peek_file(void *path) {
    long got = read_some(path);
    // The memory of another process has nothing at address 0, so that being let in shows as EIO.
    return got < 0 && errno == EIO ? 0 : got;
}
static long read_link(void *path) {
    char target[4096];
    return readlink(path, target, sizeof target);
}

static void trace(pid_t target) {
    const char *who = text("pid-%d", target);
    char bytes[16];
    struct iovec mine = {bytes, sizeof bytes}, theirs = {(void *)(uintptr_t)0x400000, sizeof bytes};
    try_it(text("%s PTRACE_ATTACH", who), ANY, attach, &target);
    try_it(text("%s PTRACE_SEIZE", who), ANY, seize, &target);
    const unsigned long pid = (unsigned long)target;
    const struct named_call calls[] = {
        {text("%s process_vm_readv", who), {SYS_process_vm_readv, {pid, ARGUMENT(&mine), 1, ARGUMENT(&theirs), 1, 0}}},
        {text("%s process_vm_writev", who), {SYS_process_vm_writev, {pid, ARGUMENT(&mine), 1, ARGUMENT(&theirs), 1, 0}}},
        {text("%s kcmp", who), {SYS_kcmp, {pid, (unsigned long)getpid(), 2 /* FILES */, 0, 0}}},
        {text("%s get_robust_list", who), {SYS_get_robust_list, {pid, ARGUMENT(&mine), ARGUMENT(&theirs.iov_len)}}},
    };
    for (size_t i = 0; i < COUNT(calls); i++) {
        struct call call = calls[i].call;
        struct result result = in_child(raw, &call);
        // Past the check, an address that is not mapped there is EFAULT.
        if (result.end == RETURNED && result.value < 0 && result.error == EFAULT) succeeded("%s reached-kernel EFAULT", calls[i].label);
        else report(calls[i].label, ANY, result);
    }
    try_it(text("%s pidfd_getfd", who), ANY, take_descriptor, &target);
    try_it(text("%s open mem O_RDWR", who), ANY, open_memory_for_write, &target);
    const char *const files[] = {"mem", "environ", "maps", "smaps", "auxv", "pagemap", "syscall", "stack", "personality", "fd", "fdinfo", "map_files", "io", "root", "cwd"};
    for (size_t i = 0; i < COUNT(files); i++) {
        const char *path = text("/proc/%d/%s", target, files[i]);
        try_it(text("%s read %s", who, files[i]), ANY, peek_file, (void *)path);
    }
    const char *const links[] = {"exe", "cwd", "root", "fd/0", "ns/mnt", "ns/user"};
    for (size_t i = 0; i < COUNT(links); i++) try_it(text("%s readlink %s", who, links[i]), ANY, read_link, text("/proc/%d/%s", target, links[i]));
}

static void ptrace_init(char **arguments, int count) {
    pid_t targets[16] = {1, getppid(), 2};
    int total = 3;
    if (count) {
        for (total = 0; total < count; total++) targets[total] = (pid_t)number(arguments[total], 1, INT_MAX);
    }
    for (int i = 0; i < total; i++) {
        bool again = targets[i] <= 0 || targets[i] == getpid();
        for (int j = 0; j < i; j++) again = again || targets[i] == targets[j];
        if (again) continue;
        if (kill(targets[i], 0) < 0 && errno == ESRCH) observed("pid-%d=none", targets[i]);
        else trace(targets[i]);
    }
}

static void ptrace_child(char **arguments, int count) {
    (void)arguments, (void)count;
    static volatile long secret = 0x1234567890abcdef;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) pause();
    }
    if (child < 0) {
        broken("fork=failed %s", error_name(errno));
        return;
    }
    errno = 0;
    must_work("seize", ptrace(PTRACE_SEIZE, child, 0, 0) == 0, errno);
    must_work("interrupt", ptrace(PTRACE_INTERRUPT, child, 0, 0) == 0 && waitpid(child, NULL, __WALL) == child, errno);
    long word = ptrace(PTRACE_PEEKDATA, child, &secret, 0);
    must_work("peek", word == secret, errno);
    char registers[512];
    struct iovec place = {registers, sizeof registers};
    must_work("registers", ptrace(PTRACE_GETREGSET, child, 1, &place) == 0, errno);
    long copy = 0;
    struct iovec mine = {&copy, sizeof copy}, theirs = {(void *)(uintptr_t)&secret, sizeof copy};
    must_work("process_vm_readv", process_vm_readv(child, &mine, 1, &theirs, 1, 0) == sizeof copy && copy == secret, errno);
    int memory = open(text("/proc/%d/mem", child), O_RDWR | O_CLOEXEC);
    must_work("mem", memory >= 0 && pread(memory, &copy, sizeof copy, (off_t)(uintptr_t)&secret) == sizeof copy && copy == secret, errno);
    ptrace(PTRACE_DETACH, child, 0, 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, __WALL);

    child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0) _exit(errno & 0x7f);
        raise(SIGSTOP);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    must_work("traceme", WIFSTOPPED(status), WIFEXITED(status) ? WEXITSTATUS(status) : EIO);
    kill(child, SIGKILL);
    if (WIFSTOPPED(status)) waitpid(child, NULL, 0);
}

static void dash_pipelines(char **arguments, int count) {
    long wanted = count ? number(arguments[0], 1, 100000) : 100;
    const char *shell = access("/bin/dash", X_OK) == 0 ? "/bin/dash" : "/bin/sh";
    long completed = 0, hung = 0, wrong = 0, unstarted = 0, interruptions = 0;
    for (long i = 0; i < wanted; i++) {
        int output[2];
        if (pipe2(output, O_CLOEXEC) < 0) {
            unstarted++;
            continue;
        }
        pid_t child = fork();
        if (child < 0) {
            close(output[0]), close(output[1]);
            unstarted++;
            continue;
        }
        if (child == 0) {
            setpgid(0, 0);
            dup2(output[1], STDOUT_FILENO);
            execl(shell, shell, "-c",
                  "trap : USR1; echo ready; echo a | cat | cat; echo b | cat | cat | cat; : | cat; x=$(echo c | cat); echo $x | cat; echo done", (char *)NULL);
            _exit(127);
        }
        close(output[1]);
        fcntl(output[0], F_SETFL, O_NONBLOCK);
        char seen[4096];
        size_t length = 0;
        long deadline = milliseconds() + 10000;
        bool ended = false;
        while (!ended && milliseconds() < deadline) {
            ssize_t got = read(output[0], seen + length, sizeof seen - 1 - length);
            if (got > 0) length += (size_t)got;
            else if (got == 0) ended = true;
            else pause_ms(0);
            seen[length] = 0;
            // Once it says that its trap stands, the shell is interrupted again and again.
            if (strstr(seen, "ready") && !strstr(seen, "done") && kill(child, SIGUSR1) == 0) interruptions++;
            struct timespec moment = {0, 200000};
            nanosleep(&moment, NULL);
        }
        if (!ended) kill(-child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        close(output[0]);
        if (!ended) hung++;
        else if (strstr(seen, "done")) completed++;
        else wrong++;
    }
    observed("shell=%s", shell);
    observed("interruptions=%ld", interruptions);
    observed("completed=%ld", completed);
    if (hung || wrong || unstarted) broken("failed=hung:%ld wrong:%ld unstarted:%ld", hung, wrong, unstarted);
}

static void linger(long seconds) {
    prctl(PR_SET_NAME, "cordon-daemon");
    // Whatever may be ignored is ignored.
    for (int number = 1; number < 65; number++) signal(number, SIG_IGN);
    pause_ms(seconds * 1000);
    _exit(0);
}

static void daemonize(char **arguments, int count) {
    (void)count;
    long seconds = number(arguments[0], 0, 100000);
    int ready[2];
    if (pipe(ready) < 0) misused("pipe: %s", error_name(errno));
    pid_t child = fork();
    if (child == 0) {
        setsid();
        pid_t grandchild = fork();
        if (grandchild == 0) {
            pid_t self = getpid();
            bool told = write(ready[1], &self, sizeof self) == sizeof self;
            close(ready[0]), close(ready[1]);
            linger(told ? seconds : 0);
        }
        _exit(grandchild < 0);
    }
    close(ready[1]);
    pid_t daemon = 0;
    if (read(ready[0], &daemon, sizeof daemon) != sizeof daemon) broken("daemon=failed");
    else observed("daemon=%d", daemon);
    waitpid(child, NULL, 0);
}

static void hold_pipe(char **arguments, int count) {
    (void)count;
    long seconds = number(arguments[0], 0, 100000);
    pid_t child = fork();
    if (child == 0) {
        // Only copies at high numbers stay open.
        for (int handle = 0; handle < 3; handle++)
            if (fcntl(handle, F_DUPFD, 100) >= 0) close(handle);
        linger(seconds);
    }
    if (child < 0) broken("holder=failed %s", error_name(errno));
    else observed("holder=%d", child);
}

// All visible processes but this one; `each` may be NULL.
static int visible(void (*each)(pid_t pid, const char *name)) {
    DIR *entries = opendir("/proc");
    if (!entries) return -1;
    int total = 0;
    for (struct dirent *entry; (entry = readdir(entries));) {
        pid_t pid = atoi(entry->d_name);
        if (pid <= 0 || pid == getpid()) continue;
        char name[64] = "?", path[300];
        snprintf(path, sizeof path, "/proc/%d/comm", pid);
        if (read_file(path, name, sizeof name) < 0) continue;
        name[strcspn(name, "\n")] = 0;
        total++;
        if (each) each(pid, name);
    }
    closedir(entries);
    return total;
}

static void show(pid_t pid, const char *name) {
    if (strcmp(name, "cordon-daemon") == 0) succeeded("survivor=%d %s", pid, name);
    else observed("process=%d %s", pid, name);
}

static void survivors(char **arguments, int count) {
    (void)arguments, (void)count;
    int total = visible(show);
    observed("count=%d", total);
}

static void kill_all(char **arguments, int count) {
    (void)arguments, (void)count;
    observed("before=%d", visible(NULL));
    int result = kill(-1, SIGKILL), error = errno;
    pause_ms(100);
    if (result < 0) refused(error, "kill(-1)");
    else observed("kill(-1)=sent");
    observed("after=%d", visible(NULL));
}

static void kill_init(char **arguments, int count) {
    (void)arguments, (void)count;
    const pid_t targets[] = {1, getppid()};
    const int signals[] = {0, SIGUSR1, SIGUSR2, SIGALRM, SIGHUP, SIGINT, SIGTERM, SIGCONT, SIGSTOP, SIGTSTP, SIGCHLD, SIGRTMIN, SIGSEGV, SIGKILL};
    for (size_t i = 0; i < COUNT(targets); i++) {
        if (targets[i] <= 0 || targets[i] == getpid() || (i && targets[i] == targets[0])) continue;
        for (size_t j = 0; j < COUNT(signals); j++) {
            char name[16];
            const char *label = text("pid-%d-%s", targets[i], signals[j] ? signal_name(signals[j], name) : "0");
            if (kill(targets[i], signals[j]) == 0) observed("%s=sent", label);
            else refused(errno, "%s", label);
        }
    }
    pause_ms(50);
    observed("still-alive=yes");
}

static void stop_self(char **arguments, int count) {
    (void)arguments, (void)count;
    observed("stopping=%d", getpid());
    raise(SIGSTOP);
    observed("resumed=%d", getpid());
}

static void burn(char **arguments, int count) {
    long wanted = number(arguments[0], 0, 1000000), children = count > 1 ? number(arguments[1], 0, 10000) : 0, started = 0;
    for (long i = 0; i < (children ? children : 1); i++) {
        pid_t child = children ? fork() : 0;
        if (child < 0) {
            broken("fork=failed %s", error_name(errno));
            break;
        }
        if (child > 0) {
            started++;
            continue;
        }
        struct timespec used;
        do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
        while (used.tv_sec * 1000 + used.tv_nsec / 1000000 < wanted);
        if (children) _exit(0);
    }
    while (wait(NULL) > 0) {}
    struct rusage usage;
    getrusage(children ? RUSAGE_CHILDREN : RUSAGE_SELF, &usage);
    observed("children=%ld", started);
    observed("cpu_ms=%ld", (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000);
}

static void orphans(char **arguments, int count) {
    (void)count;
    long wanted = number(arguments[0], 1, 10000);
    // Children whose parent is gone before them: whoever is PID 1 has to reap them.
    for (long i = 0; i < wanted; i++) {
        pid_t child = fork();
        if (child == 0) {
            if (fork() == 0) pause_ms(20);
            _exit(0);
        }
        if (child > 0) waitpid(child, NULL, 0);
    }
    int zombies = 0;
    pause_ms(200);
    DIR *entries = opendir("/proc");
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        char status[512], path[300];
        if (atoi(entry->d_name) <= 0) continue;
        snprintf(path, sizeof path, "/proc/%d/stat", atoi(entry->d_name));
        const char *after = read_file(path, status, sizeof status) > 0 ? strrchr(status, ')') : NULL;
        if (after && after[1] && after[2] == 'Z') zombies++;
    }
    if (entries) closedir(entries);
    if (zombies) broken("zombies=%d", zombies);
    else observed("zombies=0");
}

static void ignore_signals(char **arguments, int count) {
    (void)count;
    long seconds = number(arguments[0], 0, 100000);
    for (int signal_number = 1; signal_number < 65; signal_number++) signal(signal_number, SIG_IGN);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    observed("ignoring=%d", getpid());
    pause_ms(seconds * 1000);
    observed("survived=%ld", seconds);
}

const struct verb process_verbs[] = {
    {"ptrace-init", "[PID…]", "18", 0, 16, ptrace_init, "traces, reads and writes PID 1, the parent and PID 2, or those given"},
    {"ptrace-child", "", "18", 0, 0, ptrace_child, "tracing a child of its own, which has to work"},
    {"dash-pipelines", "[COUNT]", "23", 0, 1, dash_pipelines, "shell pipelines under a rain of signals; none may hang"},
    {"daemonize", "SECONDS", "33", 1, 1, daemonize, "leaves a daemon (double fork, setsid, signals ignored) that holds stdout"},
    {"hold-pipe", "SECONDS", "33", 1, 1, hold_pipe, "leaves a child that holds stdout and stderr under other numbers"},
    {"survivors", "", "33", 0, 0, survivors, "lists visible processes; a daemon left by the two verbs above is an escape"},
    {"orphans", "COUNT", "33", 1, 1, orphans, "orphans that PID 1 has to reap"},
    {"kill-all", "", "34", 0, 0, kill_all, "kill(-1, SIGKILL), and what is left"},
    {"kill-init", "", "34", 0, 0, kill_init, "sends signals to PID 1 and the parent"},
    {"stop-self", "", "35", 0, 0, stop_self, "stops itself"},
    {"burn", "MS [CHILDREN]", "36", 1, 2, burn, "burns so much CPU time, in each of so many children"},
    {"ignore-signals", "SECONDS", "33", 1, 1, ignore_signals, "ignores and blocks every signal, and waits"},
    {0},
};
