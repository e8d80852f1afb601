/* Between a process and the C library: counts what it does to one folder, and kills it or fails a call at the n-th.
   Loaded before everything (LD_PRELOAD), so that what Rust and C++ write goes through it, too. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE = 2, RENAME = 4, REMOVE = 8, MKDIR = 16, SYNC = 32, CHANGE = 64, OPEN = 128, READ = 256 };
enum { COUNT, KILL, TEAR, FAIL };

static char folder[PATH_MAX];
static size_t folder_length;
static int armed, mode, mask, error, lasting, log_file = -1;
static long at;
static atomic_long seen;
static __thread int inside;

/* how: COUNT, KILL before, TEAR a write in two and kill, FAIL with `code`, from then on always where `persists`. */
void trap_arm(const char *path, int how, int which, long number, int code, int persists, int log) {
    snprintf(folder, sizeof folder, "%s", path);
    folder_length = strlen(folder);
    mode = how; mask = which; at = number; error = code; lasting = persists; log_file = log;
    atomic_store(&seen, 0);
    armed = 1;
}

void trap_disarm(void) { armed = 0; }

static int within(const char *path) {
    return !strncmp(path, folder, folder_length) && (path[folder_length] == '/' || !path[folder_length]);
}

static int of_fd(int fd, char *into) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, into, PATH_MAX - 1);
    if (length <= 0) return 0;
    into[length] = 0;
    return 1;
}

static void absolute(int where, const char *path, char *into) {
    if (!path) path = "";
    if (path[0] == '/') { snprintf(into, PATH_MAX, "%s", path); return; }
    char base[PATH_MAX] = "";
    if (where == AT_FDCWD) syscall(SYS_getcwd, base, sizeof base); else of_fd(where, base);
    if (strlen(base) + strlen(path) + 2 > PATH_MAX) { into[0] = 0; return; }
    strcpy(into, base);
    strcat(into, "/");
    strcat(into, path);
}

/* 0: go on; an error number: fail with it; -1: a write to be torn. */
static int event(int kind, const char *call, const char *path) {
    if (!within(path)) return 0;
    long number = (mask & kind) ? atomic_fetch_add(&seen, 1) + 1 : -1;
    if (log_file >= 0) {
        char line[PATH_MAX + 64];
        int length = snprintf(line, sizeof line, "%d %s %s\n", kind, call, path + folder_length);
        syscall(SYS_write, log_file, line, (size_t)length);
    }
    if (number < 0) return 0;
    if (number == at && mode == TEAR && kind == WRITE) return -1;
    if (number == at && (mode == KILL || mode == TEAR)) syscall(SYS_kill, getpid(), SIGKILL);
    if (mode == FAIL && (number == at || (lasting && number > at))) return error;
    return 0;
}

static int path_event(int kind, const char *call, int where, const char *path) {
    if (!armed || inside) return 0;
    int kept = errno;
    inside = 1;
    char whole[PATH_MAX];
    absolute(where, path, whole);
    int found = event(kind, call, whole);
    inside = 0;
    errno = kept;
    return found;
}

static int fd_event(int kind, const char *call, int fd) {
    if (!armed || inside) return 0;
    int kept = errno, found = 0;
    inside = 1;
    char whole[PATH_MAX];
    if (of_fd(fd, whole) && whole[0] == '/') found = event(kind, call, whole);
    inside = 0;
    errno = kept;
    return found;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)
#define PATH(kind, call, where, path) \
    do { int found = path_event(kind, call, where, path); if (found > 0) { errno = found; return -1; } } while (0)
#define FD(kind, call, fd) \
    do { int found = fd_event(kind, call, fd); if (found > 0) { errno = found; return -1; } } while (0)

static int kind_of(int flags) { return flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC) ? CREATE : OPEN; }

#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        va_list more; va_start(more, flags); mode_t bits = va_arg(more, mode_t); va_end(more); \
        REAL(int, #name, const char *, int, ...); \
        PATH(kind_of(flags), "open", AT_FDCWD, path); \
        return real(path, flags, bits); \
    }
#define OPENS_AT(name) \
    int name(int where, const char *path, int flags, ...) { \
        va_list more; va_start(more, flags); mode_t bits = va_arg(more, mode_t); va_end(more); \
        REAL(int, #name, int, const char *, int, ...); \
        PATH(kind_of(flags), "open", where, path); \
        return real(where, path, flags, bits); \
    }
OPENS(open)
OPENS(open64)
OPENS_AT(openat)
OPENS_AT(openat64)

#define FOPENS(name) \
    FILE *name(const char *path, const char *how) { \
        REAL(FILE *, #name, const char *, const char *); \
        int found = path_event(strpbrk(how, "wa+") ? CREATE : OPEN, "open", AT_FDCWD, path); \
        if (found > 0) { errno = found; return NULL; } \
        return real(path, how); \
    }
FOPENS(fopen)
FOPENS(fopen64)

/* A write that fails, or of which `half` is done before the kill. */
#define WRITES(fd, half) \
    do { \
        int found = fd_event(WRITE, "write", fd); \
        if (found > 0) { errno = found; return -1; } \
        if (found < 0) { half; syscall(SYS_kill, getpid(), SIGKILL); } \
    } while (0)
ssize_t write(int fd, const void *bytes, size_t count) {
    REAL(ssize_t, "write", int, const void *, size_t);
    WRITES(fd, real(fd, bytes, count / 2));
    return real(fd, bytes, count);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    WRITES(fd, real(fd, parts, count / 2));
    return real(fd, parts, count);
}
#define PWRITES(name) \
    ssize_t name(int fd, const void *bytes, size_t count, off_t place) { \
        REAL(ssize_t, #name, int, const void *, size_t, off_t); \
        WRITES(fd, real(fd, bytes, count / 2, place)); \
        return real(fd, bytes, count, place); \
    }
PWRITES(pwrite)
PWRITES(pwrite64)
ssize_t sendfile(int out, int in, off_t *place, size_t count) {
    REAL(ssize_t, "sendfile", int, int, off_t *, size_t);
    WRITES(out, real(out, in, place, count / 2));
    return real(out, in, place, count);
}
ssize_t read(int fd, void *bytes, size_t count) {
    REAL(ssize_t, "read", int, void *, size_t);
    FD(READ, "read", fd);
    return real(fd, bytes, count);
}
int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    PATH(RENAME, "rename", AT_FDCWD, to);
    return real(from, to);
}
int renameat(int where, const char *from, int there, const char *to) {
    REAL(int, "renameat", int, const char *, int, const char *);
    PATH(RENAME, "rename", there, to);
    return real(where, from, there, to);
}
int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    PATH(REMOVE, "unlink", AT_FDCWD, path);
    return real(path);
}
int unlinkat(int where, const char *path, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    PATH(REMOVE, "unlink", where, path);
    return real(where, path, flags);
}
int rmdir(const char *path) {
    REAL(int, "rmdir", const char *);
    PATH(REMOVE, "rmdir", AT_FDCWD, path);
    return real(path);
}
int mkdir(const char *path, mode_t bits) {
    REAL(int, "mkdir", const char *, mode_t);
    PATH(MKDIR, "mkdir", AT_FDCWD, path);
    return real(path, bits);
}
int mkdirat(int where, const char *path, mode_t bits) {
    REAL(int, "mkdirat", int, const char *, mode_t);
    PATH(MKDIR, "mkdir", where, path);
    return real(where, path, bits);
}
int fsync(int fd) {
    REAL(int, "fsync", int);
    FD(SYNC, "fsync", fd);
    return real(fd);
}
int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    FD(SYNC, "fsync", fd);
    return real(fd);
}
int chmod(const char *path, mode_t bits) {
    REAL(int, "chmod", const char *, mode_t);
    PATH(CHANGE, "chmod", AT_FDCWD, path);
    return real(path, bits);
}
int fchmodat(int where, const char *path, mode_t bits, int flags) {
    REAL(int, "fchmodat", int, const char *, mode_t, int);
    PATH(CHANGE, "chmod", where, path);
    return real(where, path, bits, flags);
}
#define TRUNCATES(name) \
    int name(int fd, off_t length) { \
        REAL(int, #name, int, off_t); \
        FD(CHANGE, "truncate", fd); \
        return real(fd, length); \
    }
TRUNCATES(ftruncate)
TRUNCATES(ftruncate64)
