// The reference: what a jail costs when nothing but the kernel has to be paid.
#ifndef FLOOR_H
#define FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// One step of a printed plan.
enum kind {
    FRESH_KEYRING, ZERO_CLOCK, HOST_NAME, DROP_GROUPS, BECOME, UNDUMPABLE, MAKE_ROOT, DIRECTORY, SYMLINK, FILE_STEP,
    ATTACH_TREE, CLONE_TREE, BIND, FILE_SYSTEM, HIDE, PROTECT, REBIND, SEAL_ROOT, PIVOT_ROOT, LEAVE_OLD_ROOT, KEEP_CAPABILITIES,
    LOOPBACK, FORK_SPAWNER, PIN, ENTER_CGROUPS, AWAIT_ROOT, CGROUP_NAMESPACE, BOUNDING_SET, NO_NEW_PRIVILEGES, LANDLOCK, FILTERS, LIMITS, IDENTITY,
};

struct step {
    enum kind kind;
    /// Whether it is the spawner's or the command's, and so its process's here, not PID 1's.
    bool of_command;
    bool optional;
    int index;
    const char *source, *path;
    uint64_t attributes;
    uint32_t mode, owner;
    /// clone-tree: the owner's ids on the host, and whether they are mapped.
    bool mapped;
    uint32_t user, group;
    /// file-system and make-root parameters, Landlock paths: `name=value` each.
    char **words;
    size_t word_count;
    /// file: its contents, as long as the plan says.
    char *contents;
    size_t size;
    uint64_t number;
};

enum { MOST_STEPS = 1024, MOST_GROUPS = 8, MOST_TREES = 64 };

/// A cgroup hierarchy that gets a group for each jail.
struct hierarchy {
    const char *controller, *base;
};

struct plan {
    struct step steps[MOST_STEPS];
    size_t count;
    uint64_t namespaces;
    bool own_range;
    /// Limits, 0 where there is none.
    uint64_t memory, pids, cpu_millis;
    bool limits_swap;
    uint64_t swap;
    /// Version 1 hierarchies, and the version 2 directory or NULL.
    struct hierarchy version1[MOST_GROUPS];
    size_t version1_count;
    const char *version2;
    bool version2_limits;
    bool reads_counters;
    const char *filters[2];
    const char *directory;
    char **command;
    char **environment;
};

/// Reads the text that the benchmark wrote: lines of the machine's, then those of a printed plan.
void parse_plan(char *text, struct plan *plan);

/// Ends the program with the call that failed and errno.
_Noreturn void die(const char *what, const char *object);

/// Everything between the clone and the report: PID 1's whole life. `control` is the socket to the parent.
_Noreturn void live_as_init(struct plan *plan, int control);

/// A message on a socket: a byte and descriptors.
void send_message(int socket, char byte, const int *descriptors, size_t count);
size_t receive_message(int socket, char *byte, int *descriptors, size_t capacity);

void write_text(int directory, const char *path, const char *text);

#endif
