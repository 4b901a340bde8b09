// What every file of the probe shares: the outcome lines, attempts in a child, and the table of verbs.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LINE(text, values) __attribute__((format(printf, text, values)))
#define HIGH_BIT (1UL << 32)

// The exit codes.
enum { SAFE = 0, ESCAPED = 1, MISUSED = 2, BROKEN = 3 };

// report.c: each call prints one line, `VERB: OUTCOME detail`, in a single write; bytes outside printable ASCII become
// \xHH. The tally lives in shared memory, so a forked child may report as well.
void start_report(const char *verb);
int exit_code(void);
void refused(int error, const char *detail, ...) LINE(2, 3);
void killed(int signal, const char *detail, ...) LINE(2, 3);
void succeeded(const char *detail, ...) LINE(1, 2);
void observed(const char *detail, ...) LINE(1, 2);
// A thing that has to work does not: printed as `observed`, exit code 3.
void broken(const char *detail, ...) LINE(1, 2);
// `observed LABEL=ok`, or `broken` as `LABEL=failed ERRNO`.
void must_work(const char *label, bool works, int error);
_Noreturn void misused(const char *reason, ...) LINE(1, 2);
const char *error_name(int error);
const char *signal_name(int signal, char buffer[static 16]);

// An attempt returns 0 or more when it got what it wanted, or -1 with errno.
typedef long attempt(void *context);
struct result {
    enum { RETURNED, DIED, HUNG, UNSTARTED } end;
    long value;
    int error;
    int signal;
};
// Runs it in a child of its own, so that SIGSYS is seen, and a success (a chroot, a lowered limit) is soon gone.
struct result in_child(attempt *run, void *context);
// ANY: every errno is a refusal. GATE: only EPERM, EACCES and ENOSYS are; anything else means that the call got past
// the gate and into the kernel's own argument checks, reported as `SUCCEEDED LABEL reached-kernel ERRNO`.
enum strictness { ANY, GATE };
void report(const char *label, enum strictness strictness, struct result result);
void try_it(const char *label, enum strictness strictness, attempt *run, void *context);

struct call {
    long number;
    unsigned long arguments[6];
};
struct named_call {
    const char *label;
    struct call call;
};
long raw(void *call);
void try_calls(enum strictness strictness, const struct named_call *calls, size_t count);
#define ARGUMENT(value) ((unsigned long)(uintptr_t)(value))

// Small tools. `text` formats into memory that is never freed.
char *text(const char *format, ...) LINE(1, 2);
long number(const char *digits, long least, long most);
// The value of `KEY:` in /proc/self/status, without leading blanks; false when there is none.
bool status_value(const char *key, char *value, size_t size);
ssize_t read_file(const char *path, char *buffer, size_t size);
// How reading turned out: more than 0 bytes, 0, or -1 with errno.
long read_some(const char *path);
int copy_file(int from, int to);
long milliseconds(void);
void pause_ms(long ms);

// guard.c
void require_jail(const char *expected_init);
bool mounts_propagate(void);
bool has_default_route(void);

struct verb {
    const char *name;
    const char *arguments;
    const char *rows;
    int least, most;
    void (*run)(char **arguments, int count);
    const char *summary;
};
extern const struct verb leak_verbs[], file_verbs[], mount_verbs[], syscall_verbs[], process_verbs[], network_verbs[],
    resource_verbs[], fact_verbs[];
// The words before the verb, for a probe that starts itself again.
extern const char *expected_init;
