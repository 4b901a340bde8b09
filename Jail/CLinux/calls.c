// Thin wrappers over system calls and macros that Swift cannot reach. See CLinux.h for why each is here.
#define _GNU_SOURCE 1
#include "CLinux.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>

static int result(long value) { return value < 0 ? -errno : (int)value; }

int cordon_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    return result(syscall(SYS_openat2, directory, path, &how, sizeof how));
}

int cordon_pivot_root(const char *new_root, const char *put_old) {
    return result(syscall(SYS_pivot_root, new_root, put_old));
}

int cordon_join_session_keyring(void) {
    return result(syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL));
}

int cordon_seccomp_load(const void *program, size_t bytes) {
    struct sock_fprog filter = {
        .len = (unsigned short)(bytes / sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)program,
    };
    if (bytes % sizeof(struct sock_filter) != 0 || bytes / sizeof(struct sock_filter) > BPF_MAXINSNS) return -EINVAL;
    return result(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter));
}

int cordon_seccomp_notify_available(void) {
    uint32_t action = SECCOMP_RET_USER_NOTIF;
    return result(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
}

int cordon_landlock_abi(void) {
    return result(syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION));
}

int cordon_landlock_create(int abi, uint64_t handled_fs, uint64_t handled_net, uint64_t scoped) {
    // The kernel's structure of ABI 6 and later; ABI 4 and 5 know two fields, earlier ones the first.
    struct { uint64_t fs, net, scoped; } attributes = {handled_fs, handled_net, scoped};
    size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
    return result(syscall(SYS_landlock_create_ruleset, &attributes, size, 0));
}

int cordon_landlock_allow_beneath(int ruleset, int parent, uint64_t access) {
    struct landlock_path_beneath_attr attributes = {.allowed_access = access, .parent_fd = parent};
    return result(syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attributes, 0));
}

int cordon_landlock_restrict(int ruleset) { return result(syscall(SYS_landlock_restrict_self, ruleset, 0)); }

int cordon_mount_setattr(int directory, const char *path, unsigned int flags,
                         uint64_t set, uint64_t clear, uint64_t propagation, int user_namespace) {
    struct { uint64_t set, clear, propagation, userns; } attributes = {
        set, clear, propagation, user_namespace < 0 ? 0 : (uint64_t)user_namespace};
    return result(syscall(SYS_mount_setattr, directory, path, flags, &attributes, sizeof attributes));
}

int cordon_fsconfig(int context, const char *key, const char *value) {
    unsigned int command = key == NULL ? FSCONFIG_CMD_CREATE : value == NULL ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
    return result(syscall(SYS_fsconfig, context, command, key, value, 0));
}

int cordon_lock_byte(int descriptor, int64_t offset) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
    return result(fcntl(descriptor, F_OFD_SETLK, &lock));
}

int cordon_fcntl(int descriptor, int command, int argument) { return result(fcntl(descriptor, command, argument)); }

int cordon_capset(uint64_t effective_and_permitted, uint64_t inheritable) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)effective_and_permitted, (uint32_t)effective_and_permitted, (uint32_t)inheritable},
        {(uint32_t)(effective_and_permitted >> 32), (uint32_t)(effective_and_permitted >> 32),
         (uint32_t)(inheritable >> 32)},
    };
    return result(syscall(SYS_capset, &header, data));
}

ssize_t cordon_send(int socket, const void *bytes, size_t length, const int *descriptors, size_t count) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * CORDON_MESSAGE_DESCRIPTORS)];
    } control;
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > CORDON_MESSAGE_DESCRIPTORS) return -E2BIG;
    if (count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
    }
    ssize_t sent;
    do sent = sendmsg(socket, &message, MSG_NOSIGNAL); while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

int cordon_receive(int socket, void *buffer, size_t capacity, int flags, struct cordon_received *received) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * CORDON_MESSAGE_DESCRIPTORS)];
    } control;
    struct iovec part = {.iov_base = buffer, .iov_len = capacity};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
    ssize_t count;
    do count = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC); while (count < 0 && errno == EINTR);
    if (count < 0) return -errno;
    received->bytes = count;
    received->descriptor_count = 0;
    received->truncated = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET) continue;
        if (header->cmsg_type == SCM_RIGHTS) {
            size_t arrived = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            const unsigned char *data = CMSG_DATA(header);
            for (size_t index = 0; index < arrived; index++) {
                int descriptor;
                memcpy(&descriptor, data + index * sizeof(int), sizeof(int));
                if (received->descriptor_count < CORDON_MESSAGE_DESCRIPTORS)
                    received->descriptors[received->descriptor_count++] = descriptor;
                else close(descriptor);
            }
        }
    }
    return 0;
}

int cordon_exited(int status) { return WIFEXITED(status); }
int cordon_exit_status(int status) { return WEXITSTATUS(status); }
int cordon_signaled(int status) { return WIFSIGNALED(status); }
int cordon_term_signal(int status) { return WTERMSIG(status); }
int cordon_is_directory(uint32_t mode) { return S_ISDIR(mode); }
int cordon_is_regular(uint32_t mode) { return S_ISREG(mode); }
int cordon_is_symlink(uint32_t mode) { return S_ISLNK(mode); }
int cordon_is_socket(uint32_t mode) { return S_ISSOCK(mode); }

void cordon_execve(const char *path, const char *const *arguments, const char *const *environment) {
    execve(path, (char *const *)arguments, (char *const *)environment);
}

int cordon_fork(void) { return result(fork()); }

int cordon_prctl(int attribute, unsigned long value) { return prctl(attribute, value, 0, 0, 0); }

const char *cordon_signal_name(int number) { return sigabbrev_np(number); }

void cordon_ignore_signal(int number) { signal(number, SIG_IGN); }

void cordon_default_signal(int number) { signal(number, SIG_DFL); }

char **cordon_environment(void) { return environ; }

void cordon_set_name(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

int cordon_setrlimit(int resource, uint64_t value) {
    struct rlimit limit = {.rlim_cur = value, .rlim_max = value};
    return result(setrlimit(resource, &limit));
}

int cordon_loopback_up(void) {
    int socket_descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket_descriptor < 0) return -errno;
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int status = result(ioctl(socket_descriptor, SIOCSIFFLAGS, &request));
    close(socket_descriptor);
    return status;
}

int cordon_open_path(const char *path) { return result(open(path, O_PATH | O_CLOEXEC)); }

// The linker's names for the ends of the program's text.
extern char __executable_start, etext;

void cordon_drop_text(void) {
    enum { page = 4096 };
    // Only whole pages of text: clean, private, backed by the file. Written data is never touched.
    uintptr_t first = ((uintptr_t)&__executable_start + page - 1) & ~(uintptr_t)(page - 1);
    uintptr_t last = (uintptr_t)&etext & ~(uintptr_t)(page - 1);
    madvise((void *)first, last - first, MADV_DONTNEED);
}

int cordon_wait_lightly(int descriptor, int grace, int timeout) {
    struct pollfd entry = {.fd = descriptor, .events = POLLIN};
    bool is_long = timeout < 0 || timeout > grace;
    int ready = poll(&entry, 1, is_long ? grace : timeout);
    if (ready == 0 && is_long) {
        cordon_drop_text();
        ready = poll(&entry, 1, timeout < 0 ? -1 : timeout - grace);
    }
    return ready < 0 && errno != EINTR ? -errno : 0;
}

int cordon_accept(int socket) { return result(accept4(socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)); }

int cordon_peer(int socket, int *pid, unsigned *user, unsigned *group) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return -errno;
    *pid = peer.pid;
    *user = peer.uid;
    *group = peer.gid;
    return 0;
}

void cordon_release_memory(void) { malloc_trim(0); }
