// Loads the two filters into itself and makes system calls, so that the tests see the kernel's own verdicts.
//
//   filter-fixture ARGUMENTS CALLS                 answers lines of standard input, see below
//   filter-fixture ARGUMENTS CALLS time            the time of loading each, in microseconds
//   filter-fixture ARGUMENTS CALLS run CMD ARG...  executes a command under the filters
//
// A line is "KIND NUMBER A0 A1 A2 A3 A4 A5", KIND being "syscall" or "int80", numbers in C's notation; an
// argument "@" is a page of zeroes. Each is tried in a child, since it may be killed. The answer is one
// line: "returned VALUE", "errno NUMBER" or "signal NUMBER".
#define _GNU_SOURCE 1
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double load(const char *path) {
    static struct sock_filter instructions[BPF_MAXINSNS + 1];
    FILE *file = fopen(path, "rbe");
    if (file == NULL) { perror(path); exit(2); }
    size_t count = fread(instructions, sizeof *instructions, BPF_MAXINSNS + 1, file);
    fclose(file);
    struct sock_fprog program = {.len = (unsigned short)count, .filter = instructions};
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
    clock_gettime(CLOCK_MONOTONIC, &after);
    if (result != 0) { perror("seccomp"); exit(2); }
    return (double)(after.tv_sec - before.tv_sec) * 1e6 + (double)(after.tv_nsec - before.tv_nsec) / 1e3;
}

static long raw(long number, const unsigned long *a) {
    long value;
    register unsigned long r10 __asm__("r10") = a[3];
    register unsigned long r8 __asm__("r8") = a[4];
    register unsigned long r9 __asm__("r9") = a[5];
    __asm__ volatile("syscall" : "=a"(value) : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return value;
}

// The 32-bit gate: six arguments need ebp, so only the first three are passed.
static long raw80(long number, const unsigned long *a) {
    long value;
    __asm__ volatile("int $0x80" : "=a"(value) : "a"(number), "b"(a[0]), "c"(a[1]), "d"(a[2])
                     : "r8", "r9", "r10", "r11", "memory");
    return (int)value;
}

static void answer(char *line, unsigned long page) {
    char *rest = line;
    const char *kind = strsep(&rest, " ");
    unsigned long values[7] = {0};
    for (int index = 0; index < 7; index++) {
        const char *word = strsep(&rest, " \n");
        if (word != NULL) values[index] = *word == '@' ? page : strtoul(word, NULL, 0);
    }
    pid_t child = fork();
    if (child < 0) { perror("fork"); exit(2); }
    if (child == 0) {
        int legacy = strcmp(kind, "int80") == 0;
        long value = legacy ? raw80((long)values[0], values + 1) : raw((long)values[0], values + 1);
        char text[64];
        int length = value < 0 && value > -4096 ? snprintf(text, sizeof text, "errno %ld\n", -value)
                                                : snprintf(text, sizeof text, "returned %ld\n", value);
        if (write(STDOUT_FILENO, text, (size_t)length) != length) _exit(3);
        _exit(0);
    }
    int status;
    if (waitpid(child, &status, __WALL) != child) { perror("waitpid"); exit(2); }
    if (WIFSIGNALED(status)) {
        printf("signal %d\n", WTERMSIG(status));
        fflush(stdout);
    }
}

int main(int count, char **arguments) {
    if (count < 3) return 2;
    const char *mode = count > 3 ? arguments[3] : "";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 2;
    void *page = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    double first = load(arguments[1]), second = load(arguments[2]);
    if (strcmp(mode, "time") == 0) {
        printf("%.1f %.1f\n", first, second);
        return 0;
    }
    if (strcmp(mode, "run") == 0) {
        execvp(arguments[4], arguments + 4);
        perror(arguments[4]);
        return 127;
    }
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stdin) > 0) answer(line, (unsigned long)page);
    // Not return: a build with AddressSanitizer would now look for leaks, with the ptrace that `pure` refuses.
    free(line);
    _exit(0);
}
