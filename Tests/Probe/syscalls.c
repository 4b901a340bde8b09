// System calls that the filter has to stop (15-20).
#include "common.h"
#include <linux/sched.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <termios.h>
#include <time.h>

#define X32 0x40000000UL

static void x32(char **arguments, int count) {
    (void)arguments, (void)count;
    const struct named_call calls[] = {
        {"getpid", {X32 | SYS_getpid, {0}}},
        {"open", {X32 | SYS_open, {ARGUMENT("/"), O_RDONLY}}},
        {"socket", {X32 | SYS_socket, {AF_UNIX, SOCK_STREAM}}},
        {"mount", {X32 | SYS_mount, {ARGUMENT("none"), ARGUMENT("/tmp"), ARGUMENT("tmpfs"), 0, ARGUMENT("")}}},
        {"unshare-user", {X32 | SYS_unshare, {CLONE_NEWUSER}}},
        {"ptrace-seize-1", {X32 | 521, {0x4206, 1, 0, 0}}},
        {"ioctl", {X32 | 514, {0, TIOCGWINSZ, 0}}},
        {"process_vm_readv", {X32 | 539, {1}}},
        {"execveat", {X32 | 545, {~0UL, ARGUMENT(""), 0, 0, 0}}},
        {"bit-30-and-31", {X32 | 0x80000000UL | SYS_getpid, {0}}},
        // Numbers kept for x32 but called without the bit, which some old kernels took.
        {"number-512", {512, {0}}},
        {"number-520", {520, {ARGUMENT("/bin/true"), 0, 0}}},
        {"number-521", {521, {0x4206, 1, 0, 0}}},
        {"number-545", {545, {~0UL, ARGUMENT(""), 0, 0, 0}}},
    };
    try_calls(GATE, calls, COUNT(calls));
}

// Of the 32-bit table: the numbers and the registers are different ones.
static long by_int80(void *context) {
    const struct call *call = context;
    const unsigned long *a = call->arguments;
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(call->number), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4])
                     : "memory", "r8", "r9", "r10", "r11");
    int value = (int)result;
    if (value < 0 && value > -4096) {
        errno = -value;
        return -1;
    }
    return (unsigned)value;
}

// As the 32-bit entry reads pointers, strings have to lie low.
static unsigned long low(const char *string) {
    char *place = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (place == MAP_FAILED) return 0;
    snprintf(place, 4096, "%s", string);
    return ARGUMENT(place);
}

static void int80(char **arguments, int count) {
    (void)arguments, (void)count;
    const struct named_call calls[] = {
        {"getpid", {20, {0}}},
        {"open", {5, {low("/"), O_RDONLY}}},
        {"socket-unix", {359, {AF_UNIX, SOCK_STREAM, 0}}},
        {"socket-vsock", {359, {40, SOCK_STREAM, 0}}},
        {"socket-packet", {359, {17, SOCK_RAW, 0}}},
        {"mount", {21, {low("none"), low("/tmp"), low("tmpfs"), 0, low("")}}},
        {"unshare-user", {310, {CLONE_NEWUSER}}},
        {"ptrace-seize-1", {26, {0x4206, 1, 0, 0}}},
        {"ioctl-tiocsti", {54, {0, TIOCSTI, low("x")}}},
        {"chmod", {15, {low("/nonexistent/cordon-probe"), 04777}}},
        {"bpf", {357, {0, 0, 0}}},
        {"keyctl", {288, {0, (unsigned long)(unsigned)-3, 0}}},
    };
    for (size_t i = 0; i < COUNT(calls); i++) {
        struct call call = calls[i].call;
        try_it(calls[i].label, GATE, by_int80, &call);
    }
}

struct control {
    unsigned long request;
    const void *argument;
    bool own; // on a terminal of its own, else on descriptor 0
};
// A session of its own whose controlling terminal is a fresh pty; returns the terminal, or -1.
static int own_terminal(int *controller) {
    int terminal;
    if (openpty(controller, &terminal, NULL, NULL, NULL) < 0) return -1;
    setsid();
    if (ioctl(terminal, TIOCSCTTY, 0) < 0) return -1;
    return terminal;
}
static long control_terminal(void *context) {
    const struct control *control = context;
    int controller, terminal = STDIN_FILENO;
    if (control->own && (terminal = own_terminal(&controller)) < 0) {
        errno = ENXIO;
        return -1;
    }
    return syscall(SYS_ioctl, (long)terminal, control->request, control->argument);
}

static const struct {
    const char *label;
    unsigned long request;
    const char *argument;
} requests[] = {
    {"TIOCSTI", TIOCSTI, "x"},
    {"TIOCSTI-bit-32", HIGH_BIT | TIOCSTI, "x"},
    {"TIOCSTI-bit-63", 1UL << 63 | TIOCSTI, "x"},
    {"TIOCSTI-all-high", 0xffffffff00000000UL | TIOCSTI, "x"},
    {"TIOCLINUX-paste", TIOCLINUX, "\3"},
    {"TIOCLINUX-select", TIOCLINUX, "\2\0\0\0\0\0\0\0\0\0\0"},
    {"TIOCLINUX-bit-32", HIGH_BIT | TIOCLINUX, "\3"},
    {"TIOCLINUX-all-high", 0xffffffff00000000UL | TIOCLINUX, "\3"},
};

static long job_control(void *context) {
    (void)context;
    int controller, terminal = own_terminal(&controller);
    struct winsize size = {.ws_row = 24, .ws_col = 80}, seen = {0};
    struct termios modes;
    if (terminal < 0 || tcgetattr(terminal, &modes) < 0 || tcsetattr(terminal, TCSANOW, &modes) < 0) return -1;
    if (ioctl(terminal, TIOCSWINSZ, &size) < 0 || ioctl(terminal, TIOCGWINSZ, &seen) < 0 || seen.ws_col != 80) return -1;
    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        pause();
        _exit(0);
    }
    if (child < 0) return -1;
    setpgid(child, child);
    signal(SIGTTOU, SIG_IGN);
    bool done = tcsetpgrp(terminal, child) == 0 && tcgetpgrp(terminal) == child;
    int error = errno;
    // The interrupt character, typed by whoever holds the other end, reaches the foreground group.
    done = done && write(controller, "\3", 1) == 1;
    int status = 0;
    if (!done) kill(child, SIGKILL);
    waitpid(child, &status, 0);
    errno = error ? error : EIO;
    return done && WIFSIGNALED(status) && WTERMSIG(status) == SIGINT ? 0 : -1;
}

static void tiocsti(char **arguments, int count) {
    (void)arguments, (void)count;
    for (int own = 1; own >= 0; own--)
        for (size_t i = 0; i < COUNT(requests); i++) {
            struct control control = {requests[i].request, requests[i].argument, own};
            struct result result = in_child(control_terminal, &control);
            const char *label = text("%s %s", own ? "own-pty" : "fd0", requests[i].label);
            // EIO is the kernel's own refusal of TIOCSTI (legacy_tiocsti = 0), and descriptor 0 may be no terminal.
            bool refusal = result.error == EIO || result.error == ENXIO || (!own && result.error == ENOTTY);
            report(label, refusal ? ANY : GATE, result);
        }
    struct result result = in_child(job_control, NULL);
    must_work("job-control", result.end == RETURNED && result.value >= 0, result.error);
}

static long clone_flags(void *context) {
    const unsigned long *flags = context;
    long child = syscall(SYS_clone, *flags | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    if (child > 0) waitpid((pid_t)child, NULL, 0);
    return child;
}

static long clone3(void *context) {
    const uint64_t *flags = context;
    uint64_t arguments[8] = {*flags, 0, 0, 0, SIGCHLD, 0, 0, 0};
    long child = syscall(435, arguments, sizeof arguments);
    if (child == 0) _exit(0);
    if (child > 0) waitpid((pid_t)child, NULL, 0);
    return child;
}

// Must be ENOSYS, so that a libc falls back: another errno is a refusal, but breaks programs.
static void expect_enosys(const char *label, struct result result) {
    if (result.end == RETURNED && result.value < 0 && result.error != ENOSYS)
        broken("%s=%s instead of ENOSYS", label, error_name(result.error));
    else report(label, ANY, result);
}

static void highbits(char **arguments, int count) {
    (void)arguments, (void)count;
    const unsigned long high[] = {HIGH_BIT, 1UL << 63, 0xffffffff00000000UL};
    for (size_t i = 0; i < COUNT(high); i++) {
        const char *suffix = text("high-%08lx", high[i] >> 32);
        for (size_t j = 0; j < COUNT(requests); j++) {
            if (requests[j].request >> 32) continue;
            struct control control = {high[i] | requests[j].request, requests[j].argument, true};
            struct result result = in_child(control_terminal, &control);
            report(text("ioctl-%s-%s", requests[j].label, suffix), result.error == EIO || result.error == ENXIO ? ANY : GATE, result);
        }
        const struct {
            const char *name;
            unsigned long family, type, protocol;
        } sockets[] = {{"vsock", 40, SOCK_STREAM, 0}, {"packet", 17, SOCK_RAW, 0x300},    {"alg", 38, SOCK_SEQPACKET, 0},
                       {"netlink-audit", 16, SOCK_RAW, 9}, {"raw", AF_INET, SOCK_RAW, 1}, {"bluetooth", 31, SOCK_RAW, 1}};
        for (size_t j = 0; j < COUNT(sockets); j++) {
            const struct named_call calls[] = {
                {text("socket-%s-%s", sockets[j].name, suffix), {SYS_socket, {high[i] | sockets[j].family, sockets[j].type, sockets[j].protocol}}},
                {text("socket-%s-type-%s", sockets[j].name, suffix), {SYS_socket, {sockets[j].family, high[i] | sockets[j].type, sockets[j].protocol}}},
            };
            // A family that this kernel does not have is refused in its own words.
            try_calls(ANY, calls, COUNT(calls));
        }
        const struct {
            const char *name;
            unsigned long flag;
        } spaces[] = {{"user", CLONE_NEWUSER}, {"mnt", CLONE_NEWNS}, {"net", CLONE_NEWNET}, {"pid", CLONE_NEWPID}};
        for (size_t j = 0; j < COUNT(spaces); j++) {
            unsigned long flags = high[i] | spaces[j].flag, with_user = flags | CLONE_NEWUSER;
            try_it(text("clone-%s-%s", spaces[j].name, suffix), GATE, clone_flags, &flags);
            if (flags != with_user) try_it(text("clone-user-%s-%s", spaces[j].name, suffix), GATE, clone_flags, &with_user);
            const struct named_call unshare[] = {{text("unshare-%s-%s", spaces[j].name, suffix), {SYS_unshare, {flags}}}};
            try_calls(ANY, unshare, COUNT(unshare)); // the kernel itself says EINVAL: it reads all 64 bits
        }
        // A personality may be allowed; then its high bits are no way round anything.
        const unsigned long personalities[] = {PER_SVR4, PER_LINUX32, PER_BSD, ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, MMAP_PAGE_ZERO, ADDR_COMPAT_LAYOUT, UNAME26};
        for (size_t j = 0; j < COUNT(personalities); j++) {
            struct call plain = {SYS_personality, {personalities[j]}}, hidden = {SYS_personality, {high[i] | personalities[j]}};
            struct result allowed = in_child(raw, &plain), result = in_child(raw, &hidden);
            const char *label = text("personality-%07lx-%s", personalities[j], suffix);
            if (result.end == RETURNED && result.value >= 0 && allowed.end == RETURNED && allowed.value >= 0) observed("%s=allowed, and without them too", label);
            else report(label, ANY, result);
        }
    }
    const struct {
        const char *name;
        uint64_t flags;
    } clones[] = {{"clone3", 0}, {"clone3-user", CLONE_NEWUSER}, {"clone3-high", HIGH_BIT}};
    for (size_t i = 0; i < COUNT(clones); i++) {
        uint64_t flags = clones[i].flags;
        expect_enosys(clones[i].name, in_child(clone3, &flags));
    }
    const long unknown[] = {350, 400, 470, 600, 999, 4095, 1000000, 0x7fffffff};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        struct call call = {unknown[i], {0}};
        // Numbers up to 470 have a meaning in newer kernels; there too the filter does not know them.
        expect_enosys(text("unknown-%ld", unknown[i]), in_child(raw, &call));
    }
}

static void forbidden(char **arguments, int count) {
    (void)arguments, (void)count;
    unsigned char zeros[512] = {0};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    // struct perf_event_attr: a software clock, its own user-space only; struct bpf_attr: an array of one.
    uint32_t perf[30] = {1, sizeof perf, 0, 0}, map[20] = {2, 4, 4, 1};
    perf[10] = 1 << 5 | 1 << 6;
    // Adding nothing to the clock: ADJ_SETOFFSET with zero.
    unsigned char adjust[256] = {0};
    const uint32_t set_offset = 0x100;
    memcpy(adjust, &set_offset, sizeof set_offset);
    struct utsname names;
    uname(&names); // the same names again
    const unsigned long none = ARGUMENT("/nonexistent/cordon-probe"), empty = ARGUMENT("");
    const struct named_call calls[] = {
        {"io_uring_setup", {425, {4, ARGUMENT(zeros)}}},
        {"io_uring_enter", {426, {~0UL, 0, 0, 0, 0}}},
        {"io_uring_register", {427, {~0UL, 0, 0, 0}}},
        {"bpf", {SYS_bpf, {0 /* MAP_CREATE */, ARGUMENT(map), sizeof map}}},
        {"perf_event_open", {SYS_perf_event_open, {ARGUMENT(perf), 0, ~0UL, ~0UL, 0}}},
        {"userfaultfd", {SYS_userfaultfd, {0}}},
        {"userfaultfd-user-only", {SYS_userfaultfd, {1}}},
        {"keyctl", {SYS_keyctl, {0 /* GET_KEYRING_ID */, (unsigned long)-3, 0}}},
        {"add_key", {SYS_add_key, {ARGUMENT("user"), ARGUMENT("cordon-probe"), ARGUMENT("x"), 1, (unsigned long)-2}}},
        {"request_key", {SYS_request_key, {ARGUMENT("user"), ARGUMENT("cordon-probe"), 0, 0}}},
        {"kexec_load", {SYS_kexec_load, {0, 0, 0, 3}}},
        {"kexec_file_load", {SYS_kexec_file_load, {~0UL, ~0UL, 1, empty, 0x80000000}}},
        {"init_module", {SYS_init_module, {ARGUMENT(zeros), sizeof zeros, empty}}},
        {"finit_module", {SYS_finit_module, {~0UL, empty, 0}}},
        {"delete_module", {SYS_delete_module, {ARGUMENT("cordon_probe"), O_NONBLOCK}}},
        {"create_module", {SYS_create_module, {ARGUMENT("cordon_probe"), 4096}}},
        {"swapon", {SYS_swapon, {none, 0}}},
        {"swapoff", {SYS_swapoff, {none}}},
        {"reboot", {SYS_reboot, {0, 0, 0, 0}}},
        {"acct", {SYS_acct, {none}}},
        {"quotactl", {SYS_quotactl, {0x80000100UL /* SYNC */, none, 0, 0}}},
        {"quotactl_fd", {443, {~0UL, 0x80000100UL, 0, 0}}},
        {"lookup_dcookie", {SYS_lookup_dcookie, {0, ARGUMENT(zeros), sizeof zeros}}},
        {"syslog-read-all", {SYS_syslog, {3, ARGUMENT(zeros), sizeof zeros}}},
        {"syslog-size", {SYS_syslog, {10, 0, 0}}},
        {"settimeofday", {SYS_settimeofday, {0, 0}}},
        {"clock_settime", {SYS_clock_settime, {CLOCK_REALTIME, ARGUMENT(&now)}}},
        {"adjtimex", {SYS_adjtimex, {ARGUMENT(adjust)}}},
        {"clock_adjtime", {SYS_clock_adjtime, {CLOCK_REALTIME, ARGUMENT(adjust)}}},
        {"iopl", {SYS_iopl, {3}}},
        {"ioperm", {SYS_ioperm, {0x80, 1, 1}}},
        {"modify_ldt", {SYS_modify_ldt, {1, ARGUMENT(zeros), 16}}},
        {"open_by_handle_at", {SYS_open_by_handle_at, {~0UL, ARGUMENT(zeros), 0}}},
        {"fanotify_init", {SYS_fanotify_init, {0, 0}}},
        {"fanotify_init-unprivileged", {SYS_fanotify_init, {0x200 /* REPORT_FID */, 0}}},
        {"nfsservctl", {SYS_nfsservctl, {0, 0, 0}}},
        {"vhangup", {SYS_vhangup, {0}}},
        {"kcmp", {SYS_kcmp, {1, 1, 0, 0, 0}}},
        {"pidfd_getfd", {438, {~0UL, 0, 0}}},
        {"sethostname", {SYS_sethostname, {ARGUMENT(names.nodename), strlen(names.nodename)}}},
        {"setdomainname", {SYS_setdomainname, {ARGUMENT(names.domainname), strlen(names.domainname)}}},
    };
    try_calls(GATE, calls, COUNT(calls));

    // Harmless as such: a filter may let them through, which is worth knowing.
    const struct named_call surface[] = {
        {"move_pages", {SYS_move_pages, {1, 0, 0, 0, 0, 0}}},
        {"migrate_pages", {SYS_migrate_pages, {1, 0, 0, 0}}},
        {"set_mempolicy_home_node", {450, {0, 0, 0, 0}}},
        {"process_madvise", {440, {~0UL, 0, 0, 0, 0}}},
        {"memfd_secret", {447, {0}}},
        {"sysfs", {139, {3}}},
        {"uselib", {SYS_uselib, {none}}},
        {"ustat", {SYS_ustat, {0, ARGUMENT(zeros)}}},
        {"_sysctl", {SYS__sysctl, {0}}},
        {"lsm_set_self_attr", {460, {0, 0, 0, 0}}},
        {"listmount", {458, {0, 0, 0, 0}}},
        {"statmount", {457, {0, 0, 0, 0}}},
    };
    for (size_t i = 0; i < COUNT(surface); i++) {
        struct call call = surface[i].call;
        struct result result = in_child(raw, &call);
        if (result.end != RETURNED || (result.value < 0 && (result.error == EPERM || result.error == ENOSYS))) report(surface[i].label, ANY, result);
        else observed("%s=allowed %s", surface[i].label, result.value < 0 ? error_name(result.error) : "ok");
    }
}

static void keyring(char **arguments, int count) {
    (void)arguments, (void)count;
    char bytes[256];
    const unsigned long rings[] = {(unsigned long)-1, (unsigned long)-2, (unsigned long)-3, (unsigned long)-4, (unsigned long)-5};
    const char *const names[] = {"thread", "process", "session", "user", "user-session"};
    for (size_t i = 0; i < COUNT(rings); i++) {
        const struct named_call calls[] = {
            {text("get-%s", names[i]), {SYS_keyctl, {0, rings[i], 1}}},
            {text("read-%s", names[i]), {SYS_keyctl, {11, rings[i], ARGUMENT(bytes), sizeof bytes}}},
            {text("link-%s", names[i]), {SYS_keyctl, {8, (unsigned long)-4, rings[i]}}},
            {text("add-%s", names[i]), {SYS_add_key, {ARGUMENT("user"), ARGUMENT("cordon-probe"), ARGUMENT("x"), 1, rings[i]}}},
        };
        try_calls(GATE, calls, COUNT(calls));
    }
    const struct named_call calls[] = {
        {"join-session", {SYS_keyctl, {1, 0}}},
        {"get-persistent", {SYS_keyctl, {22, ~0UL, (unsigned long)-2}}},
        {"keyctl-high-bits", {SYS_keyctl, {HIGH_BIT, (unsigned long)-3, 0}}},
        {"request", {SYS_request_key, {ARGUMENT("user"), ARGUMENT("cordon-probe"), 0, (unsigned long)-2}}},
    };
    try_calls(GATE, calls, COUNT(calls));
}

struct image {
    unsigned flags;
    enum { BY_EXECVEAT, BY_PROC, BY_NAME } how;
    const char *name;
};
// A copy of this program, run from where the rule for executables has no path to judge; `exit 42` shows that it ran.
static long run_image(void *context) {
    const struct image *image = context;
    int own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), copy;
    if (own < 0) return -1;
    if (image->how == BY_NAME) copy = open(image->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    else if (image->name) copy = open(image->name, O_TMPFILE | O_RDWR | O_CLOEXEC, 0700);
    else copy = (int)syscall(SYS_memfd_create, "probe", (unsigned long)image->flags);
    if (copy < 0) return -1;
    int error = copy_file(own, copy) < 0 ? errno : 0;
    const char *path = image->how == BY_NAME ? image->name : text("/proc/self/fd/%d", copy);
    // Writable and running at the same time is ETXTBSY.
    int running = error ? -1 : open(path, O_RDONLY);
    if (!error && running < 0) error = errno;
    close(copy);
    if (error) {
        errno = error;
        return -1;
    }
    char *words[] = {"probe", "exit", "42", NULL, NULL, NULL};
    if (expected_init) memcpy(words, (char *[]){"probe", "--init", (char *)expected_init, "exit", "42", NULL}, sizeof words);
    int errors[2];
    if (pipe2(errors, O_CLOEXEC) < 0) return -1;
    pid_t child = fork();
    if (child < 0) return -1;
    if (child == 0) {
        if (image->how == BY_EXECVEAT) syscall(SYS_execveat, running, "", words, environ, AT_EMPTY_PATH);
        else execve(image->how == BY_NAME ? path : text("/proc/self/fd/%d", running), words, environ);
        _exit(write(errors[1], &errno, sizeof errno) > 0 ? 0 : 1);
    }
    close(errors[1]);
    int status = 0;
    bool failed = read(errors[0], &error, sizeof error) > 0;
    waitpid(child, &status, 0);
    if (failed) {
        errno = error;
        return -1;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 42 ? 0 : 1;
}

static long anonymous_code(void *context) {
    (void)context;
    const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return -1;
    memcpy(page, code, sizeof code);
    int (*function)(void);
    memcpy(&function, &page, sizeof page);
    return function() == 42 ? 0 : -1;
}

static void memfd_exec(char **arguments, int count) {
    const struct {
        const char *name;
        unsigned flags;
    } kinds[] = {{"memfd", 1}, {"memfd-sealable", 3}, {"memfd-MFD_EXEC", 0x11}, {"memfd-high-bits", 1}};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct call make = {SYS_memfd_create, {ARGUMENT("probe"), kinds[i].flags | (i == 3 ? HIGH_BIT : 0)}};
        struct result made = in_child(raw, &make);
        if (made.end == RETURNED && made.value >= 0) observed("%s=created", kinds[i].name);
        else report(text("%s create", kinds[i].name), ANY, made);
        if (i == 3) continue;
        struct image at = {kinds[i].flags, BY_EXECVEAT, NULL}, proc = {kinds[i].flags, BY_PROC, NULL};
        try_it(text("%s execveat", kinds[i].name), ANY, run_image, &at);
        try_it(text("%s execve-proc-self-fd", kinds[i].name), ANY, run_image, &proc);
    }
    const char *places[] = {"/tmp", "/dev/shm", getenv("HOME"), ".", count ? arguments[0] : NULL};
    for (size_t i = 0; i < COUNT(places); i++) {
        if (!places[i]) continue;
        struct image unnamed = {0, BY_EXECVEAT, places[i]};
        try_it(text("tmpfile-in %s", places[i]), ANY, run_image, &unnamed);
        struct image named = {0, BY_NAME, text("%s/.cordon-probe-exec-%d", places[i], getpid())};
        try_it(text("file-in %s", places[i]), ANY, run_image, &named);
        unlink(named.name);
    }
    struct result result = in_child(anonymous_code, NULL);
    if (result.end == RETURNED && result.value >= 0) observed("anonymous-code=ran");
    else report("anonymous-code", ANY, result);
}

const struct verb syscall_verbs[] = {
    {"x32", "", "15", 0, 0, x32, "calls with the x32 bit, and x32 numbers without it"},
    {"int80", "", "15", 0, 0, int80, "32-bit calls by int 0x80"},
    {"highbits", "", "16", 0, 0, highbits, "the same with high bits set; clone3 and unknown calls, which have to be ENOSYS"},
    {"forbidden-syscalls", "", "17", 0, 0, forbidden, "every call that must not get through, with harmless arguments"},
    {"keyring", "", "17", 0, 0, keyring, "reads, links and adds keys"},
    {"tiocsti", "", "19", 0, 0, tiocsti, "TIOCSTI and TIOCLINUX on its own pty and on descriptor 0; job control has to work"},
    {"memfd-exec", "[DIR]", "20", 0, 1, memfd_exec, "executes copies of itself from memory, unnamed and named files"},
    {0},
};
