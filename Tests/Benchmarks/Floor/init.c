// PID 1 of the floor's jail, and the command that it forks.
#define _GNU_SOURCE 1
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int root = -1;

void write_text(int directory, const char *path, const char *text) {
    int file = openat(directory, path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, text, strlen(text)) < 0) die("write", path);
    close(file);
}

void send_message(int socket, char byte, const int *descriptors, size_t count) {
    char space[CMSG_SPACE(sizeof(int) * 64)] __attribute__((aligned(8))) = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = space;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){CMSG_LEN(sizeof(int) * count), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
    }
    if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) die("sendmsg", "");
}

size_t receive_message(int socket, char *byte, int *descriptors, size_t capacity) {
    char space[CMSG_SPACE(sizeof(int) * 64)] __attribute__((aligned(8)));
    struct iovec part = {byte, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (got <= 0) die("recvmsg", got == 0 ? "end of file" : "");
    size_t count = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_type == SCM_RIGHTS) {
            count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            if (count > capacity) die("recvmsg", "too many descriptors");
            memcpy(descriptors, CMSG_DATA(header), count * sizeof(int));
        }
    }
    return count;
}

// MARK: - The root

static const char *relative(const char *path) { return path[1] == 0 ? "." : path + 1; }

static int find(const char *path) {
    struct open_how how = {
        .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root, relative(path), &how, sizeof how);
}

static void make_parents(const char *path) {
    char copy[4096];
    snprintf(copy, sizeof copy, "%s", relative(path));
    for (char *slash = strchr(copy, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdirat(root, copy, 0755) < 0 && errno != EEXIST) die("mkdir", copy);
        *slash = '/';
    }
}

static void make_directory(const char *path, uint32_t mode) {
    if (mkdirat(root, relative(path), mode) < 0) {
        if (errno == ENOENT) {
            make_parents(path);
            if (mkdirat(root, relative(path), mode) < 0) die("mkdir", path);
        } else if (errno != EEXIST) die("mkdir", path);
    }
    if (mode & 01000 && fchmodat(root, relative(path), mode, 0) < 0) die("chmod", path);
}

static void make_file(const char *path, const char *contents, size_t size, uint32_t mode) {
    int file = openat(root, relative(path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (file < 0 && errno == ENOENT) {
        make_parents(path);
        file = openat(root, relative(path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    }
    if (file < 0 || (size > 0 && write(file, contents, size) < 0)) die("file", path);
    close(file);
}

static void set_attributes(int tree, uint64_t attributes, unsigned recursive) {
    struct { uint64_t set, clear, propagation, userns; } values = {attributes, 0, 0, 0};
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | recursive, &values, sizeof values) < 0)
        die("mount_setattr", "");
}

static void attach_at(int tree, int place, const char *path) {
    if (move_mount(tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        die("move_mount", path);
    close(place);
}

static void attach(int tree, const char *path) {
    int place = find(path);
    if (place < 0) {
        struct stat status;
        if (fstat(tree, &status) < 0) die("fstat", path);
        if (S_ISDIR(status.st_mode)) make_directory(path, 0755);
        else make_file(path, "", 0, 0444);
        place = find(path);
        if (place < 0) die("openat2", path);
    }
    attach_at(tree, place, path);
    close(tree);
}

static int copy(int directory, const char *path) {
    int tree = open_tree(
        directory, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | (*path == 0 ? AT_EMPTY_PATH : 0));
    if (tree < 0) die("open_tree", path);
    return tree;
}

static int file_system(const char *type, char **words, size_t count, uint64_t attributes) {
    int context = fsopen(type, FSOPEN_CLOEXEC);
    if (context < 0) die("fsopen", type);
    for (size_t index = 0; index < count; index++) {
        char name[64];
        const char *value = strchr(words[index], '=');
        snprintf(name, sizeof name, "%.*s", (int)(value ? value - words[index] : 63), words[index]);
        if (fsconfig(context, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, name, value ? value + 1 : NULL, 0) < 0)
            die("fsconfig", words[index]);
    }
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) die("fsconfig", type);
    int mount = fsmount(context, FSMOUNT_CLOEXEC, (unsigned)attributes);
    if (mount < 0) die("fsmount", type);
    close(context);
    return mount;
}

static void make_root(const struct step *step) {
    struct { uint64_t set, clear, propagation, userns; } private = {0, 0, MS_PRIVATE, 0};
    if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof private) < 0) die("mount_setattr", "/");
    root = file_system("tmpfs", step->words, step->word_count, 0x2 | 0x4);
    if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0) die("move_mount", "/");
    make_directory("/run/cordon/hidden-directory", 0);
    make_file("/run/cordon/hidden-file", "", 0, 0);
}

static void hide(const struct step *step) {
    int place = find(step->path);
    if (place < 0 && step->optional) return;
    struct stat status;
    if (place < 0 || fstat(place, &status) < 0) die("hide", step->path);
    int substitute = find(S_ISDIR(status.st_mode) ? "/run/cordon/hidden-directory" : "/run/cordon/hidden-file");
    int tree = copy(substitute, "");
    close(substitute);
    set_attributes(tree, 0x1 | 0x2 | 0x4 | 0x8, 0);
    attach_at(tree, place, step->path);
    close(tree);
}

static void protect(const struct step *step) {
    int place = find(step->path);
    if (place < 0 && step->optional) return;
    if (place < 0) die("protect", step->path);
    int tree = copy(place, "");
    set_attributes(tree, 0x1, AT_RECURSIVE);
    attach_at(tree, place, step->path);
    close(tree);
}

static void pivot(int gate) {
    if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0) die("pivot_root", "");
    if (write(gate, "", 1) != 1) die("gate", "");
}

static void leave_old_root(void) {
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0) die("umount2", "the old root");
}

// MARK: - Giving up

static void set_capabilities(uint64_t kept) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)kept, (uint32_t)kept, 0}, {(uint32_t)(kept >> 32), (uint32_t)(kept >> 32), 0}};
    if (syscall(SYS_capset, &header, data) < 0) die("capset", "");
}

static void cut_bounding_set(uint64_t bounding) {
    for (int capability = 0; capability <= 40; capability++)
        if (!(bounding >> capability & 1) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
            die("prctl", "PR_CAPBSET_DROP");
}

static void keep_only(uint64_t kept) {
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) die("prctl", "PR_CAP_AMBIENT");
    set_capabilities(kept);
}

static void restrict_files(const struct step *step) {
    int abi = (int)step->number;
    bool scoped = false;
    // As many fields as the ABI knows; linux-libc-dev 6.1 has the first.
    struct { uint64_t fs, net, scoped; } attributes = {
        abi < 2 ? (1 << 13) - 1 : abi == 2 ? (1 << 14) - 1 : abi < 5 ? (1 << 15) - 1 : (1 << 16) - 1, 0, 0};
    for (size_t index = 0; index < step->word_count; index++) scoped |= strcmp(step->words[index], "scoped") == 0;
    if (scoped) attributes.scoped = 3;
    int rules = (int)syscall(
        SYS_landlock_create_ruleset, &attributes, abi >= 6 ? 24 : abi >= 4 ? 16 : 8, 0);
    if (rules < 0) die("landlock_create_ruleset", "");
    for (size_t index = 0; index < step->word_count; index++) {
        const char *value = strrchr(step->words[index], '=');
        if (value == NULL) continue;
        char path[4096];
        snprintf(path, sizeof path, "%.*s", (int)(value - step->words[index]), step->words[index]);
        struct landlock_path_beneath_attr rule = {
            .allowed_access = strtoull(value + 1, NULL, 0) & attributes.fs, .parent_fd = open(path, O_PATH | O_CLOEXEC)};
        if (rule.parent_fd < 0 && errno == ENOENT) continue;
        struct stat status;
        if (rule.parent_fd < 0 || fstat(rule.parent_fd, &status) < 0) die("landlock", path);
        if (!S_ISDIR(status.st_mode)) rule.allowed_access &= 0xC007;
        if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
            die("landlock_add_rule", path);
        close(rule.parent_fd);
    }
    if (syscall(SYS_landlock_restrict_self, rules, 0) < 0) die("landlock_restrict_self", "");
    close(rules);
}

static void set_limits(const struct step *step) {
    static const struct { const char *name; int resource; } all[] = {
        {"RLIMIT_FSIZE", RLIMIT_FSIZE}, {"RLIMIT_CORE", RLIMIT_CORE}, {"RLIMIT_NPROC", RLIMIT_NPROC},
        {"RLIMIT_NOFILE", RLIMIT_NOFILE}, {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    };
    for (size_t word = 0; word < step->word_count; word++)
        for (size_t index = 0; index < sizeof all / sizeof *all; index++) {
            size_t length = strlen(all[index].name);
            if (strncmp(step->words[word], all[index].name, length) != 0 || step->words[word][length] != '=') continue;
            rlim_t value = strtoull(step->words[word] + length + 1, NULL, 0);
            struct rlimit limit = {value, value};
            if (setrlimit((__rlimit_resource_t)all[index].resource, &limit) < 0) die("setrlimit", all[index].name);
        }
}

static void switch_on_loopback(void) {
    int socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    if (socket_ < 0 || ioctl(socket_, SIOCSIFFLAGS, &request) < 0) die("loopback", "");
    close(socket_);
}

static void load_filter(int file) {
    static struct sock_filter instructions[BPF_MAXINSNS];
    ssize_t size = pread(file, instructions, sizeof instructions, 0);
    if (size <= 0) die("filter", "");
    struct sock_fprog program = {(unsigned short)((size_t)size / sizeof *instructions), instructions};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0) die("seccomp", "");
}

// MARK: - The command

static void identify(const struct step *step) {
    if (step->kind == DROP_GROUPS && setgroups(0, NULL) < 0) die("setgroups", "");
    if (step->kind == BECOME && (syscall(SYS_setresgid, step->group, step->group, step->group) < 0 ||
                                 syscall(SYS_setresuid, step->user, step->user, step->user) < 0))
        die("become", "");
    if (step->kind == UNDUMPABLE) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

// Forked before the root is made, as Cordon's spawner is, so that it is placed meanwhile.
static _Noreturn void live_as_command(struct plan *plan, int gate, const int *filters, const int *ends,
                                      const int *groups, size_t group_count) {
    char byte;
    uint32_t user = 0, group = 0;
    for (size_t index = 0; index < plan->count; index++) {
        const struct step *step = &plan->steps[index];
        if (!step->of_command) continue;
        switch (step->kind) {
        case DROP_GROUPS: case BECOME: case UNDUMPABLE: identify(step); break;
        case ENTER_CGROUPS:
            // The writer itself, one thread: the kernel needs no grace period for that (cgroup_procs_write_start).
            for (size_t group_index = 0; group_index < group_count; group_index++)
                if (write(groups[group_index], "0", 1) < 0) die("attach", "tasks");
            break;
        case AWAIT_ROOT: if (read(gate, &byte, 1) != 1) die("gate", ""); break;
        case LIMITS: set_limits(step); break;
        case CGROUP_NAMESPACE: if (unshare(CLONE_NEWCGROUP) < 0) die("unshare", "cgroup"); break;
        case BOUNDING_SET: cut_bounding_set(step->number); break;
        case KEEP_CAPABILITIES: keep_only(step->number); break;
        case NO_NEW_PRIVILEGES: if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) die("prctl", ""); break;
        case LANDLOCK: restrict_files(step); break;
        case FILTERS: load_filter(filters[0]); load_filter(filters[1]); break;
        case IDENTITY: user = step->user; group = step->group; break;
        default: break;
        }
    }
    setsid();
    for (int end = 0; end < 3; end++)
        if (dup2(ends[end], end) < 0) die("dup2", "");
    syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
    if (syscall(SYS_setresgid, group, group, group) < 0 || syscall(SYS_setresuid, user, user, user) < 0)
        die("setresuid", "");
    set_capabilities(0);
    if (chdir(plan->directory) < 0) die("chdir", plan->directory);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    execve(plan->command[0], plan->command, plan->environment);
    die("execve", plan->command[0]);
}

static void zero_clock(void) {
    if (unshare(0x80 /* CLONE_NEWTIME */) < 0) die("unshare", "time");
    struct timespec monotonic, boot;
    clock_gettime(CLOCK_MONOTONIC, &monotonic);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    char text[96];
    snprintf(text, sizeof text, "monotonic -%ld 0\nboottime -%ld 0\n", (long)monotonic.tv_sec, (long)boot.tv_sec);
    write_text(AT_FDCWD, "/proc/self/timens_offsets", text);
}

_Noreturn void live_as_init(struct plan *plan, int control) {
    // From the parent: the command's three ends, two filters, a `tasks` file for each group, then the trees.
    int received[64], gate[2] = {-1, -1};
    char byte;
    size_t count = receive_message(control, &byte, received, 64);
    size_t group_count = plan->version1_count;
    const int *ends = received, *filters = received + 3, *groups = received + 5, *trees = groups + group_count;
    if (count < 5 + group_count) die("set-up", "descriptors are missing");
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);

    pid_t command = -1;
    for (size_t index = 0; index < plan->count; index++) {
        const struct step *step = &plan->steps[index];
        if (step->of_command) continue;
        switch (step->kind) {
        case FRESH_KEYRING: if (syscall(SYS_keyctl, 1, NULL) < 0) die("keyctl", ""); break;
        case ZERO_CLOCK: zero_clock(); break;
        case HOST_NAME: if (sethostname(step->path, strlen(step->path)) < 0) die("sethostname", ""); break;
        case LOOPBACK: switch_on_loopback(); break;
        case DROP_GROUPS: case BECOME: case UNDUMPABLE: identify(step); break;
        case FORK_SPAWNER:
            if (chdir("/") < 0 || pipe2(gate, O_CLOEXEC) < 0) die("pipe", "");
            command = fork();
            if (command < 0) die("fork", "");
            if (command == 0) live_as_command(plan, gate[0], filters, ends, groups, group_count);
            break;
        case MAKE_ROOT: make_root(step); break;
        case PIN: {
            int place = find(step->path);
            attach(copy(place, ""), step->path);
            close(place);
            break;
        }
        case DIRECTORY:
            make_directory(step->path, step->mode);
            if (step->owner != 0 && fchownat(root, relative(step->path), step->owner, step->owner, 0) < 0)
                die("chown", step->path);
            break;
        case SYMLINK:
            if (symlinkat(step->source, root, relative(step->path)) < 0) die("symlink", step->path);
            break;
        case FILE_STEP: make_file(step->path, step->contents, step->size, step->mode); break;
        case BIND: {
            int tree = copy(AT_FDCWD, step->source);
            set_attributes(tree, step->attributes, AT_RECURSIVE);
            attach(tree, step->path);
            break;
        }
        case REBIND: {
            int place = find(step->source);
            int tree = copy(place, "");
            close(place);
            set_attributes(tree, step->attributes, AT_RECURSIVE);
            attach(tree, step->path);
            break;
        }
        case FILE_SYSTEM:
            attach(file_system(step->source, step->words, step->word_count, step->attributes), step->path);
            break;
        case ATTACH_TREE: attach(trees[step->index], step->path); break;
        case HIDE: hide(step); break;
        case PROTECT: protect(step); break;
        case SEAL_ROOT: set_attributes(root, 0x1, 0); break;
        case PIVOT_ROOT: pivot(gate[1]); break;
        case LEAVE_OLD_ROOT: leave_old_root(); break;
        case KEEP_CAPABILITIES: keep_only(step->number); break;
        default: break;
        }
    }
    if (write(gate[1], "", 1) != 1) die("gate", "");
    for (size_t index = 0; index < count; index++) close(received[index]);
    int status;
    if (waitpid(command, &status, 0) != command) die("waitpid", "");
    // The report: 'r' where the command ended well.
    send_message(control, status == 0 ? 'r' : 'f', NULL, 0);
    _exit(0);
}
