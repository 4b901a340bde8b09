// The child side of clone3. Between clone3 and execve the child shares the parent's memory, and runs while the parent
// does (those of cordon_spawn_command excepted, for whom it waits), so it uses raw calls only: no allocation, no lock, no errno (thread-local storage is the parent's thread's).
#define _GNU_SOURCE 1
#include "CLinux.h"

#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

#if !defined(__x86_64__)
#error "The raw system call below is written for x86-64."
#endif

static inline long raw6(long number, long a, long b, long c, long d, long e, long f) {
    long value;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(value) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return value;
}
#define raw(number, a, b, c, d, e) raw6((number), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

enum { STACK = 64 * 1024 };

struct shared {
    const void *request;
    // Written by the child before it ends without having executed.
    volatile int step;
    volatile int error;
    // Where to go then, instead of ending; or NULL.
    void **resume;
};

static __attribute__((noinline)) void fail(struct shared *shared, int step, long error) {
    shared->error = (int)-error;
    shared->step = step;
    if (shared->resume != NULL) __builtin_longjmp(shared->resume, 1);
    raw(SYS_exit_group, 127, 0, 0, 0, 0);
    __builtin_unreachable();
}

// clone3 with a new stack needs assembly: the child returns on an empty stack and must call on.
static long clone3_call(struct clone_args *arguments, void (*entry)(struct shared *), struct shared *shared) {
    long value;
    register void (*r8)(struct shared *) __asm__("r8") = entry;
    register struct shared *r9 __asm__("r9") = shared;
    __asm__ volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "xor %%ebp, %%ebp\n\t"
        "mov %%r9, %%rdi\n\t"
        "call *%%r8\n\t"
        "ud2\n"
        "1:"
        : "=a"(value)
        : "a"((long)SYS_clone3), "D"(arguments), "S"((long)sizeof *arguments), "r"(r8), "r"(r9)
        : "rcx", "r11", "memory");
    return value;
}

// clone3 with every signal blocked, so that no handler of the parent's can run on the child's stack.
static long clone_blocked(struct clone_args *arguments, void (*entry)(struct shared *), struct shared *shared) {
    uint64_t all = ~0ull, old = 0;
    raw(SYS_rt_sigprocmask, SIG_BLOCK, &all, &old, 8, 0);
    long pid = clone3_call(arguments, entry, shared);
    raw(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, 8, 0);
    return pid;
}

// CLONE_CLEAR_SIGHAND resets handlers but leaves ignored signals ignored, and those survive execve.
// A caller that ignores SIGPIPE or SIGCHLD must not change what runs in the jail.
static void default_signals(void) {
    struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; } action = {0};
    for (int number = 1; number <= 64; number++)
        if (number != SIGKILL && number != SIGSTOP) raw(SYS_rt_sigaction, number, &action, NULL, 8, 0);
    uint64_t none = 0;
    raw(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8, 0);
}

static long set_capabilities(uint64_t permitted, uint64_t inheritable) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)permitted, (uint32_t)permitted, (uint32_t)inheritable},
        {(uint32_t)(permitted >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
    };
    return raw(SYS_capset, &header, data, 0, 0, 0);
}

// Until the gate opens, the child is nothing but a task that sleeps in read(2), without a program to load. Returns the executable's new number.
static long await_gate(struct shared *shared, long executable) {
    const struct cordon_clone_request *request = shared->request;
    char byte;
    long error, gate = raw(SYS_fcntl, request->gate, F_DUPFD_CLOEXEC, 10, 0, 0);
    if (gate < 0) fail(shared, 2, gate);
    // The gate's writing end must exist only in the parent, or end-of-file never comes. So nothing else may cross.
    if ((error = raw(SYS_dup3, executable, 4, O_CLOEXEC, 0, 0)) < 0) fail(shared, 2, error);
    if ((error = raw(SYS_dup3, gate, 5, O_CLOEXEC, 0, 0)) < 0) fail(shared, 2, error);
    if ((error = raw(SYS_close_range, 6, ~0u, 0, 0, 0)) < 0) fail(shared, 2, error);
    // Without a control socket it is whatever the caller has there, such as the socket to the system's service.
    if (request->control < 0) raw(SYS_close, 3, 0, 0, 0, 0);
    raw(SYS_prctl, PR_SET_NAME, request->arguments[0], 0, 0, 0);
    if (raw(SYS_read, 5, &byte, 1, 0, 0) > 0) raw(SYS_exit_group, 0, 0, 0, 0, 0);
    return 4;
}

static void exec_child(struct shared *shared) {
    const struct cordon_clone_request *request = shared->request;
    long error;
    default_signals();
    raw(SYS_setsid, 0, 0, 0, 0, 0);

    // 0-2 are /dev/null and 3 the control socket; the executable moves out of the way first. Nothing
    // else crosses, whatever the caller forgot to mark close-on-exec (CVE-2024-21626).
    long executable = raw(SYS_fcntl, request->executable, F_DUPFD_CLOEXEC, 10, 0, 0);
    long control = request->control < 0 ? -1 : raw(SYS_fcntl, request->control, F_DUPFD_CLOEXEC, 10, 0, 0);
    long null = raw(SYS_fcntl, request->null, F_DUPFD_CLOEXEC, 10, 0, 0);
    if (executable < 0 || null < 0 || (request->control >= 0 && control < 0)) fail(shared, 2, -EMFILE);
    for (int target = 0; target < 3; target++)
        if ((error = raw(SYS_dup3, null, target, 0, 0, 0)) < 0) fail(shared, 2, error);
    if (control >= 0 && (error = raw(SYS_dup3, control, 3, 0, 0, 0)) < 0) fail(shared, 2, error);
    if ((error = raw(SYS_close_range, control >= 0 ? 4 : 3, ~0u, CLOSE_RANGE_CLOEXEC, 0, 0)) < 0) fail(shared, 2, error);

    if (request->gate >= 0) executable = await_gate(shared, executable);
    if (request->ambient_capabilities != 0) {
        uint64_t wanted = request->ambient_capabilities;
        if ((error = set_capabilities(wanted, wanted)) < 0) fail(shared, 3, error);
        for (int capability = 0; capability < 64; capability++)
            if (wanted >> capability & 1 &&
                (error = raw(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)) < 0)
                fail(shared, 3, error);
    }
    const char *const environment[] = {NULL};
    error = raw(SYS_execveat, executable, "", request->arguments, environment, AT_EMPTY_PATH);
    fail(shared, 4, error);
}

enum { MOST_ARGUMENTS = 64, MOST_TEXT = 4096 };

// What the child reads and writes until it executes. It lies at the bottom of the child's own stack, since the
// caller goes on meanwhile.
struct stage {
    // 1 until the child has executed or is dead; the kernel clears it (CLONE_CHILD_CLEARTID, set_tid_address(2)).
    volatile uint32_t preparing;
    struct shared shared;
    struct cordon_clone_request request;
    const char *arguments[MOST_ARGUMENTS + 1];
    char text[MOST_TEXT];
};

int cordon_clone_exec(const struct cordon_clone_request *request, void *memory, size_t size, int *pidfd) {
    struct stage *stage = memory;
    size_t used = 0, count = 0;
    if (size < sizeof *stage + CORDON_STAGE_STACK) return -EINVAL;
    for (; request->arguments[count] != NULL; count++) {
        size_t length = strlen(request->arguments[count]) + 1;
        if (count == MOST_ARGUMENTS || length > MOST_TEXT - used) return -E2BIG;
        stage->arguments[count] = memcpy(stage->text + used, request->arguments[count], length);
        used += length;
    }
    stage->arguments[count] = NULL;
    stage->request = *request;
    stage->request.arguments = stage->arguments;
    stage->shared = (struct shared){.request = &stage->request};
    stage->preparing = 1;
    struct clone_args arguments = {
        .flags = request->flags | CLONE_VM | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | CLONE_CHILD_CLEARTID,
        .pidfd = (uint64_t)pidfd,
        .child_tid = (uint64_t)&stage->preparing,
        .exit_signal = SIGCHLD,
        .stack = (uint64_t)memory,
        .stack_size = size,
    };
    if (request->gate >= 0) {
        // A child that waits for the parent's death has memory of its own: the OOM killer kills whoever shares it.
        arguments.flags &= ~(uint64_t)(CLONE_VM | CLONE_CHILD_CLEARTID);
        stage->preparing = 0;
    }
    if (request->cgroup >= 0) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = (uint64_t)request->cgroup;
    }
    long pid = clone_blocked(&arguments, exec_child, &stage->shared);
    // No child, so nobody will clear it.
    if (pid < 0) stage->preparing = 0;
    return (int)pid;
}

int cordon_await_exec(void *memory, int *error) {
    struct stage *stage = memory;
    while (stage->preparing != 0)
        raw6(SYS_futex, (long)&stage->preparing, FUTEX_WAIT, 1, 0, 0, 0);
    *error = stage->shared.error;
    return stage->shared.step;
}

static void holder_child(struct shared *shared) {
    int gate = *(const int *)shared->request;
    char byte;
    // The writing end of the gate must exist only in the parent, or end-of-file never comes.
    if (gate > 0) raw(SYS_close_range, 0, gate - 1, 0, 0, 0);
    raw(SYS_close_range, gate + 1, ~0u, 0, 0, 0);
    raw(SYS_read, gate, &byte, 1, 0, 0);
    raw(SYS_exit_group, 0, 0, 0, 0, 0);
}

int cordon_clone_namespace_holder(uint64_t flags, int gate, void *stack, size_t stack_size) {
    // What the child reads lies at the bottom of its own stack: this frame is gone before it runs.
    struct { struct shared shared; int gate; } *held = stack;
    held->gate = gate;
    held->shared = (struct shared){.request = &held->gate};
    struct clone_args arguments = {
        .flags = flags | CLONE_VM | CLONE_CLEAR_SIGHAND,
        .exit_signal = SIGCHLD,
        .stack = (uint64_t)stack,
        .stack_size = stack_size,
    };
    return (int)clone_blocked(&arguments, holder_child, &held->shared);
}

static __attribute__((noinline)) void command_child(struct shared *shared) {
    const struct cordon_command *command = shared->request;
    long error;
    if (shared->resume == NULL) default_signals();
    // EPERM: it has one already, where it stood by (setsid(2)).
    if ((error = raw(SYS_setsid, 0, 0, 0, 0, 0)) < 0 &&
        raw(SYS_getsid, 0, 0, 0, 0, 0) != raw(SYS_getpid, 0, 0, 0, 0, 0))
        fail(shared, 2, error);

    long moved[3];
    for (int index = 0; index < 3; index++)
        if ((moved[index] = raw(SYS_fcntl, command->descriptors[index], F_DUPFD_CLOEXEC, 10, 0, 0)) < 0)
            fail(shared, 3, moved[index]);
    for (int index = 0; index < 3; index++)
        if ((error = raw(SYS_dup3, moved[index], index, 0, 0, 0)) < 0) fail(shared, 3, error);
    if ((error = raw(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC, 0, 0)) < 0) fail(shared, 3, error);
    if (command->controlling_terminal && (error = raw(SYS_ioctl, 0, TIOCSCTTY, 0, 0, 0)) < 0) fail(shared, 2, error);

    for (size_t index = 0; index < command->limit_count; index++) {
        struct { uint64_t soft, hard; } limit = {command->limits[index].soft, command->limits[index].hard};
        if ((error = raw(SYS_prlimit64, 0, command->limits[index].resource, &limit, NULL, 0)) < 0)
            fail(shared, 4, error);
    }
    // PR_SET_KEEPCAPS only where some must survive the change of user (`[identity] root = true`).
    if (command->capabilities != 0) raw(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
    if (command->group != UINT32_MAX &&
        (error = raw(SYS_setresgid, command->group, command->group, command->group, 0, 0)) < 0)
        fail(shared, 5, error);
    if (command->user != UINT32_MAX &&
        (error = raw(SYS_setresuid, command->user, command->user, command->user, 0, 0)) < 0)
        fail(shared, 5, error);
    // "0" is the writer itself; whether it may is a matter of who opened the file (cgroups(7)). On version 1 that one must also
    // be root or have the writer's id: a caller with subordinate ids has the command's, not the spawner's.
    for (size_t index = 0; index < command->group_count; index++)
        if ((error = raw(SYS_write, command->groups[index], "0", 1, 0, 0)) < 0) fail(shared, 10, error);
    if ((error = raw(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)) < 0) fail(shared, 6, error);
    if ((error = set_capabilities(command->capabilities, command->capabilities)) < 0) fail(shared, 6, error);
    for (int capability = 0; capability < 64; capability++)
        if (command->capabilities >> capability & 1 &&
            (error = raw(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)) < 0)
            fail(shared, 6, error);
    // With the command's own rights: a directory it may not enter is not entered for it.
    if ((error = raw(SYS_chdir, command->directory, 0, 0, 0, 0)) < 0) fail(shared, 7, error);
    if (command->ruleset >= 0 && (error = raw(SYS_landlock_restrict_self, command->ruleset, 0, 0, 0, 0)) < 0)
        fail(shared, 8, error);

    // As execvp(3): EACCES is remembered, a missing file tries the next candidate.
    long remembered = -ENOENT;
    for (const char *const *path = command->paths; *path != NULL; path++) {
        error = raw(SYS_execve, *path, command->arguments, command->environment, 0, 0);
        if (error == -EACCES) remembered = error;
        else if (error != -ENOENT && error != -ENOTDIR) {
            remembered = error;
            break;
        }
    }
    fail(shared, 9, remembered);
}

// clone(2), since the filters that the spawner is under answer clone3 with ENOSYS (its flags lie behind a
// pointer). The child finds its entry in registers that the call preserves.
static long clone_call(unsigned long flags, void *stack_top, void (*entry)(struct shared *), struct shared *shared) {
    long value;
    register void (*r12)(struct shared *) __asm__("r12") = entry;
    register struct shared *r13 __asm__("r13") = shared;
    register long r10 __asm__("r10") = 0;
    register long r8 __asm__("r8") = 0;
    __asm__ volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "xor %%ebp, %%ebp\n\t"
        "mov %%r13, %%rdi\n\t"
        "call *%%r12\n\t"
        "ud2\n"
        "1:"
        : "=a"(value)
        : "a"((long)SYS_clone), "D"(flags), "S"(stack_top), "d"(0L), "r"(r10), "r"(r8), "r"(r12), "r"(r13)
        : "rcx", "r11", "memory");
    return value;
}

int cordon_spawn_command(const struct cordon_command *command, int *failed) {
    // The OOM killer ends everybody who shares the memory of whom it ends, and one whose group has a limit of its own may
    // be ended before it has executed. Such a child has a copy, and only what it tells is shared.
    int sharing = command->has_own_limits ? MAP_SHARED : MAP_PRIVATE;
    char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return -errno;
    struct shared *shared = (struct shared *)stack;
    *shared = (struct shared){.request = command};
    unsigned long flags = CLONE_VFORK | SIGCHLD | (command->has_own_limits ? 0 : CLONE_VM) |
                          (command->as_child ? 0 : CLONE_PARENT);
    uint64_t all = ~0ull, old = 0;
    raw(SYS_rt_sigprocmask, SIG_BLOCK, &all, &old, 8, 0);
    long pid = clone_call(flags, stack + STACK, command_child, shared);
    raw(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, 8, 0);
    int step = shared->step, error = shared->error;
    munmap(stack, STACK);
    if (pid < 0) {
        *failed = 1;
        return (int)pid;
    }
    if (step != 0) {
        *failed = step;
        return -error;
    }
    return (int)pid;
}

int cordon_fork_sibling(uint64_t namespaces) {
    // As fork(2), with the caller's parent: the copy stands on a copy of this stack.
    return (int)raw6(SYS_clone, (long)(CLONE_PARENT | SIGCHLD | namespaces), 0, 0, 0, 0, 0);
}

void cordon_reset_signals(void) { default_signals(); }

int cordon_become_command(const struct cordon_command *command, int *failed) {
    void *resume[5];
    struct shared shared = {.request = command, .resume = resume};
    if (__builtin_setjmp(resume) == 0) command_child(&shared);
    *failed = shared.step;
    return -shared.error;
}
