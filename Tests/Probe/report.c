// The outcome lines, and attempts in a child.
#include "common.h"
#include <stdarg.h>
#include <sys/mman.h>
#include <time.h>

static const char *current_verb = "probe";
static struct tally {
    int escaped, broken;
} private_tally, *tally = &private_tally;

void start_report(const char *verb) {
    current_verb = verb;
    void *shared = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared != MAP_FAILED) tally = shared;
}

int exit_code(void) { return tally->escaped ? ESCAPED : tally->broken ? BROKEN : SAFE; }

static void print_line(const char *outcome, const char *detail, va_list values) {
    char plain[4096], line[sizeof plain * 4 + 256];
    vsnprintf(plain, sizeof plain, detail, values);
    size_t length = (size_t)snprintf(line, 256, "%s: %s ", current_verb, outcome);
    for (const unsigned char *byte = (const unsigned char *)plain; *byte; byte++) {
        if (*byte < 0x20 || *byte > 0x7e) length += (size_t)sprintf(line + length, "\\x%02x", *byte);
        else line[length++] = (char)*byte;
    }
    line[length++] = '\n';
    for (size_t done = 0; done < length;) {
        ssize_t written = write(STDOUT_FILENO, line + done, length - done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;
        done += (size_t)written;
    }
}

#define PRINT(outcome)                    \
    do {                                  \
        va_list values;                   \
        va_start(values, detail);         \
        print_line(outcome, detail, values); \
        va_end(values);                   \
    } while (0)

const char *error_name(int error) {
    const char *name = strerrorname_np(error);
    return name ? name : "EUNKNOWN";
}

const char *signal_name(int signal, char buffer[static 16]) {
    const char *name = sigabbrev_np(signal);
    if (name) snprintf(buffer, 16, "SIG%s", name);
    else snprintf(buffer, 16, "SIG%d", signal);
    return buffer;
}

void refused(int error, const char *detail, ...) {
    char outcome[64];
    snprintf(outcome, sizeof outcome, "refused %s", error_name(error));
    PRINT(outcome);
}

void killed(int signal, const char *detail, ...) {
    char outcome[64], name[16];
    snprintf(outcome, sizeof outcome, "killed %s", signal_name(signal, name));
    PRINT(outcome);
}

void succeeded(const char *detail, ...) {
    __atomic_add_fetch(&tally->escaped, 1, __ATOMIC_RELAXED);
    PRINT("SUCCEEDED");
}

void observed(const char *detail, ...) { PRINT("observed"); }

void broken(const char *detail, ...) {
    __atomic_add_fetch(&tally->broken, 1, __ATOMIC_RELAXED);
    PRINT("observed");
}

void must_work(const char *label, bool works, int error) {
    if (works) observed("%s=ok", label);
    else broken("%s=failed %s", label, error_name(error));
}

char *text(const char *format, ...) {
    va_list values;
    va_start(values, format);
    char *result;
    if (vasprintf(&result, format, values) < 0) abort();
    va_end(values);
    return result;
}

void misused(const char *reason, ...) {
    va_list values;
    va_start(values, reason);
    fprintf(stderr, "probe: ");
    vfprintf(stderr, reason, values);
    fprintf(stderr, "\n");
    va_end(values);
    _exit(MISUSED);
}

struct result in_child(attempt *run, void *context) {
    struct shared {
        long value;
        int error;
    } *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return (struct result){.end = UNSTARTED, .error = errno};
    pid_t child = fork();
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(10);
        errno = 0;
        shared->value = run(context);
        shared->error = errno;
        _exit(0);
    }
    struct result result = {.end = UNSTARTED, .error = errno};
    if (child > 0) {
        int status = 0;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
        if (WIFSIGNALED(status)) result = (struct result){.end = WTERMSIG(status) == SIGALRM ? HUNG : DIED, .signal = WTERMSIG(status)};
        else result = (struct result){.end = RETURNED, .value = shared->value, .error = shared->error};
    }
    munmap(shared, sizeof *shared);
    return result;
}

void report(const char *label, enum strictness strictness, struct result result) {
    switch (result.end) {
    case UNSTARTED: broken("%s=unstarted %s", label, error_name(result.error)); return;
    case HUNG: broken("%s=hung", label); return;
    case DIED: killed(result.signal, "%s", label); return;
    case RETURNED: break;
    }
    int error = result.error;
    if (result.value >= 0) succeeded("%s", label);
    else if (strictness == ANY || error == EPERM || error == EACCES || error == ENOSYS) refused(error, "%s", label);
    else succeeded("%s reached-kernel %s", label, error_name(error));
}

void try_it(const char *label, enum strictness strictness, attempt *run, void *context) {
    report(label, strictness, in_child(run, context));
}

long raw(void *context) {
    const struct call *call = context;
    const unsigned long *a = call->arguments;
    return syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

void try_calls(enum strictness strictness, const struct named_call *calls, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct call call = calls[i].call;
        try_it(calls[i].label, strictness, raw, &call);
    }
}

long number(const char *digits, long least, long most) {
    char *end;
    errno = 0;
    long value = strtol(digits, &end, 10);
    if (errno || end == digits || *end || value < least || value > most)
        misused("%s: not a number from %ld to %ld", digits, least, most);
    return value;
}

ssize_t read_file(const char *path, char *buffer, size_t size) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return -1;
    size_t length = 0;
    ssize_t got = 0;
    while (length + 1 < size && (got = read(file, buffer + length, size - 1 - length)) > 0) length += (size_t)got;
    int error = errno;
    close(file);
    buffer[length] = 0;
    if (got < 0 && length == 0) {
        errno = error;
        return -1;
    }
    return (ssize_t)length;
}

bool status_value(const char *key, char *value, size_t size) {
    char status[8192];
    if (read_file("/proc/self/status", status, sizeof status) < 0) return false;
    size_t length = strlen(key);
    char *rest = NULL;
    for (char *line = strtok_r(status, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, key, length) || line[length] != ':') continue;
        const char *start = line + length + 1;
        snprintf(value, size, "%s", start + strspn(start, " \t"));
        return true;
    }
    return false;
}

long read_some(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) return -1;
    struct stat status;
    char bytes[64];
    bool directory = fstat(file, &status) == 0 && S_ISDIR(status.st_mode);
    long got = directory ? syscall(SYS_getdents64, file, (char[4096]){0}, 4096) : read(file, bytes, sizeof bytes);
    if (directory && got == 48) got = 0; // no more than `.` and `..`: an empty mask
    int error = errno;
    close(file);
    errno = error;
    return got;
}

int copy_file(int from, int to) {
    char bytes[65536];
    ssize_t got;
    while ((got = read(from, bytes, sizeof bytes)) > 0)
        for (ssize_t done = 0; done < got;) {
            ssize_t written = write(to, bytes + done, (size_t)(got - done));
            if (written < 0) return -1;
            done += written;
        }
    return got < 0 ? -1 : 0;
}

long milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void pause_ms(long ms) {
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {}
}
