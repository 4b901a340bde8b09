// A probe that is run inside a jail and really tries to get out. See README.md for the contract.
#include "common.h"

const char *expected_init = NULL;

static const struct verb *const tables[] = {leak_verbs,    file_verbs,    mount_verbs,    syscall_verbs,
                                            process_verbs, network_verbs, resource_verbs, fact_verbs};

static void list(void) {
    puts("| verb | threat | what it does |\n|---|---|---|");
    for (size_t i = 0; i < COUNT(tables); i++)
        for (const struct verb *verb = tables[i]; verb->name; verb++)
            printf("| `%s%s%s` | %s | %s |\n", verb->name, *verb->arguments ? " " : "", verb->arguments, verb->rows,
                   verb->summary);
}

int main(int count, char **words) {
    int next = 1;
    if (next + 1 < count && strcmp(words[next], "--init") == 0) {
        expected_init = words[next + 1];
        next += 2;
    }
    if (next >= count) misused("usage: probe [--init NAME] VERB [ARGUMENT…] | probe list");
    if (strcmp(words[next], "list") == 0) {
        list();
        return SAFE;
    }
    for (size_t i = 0; i < COUNT(tables); i++)
        for (const struct verb *verb = tables[i]; verb->name; verb++) {
            if (strcmp(verb->name, words[next])) continue;
            int given = count - next - 1;
            if (given < verb->least || given > verb->most)
                misused("usage: probe [--init NAME] %s %s", verb->name, verb->arguments);
            require_jail(expected_init);
            start_report(verb->name);
            verb->run(words + next + 1, given);
            return exit_code();
        }
    misused("no such verb: %s", words[next]);
}
