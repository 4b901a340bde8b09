// Sockets and the network (24, 25). Connections are tried only where no default route leads out.
#include "common.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

struct target {
    int family, type, protocol;
    union {
        struct sockaddr any;
        struct sockaddr_un local;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_vm vm;
    } address;
    socklen_t length;
};

// Connects within 200 ms; for UDP, something has to answer.
static long reach(void *context) {
    struct target *target = context;
    int handle = socket(target->family, target->type | SOCK_NONBLOCK | SOCK_CLOEXEC, target->protocol);
    if (handle < 0) return -1;
    if (connect(handle, &target->address.any, target->length) < 0) {
        if (errno != EINPROGRESS && errno != EAGAIN) return -1;
        struct pollfd wait = {handle, POLLOUT, 0};
        int error = ETIMEDOUT;
        socklen_t size = sizeof error;
        if (poll(&wait, 1, 200) > 0) getsockopt(handle, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            errno = error;
            return -1;
        }
    }
    if (target->family == AF_UNIX || target->type != SOCK_DGRAM) return 0;
    char byte = '\n';
    struct pollfd wait = {handle, POLLIN, 0};
    if (send(handle, &byte, 1, 0) < 0) return -1;
    if (poll(&wait, 1, 200) > 0) return recv(handle, &byte, 1, 0);
    errno = ETIMEDOUT;
    return -1;
}

static struct target local(int type, const char *name, bool abstract) {
    struct target target = {.family = AF_UNIX, .type = type};
    struct sockaddr_un *address = &target.address.local;
    address->sun_family = AF_UNIX;
    size_t length = strlen(name);
    if (length + 2 > sizeof address->sun_path) misused("%s: too long for a socket's name", name);
    memcpy(address->sun_path + abstract, name, length);
    target.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return target;
}
static struct target inet(int type, const char *where, int port) {
    struct target target = {.type = type};
    if (inet_pton(AF_INET, where, &target.address.v4.sin_addr) == 1) {
        target.family = target.address.v4.sin_family = AF_INET;
        target.address.v4.sin_port = htons((uint16_t)port);
        target.length = sizeof target.address.v4;
    } else {
        if (inet_pton(AF_INET6, where, &target.address.v6.sin6_addr) != 1) misused("%s: not an address", where);
        target.family = target.address.v6.sin6_family = AF_INET6;
        target.address.v6.sin6_port = htons((uint16_t)port);
        target.length = sizeof target.address.v6;
    }
    return target;
}

static const struct {
    int type;
    const char *name;
} kinds[] = {{SOCK_STREAM, "stream"}, {SOCK_DGRAM, "dgram"}, {SOCK_SEQPACKET, "seqpacket"}};

static long send_to(void *context) {
    struct target *target = context;
    int handle = socket(target->family, target->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return handle < 0 ? -1 : sendto(handle, "x", 1, 0, &target->address.any, target->length);
}

static void abstract_socket(char **arguments, int count) {
    (void)count;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct target target = local(kinds[i].type, arguments[0], true);
        // Servers bind with a trailing NUL or, more often, without it: both names are tried.
        struct target longer = target;
        longer.length++;
        try_it(text("connect-%s @%s", kinds[i].name, arguments[0]), ANY, reach, &target);
        try_it(text("connect-%s @%s\\0", kinds[i].name, arguments[0]), ANY, reach, &longer);
        if (kinds[i].type == SOCK_DGRAM) try_it(text("sendto @%s", arguments[0]), ANY, send_to, &target);
    }
    char line[512];
    int total = -1;
    FILE *sockets = fopen("/proc/self/net/unix", "re");
    while (sockets && fgets(line, sizeof line, sockets)) total++;
    if (sockets) fclose(sockets);
    observed("proc-net-unix=%d", total);
}

static void path_socket(char **arguments, int count) {
    const char *path = arguments[0], *scratch = count > 1 ? arguments[1] : "/tmp";
    const char *link_path = text("%s/.cordon-probe-s%d", scratch, getpid());
    const char *names[4] = {path}, *labels[4] = {"direct"};
    size_t total = 1;
    if (path[0] == '/' && strlen(path) < 80) names[total] = text("/proc/self/root%s", path), labels[total++] = "proc-self-root";
    if (strlen(link_path) < 100 && symlink(path, link_path) == 0) names[total] = link_path, labels[total++] = "symlink";
    int handle = open(path, O_PATH | O_CLOEXEC);
    if (handle >= 0) names[total] = text("/proc/self/fd/%d", handle), labels[total++] = "proc-self-fd";
    for (size_t i = 0; i < total; i++)
        for (size_t j = 0; j < COUNT(kinds); j++) {
            struct target target = local(kinds[j].type, names[i], false);
            // EPROTOTYPE says that the socket was found and is of another kind: out of reach it is not.
            struct result result = in_child(reach, &target);
            const char *label = text("connect-%s %s", kinds[j].name, labels[i]);
            if (result.end == RETURNED && result.value < 0 && result.error == EPROTOTYPE) observed("%s=wrong-type", label);
            else report(label, ANY, result);
            if (kinds[j].type == SOCK_DGRAM) {
                result = in_child(send_to, &target);
                if (result.end == RETURNED && result.value < 0 && result.error == EPROTOTYPE) observed("sendto %s=wrong-type", labels[i]);
                else report(text("sendto %s", labels[i]), ANY, result);
            }
        }
    if (handle >= 0) close(handle);
    unlink(link_path);
}

static long serve(struct target *target) {
    int server = socket(AF_UNIX, target->type | SOCK_CLOEXEC, 0);
    if (server < 0 || bind(server, &target->address.any, target->length) < 0) return -1;
    if (target->type != SOCK_DGRAM && listen(server, 8) < 0) return -1;
    return reach(target);
}
static long serve_it(void *target) { return serve(target); }

static void own_sockets(char **arguments, int count) {
    const char *directory = count ? arguments[0] : "/tmp";
    for (size_t i = 0; i < COUNT(kinds); i++) {
        int pair[2];
        char byte = 0;
        bool works = socketpair(AF_UNIX, kinds[i].type | SOCK_CLOEXEC, 0, pair) == 0;
        works = works && write(pair[0], "x", 1) == 1 && read(pair[1], &byte, 1) == 1 && byte == 'x';
        must_work(text("socketpair-%s", kinds[i].name), works, errno);
        struct target abstract = local(kinds[i].type, text("cordon-probe-%d-%zu", getpid(), i), true);
        struct result result = in_child(serve_it, &abstract);
        must_work(text("abstract-%s", kinds[i].name), result.end == RETURNED && result.value >= 0, result.error);
        const char *path = text("%s/.cordon-probe-%d-%zu", directory, getpid(), i);
        struct target named = local(kinds[i].type, path, false);
        result = in_child(serve_it, &named);
        must_work(text("path-%s", kinds[i].name), result.end == RETURNED && result.value >= 0, result.error);
        unlink(path);
    }
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct target loopback = inet(SOCK_STREAM, "127.0.0.1", 0);
    bool works = server >= 0 && bind(server, &loopback.address.any, loopback.length) == 0 && listen(server, 8) == 0 &&
                 getsockname(server, &loopback.address.any, &loopback.length) == 0;
    struct result result = {.error = errno, .value = -1};
    if (works) result = in_child(reach, &loopback);
    observed("loopback=%s", result.value >= 0 ? "ok" : error_name(result.error));
}

// A descriptor that came with a message, or -1.
static int received(int handle) {
    char byte, room[CMSG_SPACE(16 * sizeof(int))];
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    if (recvmsg(handle, &message, MSG_DONTWAIT | MSG_PEEK | MSG_CMSG_CLOEXEC) < 0) return -1;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part))
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
            int got;
            memcpy(&got, CMSG_DATA(part), sizeof got);
            return got;
        }
    errno = ENODATA;
    return -1;
}

static void scm(char **arguments, int count) {
    for (int handle = 0; handle < 3; handle++) {
        struct stat status;
        if (fstat(handle, &status) < 0 || !S_ISSOCK(status.st_mode)) {
            observed("fd%d=no-socket", handle);
            continue;
        }
        int got = received(handle);
        if (got >= 0) succeeded("fd%d gave a descriptor", handle);
        else refused(errno, "fd%d", handle);
    }
    for (int i = 0; i < count; i++) {
        bool abstract = arguments[i][0] == '@';
        struct target target = local(SOCK_STREAM, arguments[i] + abstract, abstract);
        int handle = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (handle < 0 || connect(handle, &target.address.any, target.length) < 0) {
            refused(errno, "connect %s", arguments[i]);
            continue;
        }
        struct pollfd wait = {handle, POLLIN, 0};
        poll(&wait, 1, 300);
        if (received(handle) >= 0) succeeded("%s gave a descriptor", arguments[i]);
        else succeeded("%s connected, no descriptor came", arguments[i]);
        close(handle);
    }
    // Between two of its own processes it is ordinary.
    int pair[2];
    bool works = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0;
    if (works) {
        char byte = 'x';
        union {
            char room[CMSG_SPACE(sizeof(int))];
            struct cmsghdr header;
        } control = {0};
        control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), &(int){STDIN_FILENO}, sizeof(int));
        struct iovec data = {&byte, 1};
        struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        works = sendmsg(pair[0], &message, 0) == 1 && received(pair[1]) >= 0;
    }
    observed("own-scm=%s", works ? "ok" : error_name(errno));
}

static long audit_packet(void *context) {
    const int *parts = context;
    return socket(parts[0], parts[1], parts[2]);
}

static long set_interface(void *request) {
    int handle = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq interface = {.ifr_name = "lo"};
    if (handle < 0 || ioctl(handle, SIOCGIFFLAGS, &interface) < 0) return -1;
    // The same flags again: who may do this may change them.
    return ioctl(handle, *(unsigned long *)request, &interface);
}

static void net(char **arguments, int count) {
    int port = count ? (int)number(arguments[0], 1, 65535) : 80;
    char line[512];
    FILE *interfaces = fopen("/proc/self/net/dev", "re");
    while (interfaces && fgets(line, sizeof line, interfaces)) {
        char *colon = strchr(line, ':');
        if (!colon) continue;
        *colon = 0;
        observed("interface=%s", line + strspn(line, " "));
    }
    if (interfaces) fclose(interfaces);
    else observed("interface=unreadable %s", error_name(errno));

    const char *const sockets[] = {"/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/crio/crio.sock",
                                   "/run/systemd/private", "/run/systemd/notify", "/run/systemd/journal/socket", "/dev/log", "/run/dbus/system_bus_socket",
                                   "/run/cordon/supervisor.sock", "/run/cordon.sock", "/run/nscd/socket", "/tmp/.X11-unix/X0"};
    for (size_t i = 0; i < COUNT(sockets); i++) {
        struct target stream = local(SOCK_STREAM, sockets[i], false), datagram = local(SOCK_DGRAM, sockets[i], false);
        try_it(text("connect %s", sockets[i]), ANY, reach, &stream);
        try_it(text("connect-dgram %s", sockets[i]), ANY, reach, &datagram);
    }
    const char *const environment[] = {"SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "WAYLAND_DISPLAY", "DISPLAY", "DOCKER_HOST"};
    for (size_t i = 0; i < COUNT(environment); i++)
        if (getenv(environment[i])) observed("%s=%s", environment[i], getenv(environment[i]));

    const struct {
        const char *name;
        int parts[3];
    } privileged[] = {
        {"raw-icmp", {AF_INET, SOCK_RAW, IPPROTO_ICMP}}, {"raw-ip", {AF_INET, SOCK_RAW, IPPROTO_RAW}},
        {"packet-raw", {AF_PACKET, SOCK_RAW, 0x300}},    {"packet-dgram", {AF_PACKET, SOCK_DGRAM, 0x300}},
        {"vsock", {AF_VSOCK, SOCK_STREAM, 0}},           {"alg", {38, SOCK_SEQPACKET, 0}},
        {"xdp", {44, SOCK_RAW, 0}},                      {"bluetooth", {31, SOCK_RAW, 1}},
        {"can", {29, SOCK_RAW, 1}},                      {"key", {15, SOCK_RAW, 2}},
        {"netlink-netfilter", {AF_NETLINK, SOCK_RAW, 12}}, {"tipc", {30, SOCK_STREAM, 0}},
        {"qipcrtr", {42, SOCK_DGRAM, 0}},                {"smc", {43, SOCK_STREAM, 0}},
        {"rds", {21, SOCK_SEQPACKET, 0}},                {"ax25", {3, SOCK_SEQPACKET, 0}},
    };
    for (size_t i = 0; i < COUNT(privileged); i++) try_it(text("socket-%s", privileged[i].name), ANY, audit_packet, (void *)privileged[i].parts);
    const struct {
        const char *name;
        int parts[3];
    } ordinary[] = {{"inet-stream", {AF_INET, SOCK_STREAM, 0}}, {"inet-dgram", {AF_INET, SOCK_DGRAM, 0}}, {"inet6-stream", {AF_INET6, SOCK_STREAM, 0}},
                    {"ping", {AF_INET, SOCK_DGRAM, IPPROTO_ICMP}}, {"netlink-route", {AF_NETLINK, SOCK_RAW, NETLINK_ROUTE}},
                    {"netlink-audit", {AF_NETLINK, SOCK_RAW, NETLINK_AUDIT}}, {"netlink-uevent", {AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT}},
                    {"unix", {AF_UNIX, SOCK_STREAM, 0}}};
    for (size_t i = 0; i < COUNT(ordinary); i++) {
        struct result result = in_child(audit_packet, (void *)ordinary[i].parts);
        if (result.end != RETURNED) report(text("socket-%s", ordinary[i].name), ANY, result);
        else observed("socket-%s=%s", ordinary[i].name, result.value >= 0 ? "ok" : error_name(result.error));
    }
    unsigned long set_flags = SIOCSIFFLAGS;
    try_it("set-interface-flags", ANY, set_interface, &set_flags);
    struct target hypervisor = {.family = AF_VSOCK, .type = SOCK_STREAM, .length = sizeof hypervisor.address.vm};
    hypervisor.address.vm = (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = (unsigned)port};

    if (has_default_route()) {
        observed("connect=skipped has-default-route");
        return;
    }
    try_it("connect-vsock-host", ANY, reach, &hypervisor);
    const struct {
        const char *where;
        int port, type;
    } places[] = {{"169.254.169.254", 80, SOCK_STREAM}, {"169.254.170.2", 80, SOCK_STREAM}, {"127.0.0.1", port, SOCK_STREAM}, {"127.0.0.1", 2375, SOCK_STREAM},
                  {"127.0.0.53", 53, SOCK_DGRAM}, {"::1", port, SOCK_STREAM}, {"172.17.0.1", port, SOCK_STREAM}, {"10.0.2.2", port, SOCK_STREAM},
                  {"192.0.2.1", 443, SOCK_STREAM}, {"2001:db8::1", 443, SOCK_STREAM}, {"169.254.169.254", 53, SOCK_DGRAM}, {"127.0.0.1", port, SOCK_DGRAM},
                  {"::1", port, SOCK_DGRAM}, {"192.0.2.1", 53, SOCK_DGRAM}, {"224.0.0.251", 5353, SOCK_DGRAM}};
    for (size_t i = 0; i < COUNT(places); i++) {
        struct target target = inet(places[i].type, places[i].where, places[i].port);
        try_it(text("%s %s %d", places[i].type == SOCK_STREAM ? "tcp" : "udp", places[i].where, places[i].port), ANY, reach, &target);
    }
}

const struct verb network_verbs[] = {
    {"abstract-socket", "NAME", "24", 1, 1, abstract_socket, "reaches for an abstract socket of the host or another jail"},
    {"path-socket", "PATH [SCRATCH]", "24", 1, 2, path_socket, "reaches for a socket by path, symlink and /proc"},
    {"own-sockets", "[DIR]", "24", 0, 1, own_sockets, "socketpair and sockets of its own, which have to work"},
    {"scm", "[PATH-OR-@NAME…]", "24", 0, 16, scm, "waits for descriptors on 0-2 and on the sockets named"},
    {"net", "[PORT]", "25", 0, 1, net, "interfaces, socket families, well-known sockets, and (without a default route) addresses"},
    {0},
};
