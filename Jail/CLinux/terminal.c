// Terminals: what is behind ioctl(2), and the one handler that puts a terminal right when the program crashes.
#define _GNU_SOURCE 1
#include "CLinux.h"

#include <string.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

static int result(long value) { return value < 0 ? -errno : (int)value; }

int cordon_terminal_peer(int master) {
    int unlocked = 0;
    if (ioctl(master, TIOCSPTLCK, &unlocked) < 0) return -errno;
    return result(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
}

int cordon_get_window(int terminal, uint16_t *rows, uint16_t *columns) {
    struct winsize size = {0};
    int status = result(ioctl(terminal, TIOCGWINSZ, &size));
    *rows = size.ws_row;
    *columns = size.ws_col;
    return status;
}

int cordon_set_window(int terminal, uint16_t rows, uint16_t columns) {
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    return result(ioctl(terminal, TIOCSWINSZ, &size));
}

int cordon_foreground_group(int terminal) {
    // tcgetpgrp(3) makes -1 of an error and of nothing else, but its result for "none" is not told apart in POSIX.
    pid_t group = 0;
    int status = result(ioctl(terminal, TIOCGPGRP, &group));
    return status < 0 ? status : group;
}

static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT};
static struct termios saved;
static volatile sig_atomic_t guarded = -1;

// tcsetattr(3), sigaction(2) and raise(3) are among those that a handler may call (signal-safety(7)).
static void crashed(int number) {
    if (guarded >= 0) tcsetattr(guarded, TCSANOW, &saved);
    // SA_RESETHAND has put the default back: the instruction that crashed does so again, and this covers abort(3).
    raise(number);
}

void cordon_restore_on_crash(int descriptor, const struct termios *settings) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    if (settings != NULL) {
        saved = *settings;
        action.sa_handler = crashed;
        action.sa_flags = (int)(SA_RESETHAND | SA_NODEFER);
    } else {
        action.sa_handler = SIG_DFL;
    }
    guarded = settings != NULL ? descriptor : -1;
    for (size_t index = 0; index < sizeof crashes / sizeof *crashes; index++) sigaction(crashes[index], &action, NULL);
}
