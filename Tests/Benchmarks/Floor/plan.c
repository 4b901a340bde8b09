// Printed plans, read back. What the floor does is decided by the same text that `cordon run --print-plan` shows.
#define _GNU_SOURCE 1
#include "floor.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn void die(const char *what, const char *object) {
    fprintf(stderr, "floor: %s %s: %s\n", what, object, strerror(errno));
    _exit(1);
}

static uint64_t number(const char *text) { return strtoull(text, NULL, 0); }

// "name=value" as a number, or 0.
static uint64_t parameter(char **words, size_t count, const char *name, bool *found) {
    size_t length = strlen(name);
    for (size_t index = 0; index < count; index++)
        if (strncmp(words[index], name, length) == 0 && words[index][length] == '=') {
            if (found != NULL) *found = true;
            return number(words[index] + length + 1);
        }
    return 0;
}

static uint64_t mount_attributes(char *names) {
    uint64_t attributes = 0;
    for (char *name = strtok(names, ","); name != NULL; name = strtok(NULL, ","))
        if (strcmp(name, "ro") == 0) attributes |= 0x1;
        else if (strcmp(name, "nosuid") == 0) attributes |= 0x2;
        else if (strcmp(name, "nodev") == 0) attributes |= 0x4;
        else if (strcmp(name, "noexec") == 0) attributes |= 0x8;
    return attributes;
}

static uint64_t namespaces(char *names) {
    static const struct { const char *name; uint64_t flag; } all[] = {
        {"user", CLONE_NEWUSER}, {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID}, {"net", CLONE_NEWNET},
        {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP}, {"time", 0x80},
    };
    uint64_t flags = 0;
    for (char *name = strtok(names, ","); name != NULL; name = strtok(NULL, ","))
        for (size_t index = 0; index < sizeof all / sizeof *all; index++)
            if (strcmp(all[index].name, name) == 0) flags |= all[index].flag;
    return flags;
}

static char **rest(char **words, size_t from, size_t count) {
    char **copy = calloc(count - from + 1, sizeof *copy);
    memcpy(copy, words + from, (count - from) * sizeof *copy);
    return copy;
}

// A plan's step: true where the line was one.
static bool parse_step(struct plan *plan, const char *name, char **words, size_t count) {
    static const struct { const char *name; enum kind kind; } kinds[] = {
        {"fresh-keyring", FRESH_KEYRING}, {"zero-clock", ZERO_CLOCK}, {"host-name", HOST_NAME},
        {"drop-groups", DROP_GROUPS}, {"become", BECOME}, {"undumpable", UNDUMPABLE}, {"make-root", MAKE_ROOT},
        {"directory", DIRECTORY}, {"symlink", SYMLINK}, {"file", FILE_STEP}, {"attach-tree", ATTACH_TREE},
        {"clone-tree", CLONE_TREE}, {"bind", BIND}, {"file-system", FILE_SYSTEM}, {"hide", HIDE},
        {"protect", PROTECT}, {"rebind", REBIND}, {"seal-root", SEAL_ROOT}, {"pivot-root", PIVOT_ROOT},
        {"leave-old-root", LEAVE_OLD_ROOT},
        {"keep-capabilities", KEEP_CAPABILITIES}, {"loopback", LOOPBACK},
        {"fork-spawner", FORK_SPAWNER}, {"pin", PIN}, {"enter-cgroups", ENTER_CGROUPS}, {"await-root", AWAIT_ROOT}, {"await-jail", AWAIT_ROOT}, {"cgroup-namespace", CGROUP_NAMESPACE},
        {"bounding-set", BOUNDING_SET}, {"no-new-privileges", NO_NEW_PRIVILEGES},
        {"landlock", LANDLOCK}, {"filters", FILTERS}, {"limits", LIMITS}, {"identity", IDENTITY},
    };
    size_t kind = 0;
    while (kind < sizeof kinds / sizeof *kinds && strcmp(kinds[kind].name, name) != 0) kind++;
    if (kind == sizeof kinds / sizeof *kinds) return false;
    if (plan->count == MOST_STEPS) die("plan", "too many steps");
    struct step *step = &plan->steps[plan->count++];
    *step = (struct step){.kind = kinds[kind].kind};
    switch (step->kind) {
    case HOST_NAME: step->path = words[0]; break;
    case BECOME: sscanf(words[0], "%u:%u", &step->user, &step->group); break;
    case MAKE_ROOT: step->words = rest(words, 0, count); step->word_count = count; break;
    case DIRECTORY:
        step->path = words[0];
        step->mode = (uint32_t)strtoul(words[1], NULL, 8);
        step->owner = (uint32_t)number(words[2]);
        break;
    case SYMLINK: step->path = words[0]; step->source = words[2]; break;
    case FILE_STEP:
        step->path = words[0];
        step->mode = (uint32_t)strtoul(words[1], NULL, 8);
        step->size = number(words[2]);
        step->contents = malloc(step->size + 1);
        memset(step->contents, '#', step->size);
        break;
    case ATTACH_TREE: step->index = atoi(words[0] + 1); step->path = words[1]; break;
    case CLONE_TREE:
        step->index = atoi(words[0] + 1);
        step->source = words[1];
        step->attributes = mount_attributes(words[2]);
        if (count > 4) step->mapped = sscanf(words[4], "%u:%u", &step->user, &step->group) == 2;
        break;
    case BIND: case REBIND:
        step->source = words[0];
        step->path = words[1];
        step->attributes = mount_attributes(words[2]);
        break;
    case FILE_SYSTEM:
        step->source = words[0];
        step->path = words[1];
        step->attributes = mount_attributes(words[2]);
        step->words = rest(words, 3, count);
        step->word_count = count - 3;
        break;
    case PIN: step->path = words[0]; break;
    case HIDE: case PROTECT: step->path = words[0]; step->optional = count > 1; break;
    case KEEP_CAPABILITIES: case BOUNDING_SET: step->number = number(words[0]); break;
    case LANDLOCK:
        step->number = parameter(words, count, "abi", NULL);
        step->words = rest(words, 1, count);
        step->word_count = count - 1;
        break;
    case LIMITS: step->words = rest(words, 0, count); step->word_count = count; break;
    case IDENTITY: sscanf(words[0], "%u:%u", &step->user, &step->group); break;
    default: break;
    }
    return true;
}

// Lines of the machine's, in front of the plan.
static void parse_setting(struct plan *plan, const char *name, char **words, size_t count) {
    if (strcmp(name, "version1") == 0 && plan->version1_count < MOST_GROUPS)
        plan->version1[plan->version1_count++] = (struct hierarchy){words[0], words[1]};
    else if (strcmp(name, "version2") == 0) {
        plan->version2 = words[0];
        plan->version2_limits = count > 1;
    } else if (strcmp(name, "counters") == 0) plan->reads_counters = true;
    else if (strcmp(name, "filter") == 0) plan->filters[plan->filters[0] != NULL] = words[0];
    else if (strcmp(name, "working-directory") == 0) plan->directory = words[0];
    else if (strcmp(name, "command") == 0) plan->command = rest(words, 0, count);
    else if (strcmp(name, "environment") == 0) plan->environment = rest(words, 0, count);
    else if (strcmp(name, "clone") == 0) plan->namespaces = namespaces(words[0]);
    else if (strcmp(name, "map-ids") == 0) plan->own_range = strcmp(words[0], "own") == 0;
    else if (strcmp(name, "cgroups") == 0) {
        plan->memory = parameter(words, count, "memory", NULL);
        plan->swap = parameter(words, count, "swap", &plan->limits_swap);
        plan->pids = parameter(words, count, "pids", NULL);
        plan->cpu_millis = parameter(words, count, "cpu-millis", NULL);
    } else {
        // A step that is new to the product would make the floor cheaper than it is: say so.
        errno = EINVAL;
        die("plan", name);
    }
}

void parse_plan(char *text, struct plan *plan) {
    static const char *actors[] = {"supervisor", "stub", "jail-init", "spawner", "command"};
    char *line_state;
    for (char *line = strtok_r(text, "\n", &line_state); line != NULL; line = strtok_r(NULL, "\n", &line_state)) {
        char *words[256];
        size_t count = 0;
        char *state;
        for (char *word = strtok_r(line, " ", &state); word != NULL && count < 256; word = strtok_r(NULL, " ", &state))
            words[count++] = word;
        if (count == 0) continue;
        size_t first = 0;
        // A setting begins with "+", so that the actor `command` and the setting do not meet.
        if (words[0][0] == '+') words[0]++;
        else
            for (size_t actor = 0; actor < sizeof actors / sizeof *actors; actor++)
                if (strcmp(words[0], actors[actor]) == 0) first = 1;
        bool of_command = first == 1 && (strcmp(words[0], "spawner") == 0 || strcmp(words[0], "command") == 0);
        size_t before = plan->count;
        if (!parse_step(plan, words[first], words + first + 1, count - first - 1))
            parse_setting(plan, words[first], words + first + 1, count - first - 1);
        if (plan->count > before) plan->steps[before].of_command = of_command;
    }
}
