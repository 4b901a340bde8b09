// What Swift cannot express about Linux, and nothing else.
//
// Three kinds of things live here:
//   1. headers that the Glibc module leaves out (epoll, prctl, mount, ...), re-exported;
//   2. system calls that glibc 2.36 has no function for, or only a variadic one;
//   3. code that runs between clone3 and execve, where only raw calls are allowed.
//
// Unless it says otherwise, a function returns a non-negative result, or -errno. None allocates, and only one keeps state.
#ifndef CORDON_CLINUX_H
#define CORDON_CLINUX_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <linux/sched.h>

// What glibc shows only under _GNU_SOURCE. That cannot be defined here: structures would then differ
// between this module and Swift's Glibc module, and Swift refuses to load both.
int pipe2(int ends[2], int flags);
int memfd_create(const char *name, unsigned int flags);
int setresuid(uid_t real, uid_t effective, uid_t saved);
int setresgid(gid_t real, gid_t effective, gid_t saved);
int unshare(int flags);
int setns(int descriptor, int type);
int close_range(unsigned int first, unsigned int last, int flags);
ssize_t getdents64(int directory, void *buffer, size_t length);
ssize_t splice(int from, int64_t *from_offset, int to, int64_t *to_offset, size_t length, unsigned int flags);
const char *strerrorname_np(int number);
const char *strerrordesc_np(int number);
#ifndef O_PATH
#define O_PATH 010000000
#endif
#ifndef O_TMPFILE
#define O_TMPFILE (020000000 | O_DIRECTORY)
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 0x0001U
#endif
#ifndef POLLRDHUP
#define POLLRDHUP 0x2000
#endif
#ifndef F_SETPIPE_SZ
#define F_SETPIPE_SZ 1031
#endif

// MARK: - Calls without a glibc function

/// openat2(2). glibc 2.36 has no wrapper. Returns a descriptor.
int cordon_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

/// pivot_root(2). glibc has no wrapper.
int cordon_pivot_root(const char *new_root, const char *put_old);

/// keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL): a fresh, anonymous session keyring. keyctl is variadic
/// and lives in libkeyutils, which nothing else here needs.
int cordon_join_session_keyring(void);

/// seccomp(SECCOMP_SET_MODE_FILTER). `program` is an array of `struct sock_filter` of `bytes` bytes.
int cordon_seccomp_load(const void *program, size_t bytes);

/// seccomp(SECCOMP_GET_ACTION_AVAIL) for SECCOMP_RET_USER_NOTIF: 0 when the kernel has it.
int cordon_seccomp_notify_available(void);

/// landlock_create_ruleset(2) with LANDLOCK_CREATE_RULESET_VERSION: the ABI, 1 or more.
int cordon_landlock_abi(void);

/// landlock_create_ruleset(2). Only as many fields of the structure are passed as `abi` knows, since
/// linux-libc-dev 6.1 lacks the network and scope fields. Returns a descriptor.
int cordon_landlock_create(int abi, uint64_t handled_fs, uint64_t handled_net, uint64_t scoped);

/// landlock_add_rule(2) for a LANDLOCK_RULE_PATH_BENEATH.
int cordon_landlock_allow_beneath(int ruleset, int parent, uint64_t access);

/// landlock_restrict_self(2).
int cordon_landlock_restrict(int ruleset);

/// mount_setattr(2), called raw: glibc's `struct mount_attr` clashes with <linux/mount.h>.
int cordon_mount_setattr(int directory, const char *path, unsigned int flags,
                         uint64_t set, uint64_t clear, uint64_t propagation, int user_namespace);

/// fsconfig(2): FSCONFIG_SET_STRING; with a null value FSCONFIG_SET_FLAG, with a null key FSCONFIG_CMD_CREATE.
int cordon_fsconfig(int context, const char *key, const char *value);

/// fcntl(2) is variadic. OFD locks: F_OFD_SETLK on one byte at `offset`; 0 when taken.
int cordon_lock_byte(int descriptor, int64_t offset);

/// fcntl(2) with an integer argument.
int cordon_fcntl(int descriptor, int command, int argument);

/// capset(2) of the effective and permitted sets, and of the inheritable one. glibc has no wrapper.
int cordon_capset(uint64_t effective_and_permitted, uint64_t inheritable);

// MARK: - Messages with descriptors (the CMSG_ macros do not import)

/// The most descriptors one message may carry (SCM_MAX_FD).
#define CORDON_MESSAGE_DESCRIPTORS 253

/// sendmsg(2) of `bytes` with `count` descriptors as SCM_RIGHTS. Never raises SIGPIPE.
ssize_t cordon_send(int socket, const void *bytes, size_t length, const int *descriptors, size_t count);

struct cordon_received {
    ssize_t bytes;
    size_t descriptor_count;
    int descriptors[CORDON_MESSAGE_DESCRIPTORS];
    /// MSG_TRUNC or MSG_CTRUNC: part of the message was lost.
    int truncated;
};

/// recvmsg(2) with MSG_CMSG_CLOEXEC. Descriptors that arrive belong to the caller.
int cordon_receive(int socket, void *buffer, size_t capacity, int flags, struct cordon_received *received);

// MARK: - Status macros

int cordon_exited(int status);
int cordon_exit_status(int status);
int cordon_signaled(int status);
int cordon_term_signal(int status);
int cordon_is_directory(uint32_t mode);
int cordon_is_regular(uint32_t mode);
int cordon_is_symlink(uint32_t mode);
int cordon_is_socket(uint32_t mode);

// MARK: - Terminals (ioctl is variadic)

/// ioctl(2) with TIOCSPTLCK and TIOCGPTPEER, see ioctl_tty(2): the other side of a master, unlocked, opened without a path,
/// read-write and close-on-exec, nobody's controlling terminal. Returns a descriptor.
int cordon_terminal_peer(int master);

/// ioctl(2) with TIOCGWINSZ and TIOCSWINSZ.
int cordon_get_window(int terminal, uint16_t *rows, uint16_t *columns);
int cordon_set_window(int terminal, uint16_t rows, uint16_t columns);

/// ioctl(2) with TIOCGPGRP, also of a master: the foreground process group as the caller's pid namespace numbers it,
/// 0 where there is none that it could see.
int cordon_foreground_group(int terminal);

/// Until it is called with NULL, a crash of this program gives `descriptor` these settings before it goes on as it would
/// (SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT). The one thing here that keeps state, since a signal handler finds
/// nothing else; only for the thread that owns the terminal.
void cordon_restore_on_crash(int descriptor, const struct termios *settings);

// MARK: - Between clone3 and execve

struct cordon_clone_request {
    /// CLONE_NEW* flags. CLONE_VM and CLONE_PIDFD are added.
    uint64_t flags;
    /// A cgroup v2 directory for CLONE_INTO_CGROUP, or -1.
    int cgroup;
    /// The executable, opened for reading, close-on-exec.
    int executable;
    /// Becomes descriptors 0, 1 and 2.
    int null;
    /// Becomes descriptor 3: the socket to the parent. -1: none.
    int control;
    /// A pipe's reading end, or -1. The child waits on it before it executes: a byte sends it away, end-of-file lets it go
    /// on. Meanwhile it has no other descriptor but those that it starts with, and the name of its first argument.
    int gate;
    /// Become ambient, so that execve in a user namespace without id maps keeps them.
    uint64_t ambient_capabilities;
    /// A NULL-terminated argument array: at most 64, of 4 KB together. The environment is empty.
    const char *const *arguments;
};

/// What the stack of a child must have besides the bookkeeping of `cordon_clone_exec`.
#define CORDON_STAGE_STACK 8192

/// clone3 straight into new namespaces, then execveat(executable): a multi-threaded Swift process must
/// not run Swift between the two. The child shares memory (CLONE_VM), so it costs nothing to copy, and the caller
/// goes on at once: making namespaces and executing takes a millisecond. `stage` is a mapping of `size` bytes that
/// is the child's alone until `cordon_await_exec` has returned. Everything that `request` points to is copied.
/// Returns the child's pid in the caller's namespace; `*pidfd` is its pidfd.
int cordon_clone_exec(const struct cordon_clone_request *request, void *stage, size_t size, int *pidfd);

/// futex(2) FUTEX_WAIT until the child of `cordon_clone_exec` has executed or is dead. Returns 0 where it has executed
/// (or was killed before), else the step that failed, with its errno in `*error`:
/// 2 descriptors, 3 capabilities, 4 execveat.
int cordon_await_exec(void *stage, int *error);

/// Makes a process in new namespaces that does nothing but wait for end-of-file on `gate`; it holds a
/// user namespace while its maps are written and a descriptor to it is opened. It shares the caller's
/// memory and stands on `stack`, which must stay mapped until it has been waited for (with __WALL).
/// Returns its pid, or -errno.
int cordon_clone_namespace_holder(uint64_t flags, int gate, void *stack, size_t stack_size);

struct cordon_rlimit {
    int resource;
    uint64_t soft;
    uint64_t hard;
};

struct cordon_command {
    /// Candidates for the executable, NULL-terminated, tried in order as execvp(3) does.
    const char *const *paths;
    const char *const *arguments;
    const char *const *environment;
    const char *directory;
    int descriptors[3];
    /// The user and group, or UINT32_MAX to leave them alone.
    uint32_t user;
    uint32_t group;
    /// Capabilities that it keeps: effective, permitted, inheritable and ambient (0 for nearly everybody).
    uint64_t capabilities;
    const struct cordon_rlimit *limits;
    size_t limit_count;
    /// Make descriptor 0 the controlling terminal.
    int controlling_terminal;
    /// Apply one more Landlock ruleset (signal scoping where commands share the spawner's id), or -1.
    int ruleset;
    /// Whether the groups that it moves into have limits of their own.
    int has_own_limits;
    /// Whether the caller reaps it, as the init of a pid namespace must; else PID 1 does.
    int as_child;
    /// Files of cgroups that the command moves itself into, before anything of it exists that could fork.
    const int *groups;
    size_t group_count;
};

/// The child side of a command's start: cgroups of its own, a new session, default signals, descriptors 0-2 and no others,
/// rlimits, identity, capabilities, directory, Landlock, execve. With CLONE_PARENT unless `as_child`, so that PID 1, which a
/// group OOM kill spares, reaps it. Returns the pid, or -errno; `*failed` names the step:
/// 1 clone, 2 session, 3 descriptors, 4 limits, 5 identity, 6 capabilities, 7 directory, 8 Landlock, 9 execve,
/// 10 cgroups.
int cordon_spawn_command(const struct cordon_command *command, int *failed);

/// clone(2) with CLONE_PARENT and these CLONE_NEW* flags, which glibc's fork(3) does not offer: PID 1 reaps the copy. Only for
/// single-threaded programs. Zero in the copy; the pid, or -errno.
int cordon_fork_sibling(uint64_t namespaces);

/// Default actions for all signals, and none blocked.
void cordon_reset_signals(void);

/// As the child of `cordon_spawn_command`, but for the signals, which were reset before, in the calling process: between its steps there must be no Swift that could
/// allocate or throw. Returns -errno only where it fails, with the same steps; what was done until then stays done.
int cordon_become_command(const struct cordon_command *command, int *failed);

/// prctl(2) is variadic. One with an integer argument; −1 and errno as glibc's.
int cordon_prctl(int attribute, unsigned long value);

/// ioctl(2) with SIOCSIFFLAGS on "lo": `struct ifreq` is a union behind macros, which does not import.
int cordon_loopback_up(void);

/// open(2) with O_PATH|O_CLOEXEC: it is variadic, and openat2(2) is refused to whoever is under the filters.
int cordon_open_path(const char *path);

/// poll(2) for reading, at most `timeout` milliseconds (-1: for ever); after `grace` of them the program's text is let
/// go (madvise(2), MADV_DONTNEED) and the wait goes on. One C function, since returning to Swift in between would bring
/// the pages back. 0, or -errno.
int cordon_wait_lightly(int descriptor, int grace, int timeout);

/// Lets go of the program's own pages; what is needed again comes from the page cache.
void cordon_drop_text(void);

/// prctl(2) with PR_SET_NAME.
void cordon_set_name(const char *name);

/// setrlimit(2) of both values; glibc gives the first parameter an enum type in C, an integer in Swift's eyes
/// only on some versions.
int cordon_setrlimit(int resource, uint64_t value);

/// sigabbrev_np(3), hidden behind _GNU_SOURCE.
const char *cordon_signal_name(int number);

/// signal(number, SIG_IGN): the SIG_IGN macro is a cast of an integer to a function, which does not import.
void cordon_ignore_signal(int number);

/// signal(number, SIG_DFL): as above. A caller that ignores SIGCHLD passes that on, and its children are then
/// reaped before anybody can ask how they ended.
void cordon_default_signal(int number);

/// environ(7): a global variable that Swift 6 refuses to read as such.
char **cordon_environment(void);

/// execve(2): its arrays of pointers are typed differently in Swift's Glibc module.
void cordon_execve(const char *path, const char *const *arguments, const char *const *environment);

/// accept4(2) with SOCK_CLOEXEC and SOCK_NONBLOCK, hidden behind _GNU_SOURCE. The descriptor, or -errno.
int cordon_accept(int socket);

/// getsockopt(2) with SO_PEERCRED: `struct ucred` is hidden behind _GNU_SOURCE. 0, or -errno.
int cordon_peer(int socket, int *pid, unsigned *user, unsigned *group);

/// malloc_trim(3), whose header the Glibc module lacks.
void cordon_release_memory(void);

/// fork(2), which the Glibc module marks unavailable. Only for single-threaded jail-init.
int cordon_fork(void);

#endif
