// What is used up: processes (29), memory (30), space (31), output (32).
#include "common.h"
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/statvfs.h>

static void forkbomb(char **arguments, int count) {
    long most = count ? number(arguments[0], 1, 20000) : 20000, made = 0;
    pid_t *children = calloc((size_t)most, sizeof *children);
    int error = 0;
    pid_t parent = getpid();
    while (children && made < most) {
        pid_t child = fork();
        if (child < 0) {
            error = errno;
            break;
        }
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            while (getppid() == parent) pause();
            _exit(0);
        }
        children[made++] = child;
    }
    for (long i = 0; i < made; i++) kill(children[i], SIGKILL);
    for (long i = 0; i < made; i++) waitpid(children[i], NULL, 0);
    if (error) refused(error, "forks=%ld", made);
    else succeeded("forks=%ld no limit was met", made);
}

static void memhog(char **arguments, int count) {
    (void)count;
    long wanted = number(arguments[0], 1, 1 << 20), touched = 0;
    const size_t piece = 1 << 20;
    while (touched < wanted) {
        unsigned char *memory = mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            refused(errno, "touched_mb=%ld", touched);
            return;
        }
        for (size_t i = 0; i < piece; i += 4096) memory[i] = (unsigned char)(touched + 1);
        touched++;
        if (touched % 64 == 0) observed("so_far_mb=%ld", touched);
    }
    observed("touched_mb=%ld", touched);
}

static void sigkill_self(char **arguments, int count) {
    (void)arguments, (void)count;
    observed("killing=%d", getpid());
    kill(getpid(), SIGKILL);
    pause_ms(100);
    broken("killed=no, as PID 1 it is immune");
}

// Fills a directory until something gives, or `most` MB are written; then removes what it made.
static void fill_directory(const char *directory, long most) {
    size_t piece = 1 << 20;
    unsigned char *bytes = malloc(piece);
    if (!bytes) misused("out of memory");
    uint32_t state = 12345; // no compressing file system is to make this small
    for (size_t i = 0; i < piece; i++) bytes[i] = (unsigned char)((state = state * 1664525 + 1013904223) >> 24);
    signal(SIGXFSZ, SIG_IGN);
    unsigned long long total = 0, limit = (unsigned long long)most << 20;
    int error = 0, files = 0;
    bool told = false;
    while (!error && total < limit && files < 4096) {
        char path[4096];
        snprintf(path, sizeof path, "%s/.cordon-probe-fill-%d-%d", directory, getpid(), files);
        int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (file < 0) {
            error = errno;
            break;
        }
        files++;
        unsigned long long length = 0;
        for (size_t wanted = piece; total < limit;) {
            ssize_t written = write(file, bytes, wanted);
            if (written > 0) {
                length += (unsigned long long)written;
                total += (unsigned long long)written;
            } else if (wanted > 512 && errno != EFBIG) wanted /= 2;
            else {
                error = errno;
                break;
            }
        }
        close(file);
        // A limit on one file is met anew by each; what they may take together is the question.
        if (error == EFBIG && length) {
            if (!told) observed("file_limit_bytes=%llu", length);
            told = true;
            error = 0;
        }
    }
    for (int i = 0; i < files; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/.cordon-probe-fill-%d-%d", directory, getpid(), i);
        unlink(path);
    }
    if (error) refused(error, "bytes=%llu files=%d %s", total, files, directory);
    else succeeded("bytes=%llu files=%d %s no limit was met", total, files, directory);
    free(bytes);
}

static void fill(char **arguments, int count) { fill_directory(arguments[0], count > 1 ? number(arguments[1], 1, 1 << 20) : 1024); }

static void fill_inodes(char **arguments, int count) {
    long most = count > 1 ? number(arguments[1], 1, 10000000) : 200000, made = 0;
    const char *directory = text("%s/.cordon-probe-inodes-%d", arguments[0], getpid());
    int error = 0, handle = -1;
    if (mkdir(directory, 0700) < 0 || (handle = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) error = errno;
    char name[32];
    while (!error && made < most) {
        snprintf(name, sizeof name, "%ld", made);
        int file = openat(handle, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (file < 0) error = errno;
        else close(file), made++;
    }
    for (long i = 0; i < made; i++) {
        snprintf(name, sizeof name, "%ld", i);
        unlinkat(handle, name, 0);
    }
    rmdir(directory);
    if (error) refused(error, "files=%ld", made);
    else succeeded("files=%ld no limit was met", made);
}

static void sparse(char **arguments, int count) {
    long gigabytes = count > 1 ? number(arguments[1], 1, 1 << 20) : 1024;
    const char *path = text("%s/.cordon-probe-sparse-%d", arguments[0], getpid());
    signal(SIGXFSZ, SIG_IGN);
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) {
        refused(errno, "create");
        return;
    }
    off_t size = (off_t)gigabytes << 30;
    if (ftruncate(file, size) < 0) refused(errno, "ftruncate gigabytes=%ld", gigabytes);
    else observed("ftruncate=%ld GB", gigabytes);
    if (pwrite(file, "x", 1, size - 1) < 0) refused(errno, "pwrite gigabytes=%ld", gigabytes);
    else observed("pwrite=%ld GB", gigabytes);
    struct stat status = {0};
    fstat(file, &status);
    observed("size=%lld", (long long)status.st_size);
    observed("blocks_bytes=%lld", (long long)status.st_blocks * 512);
    close(file);
    if (count <= 2 || strcmp(arguments[2], "keep")) unlink(path);
}

static void deep(char **arguments, int count) {
    long wanted = count > 1 ? number(arguments[1], 1, 1000000) : 10000, depth = 0;
    bool keep = count > 2 && strcmp(arguments[2], "keep") == 0;
    const char *name = ".cordon-probe-deep";
    int here = open(arguments[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = here < 0 ? errno : 0;
    while (!error && depth < wanted) {
        if (mkdirat(here, name, 0700) < 0) {
            error = errno;
            break;
        }
        int below = openat(here, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below < 0) {
            error = errno;
            unlinkat(here, name, AT_REMOVEDIR);
            break;
        }
        close(here);
        here = below;
        depth++;
    }
    if (error) refused(error, "depth=%ld", depth);
    else observed("depth=%ld", depth);
    for (long left = depth; !keep && left > 0; left--) {
        int above = openat(here, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (above < 0 || unlinkat(above, name, AT_REMOVEDIR) < 0) {
            broken("removed=failed %s at depth %ld", error_name(errno), left);
            break;
        }
        close(here);
        here = above;
    }
    if (here >= 0) close(here);
}

static void shm_fill(char **arguments, int count) {
    long most = count ? number(arguments[0], 1, 1 << 20) : 1024;
    fill_directory("/dev/shm", most);
    // System V segments count as shared memory too; only touched pages are real.
    const size_t piece = 16 << 20;
    int made[4096], total = 0, error = 0;
    while ((long)total * 16 < most && total < (int)COUNT(made)) {
        int segment = shmget(IPC_PRIVATE, piece, IPC_CREAT | 0600);
        if (segment < 0) {
            error = errno;
            break;
        }
        made[total++] = segment;
        unsigned char *memory = shmat(segment, NULL, 0);
        if ((intptr_t)memory == -1) {
            error = errno;
            break;
        }
        shmctl(segment, IPC_RMID, NULL); // gone with this process, should it be killed while touching
        for (size_t i = 0; i < piece; i += 4096) memory[i] = 1;
    }
    for (int i = 0; i < total; i++) shmctl(made[i], IPC_RMID, NULL);
    if (error) refused(error, "sysv bytes=%llu", (unsigned long long)total * piece);
    else succeeded("sysv bytes=%llu no limit was met", (unsigned long long)total * piece);
}

static void flood(char **arguments, int count) {
    char *end;
    unsigned long long left = strtoull(arguments[0], &end, 10);
    if (*end) misused("%s: not a number of bytes", arguments[0]);
    int handle = count > 1 && strcmp(arguments[1], "stderr") == 0 ? STDERR_FILENO : STDOUT_FILENO;
    observed("begin=%llu", left);
    char bytes[65536];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = i % 64 == 63 ? '\n' : 'x';
    while (left) {
        // The last byte ends a line, so that `end` has one of its own.
        size_t length = left < sizeof bytes ? (size_t)left : sizeof bytes;
        if (length == left) bytes[length - 1] = '\n';
        ssize_t written = write(handle, bytes, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) break;
        left -= (unsigned long long)written;
    }
    if (left) refused(errno, "left=%llu", left);
    observed("end=%llu", left);
}

static void open_files(char **arguments, int count) {
    long most = count ? number(arguments[0], 1, 10000000) : 1000000, total = 0;
    int error = 0;
    while (total < most) {
        if (open("/", O_PATH) < 0) {
            error = errno;
            break;
        }
        total++;
    }
    if (error) refused(error, "descriptors=%ld", total);
    else succeeded("descriptors=%ld no limit was met", total);
}

const struct verb resource_verbs[] = {
    {"forkbomb", "[MOST]", "29", 0, 1, forkbomb, "forks until refused (at most 20,000), then kills its children"},
    {"memhog", "MB", "30", 1, 1, memhog, "touches so much memory"},
    {"sigkill-self", "", "30", 0, 0, sigkill_self, "a plain SIGKILL, which is not `oom`"},
    {"fill", "DIR [MOST_MB]", "31", 1, 2, fill, "writes until refused (at most 1,024 MB), then removes it"},
    {"fill-inodes", "DIR [MOST]", "31", 1, 2, fill_inodes, "makes files until refused (at most 200,000), then removes them"},
    {"sparse", "DIR [GB] [keep]", "31", 1, 3, sparse, "a sparse file of 1,024 GB"},
    {"deep", "DIR [DEPTH] [keep]", "31", 1, 3, deep, "a tree 10,000 directories deep"},
    {"shm-fill", "[MOST_MB]", "31", 0, 1, shm_fill, "fills /dev/shm, and System V shared memory"},
    {"open-files", "[MOST]", "31", 0, 1, open_files, "opens descriptors until refused"},
    {"flood", "BYTES [stderr]", "32", 1, 2, flood, "so many bytes of output between a `begin` and an `end` line"},
    {0},
};
