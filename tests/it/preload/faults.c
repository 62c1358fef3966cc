/* Stands between a program and its disk, for tests (LD_PRELOAD).
 *
 * ZG_DISK_ROOT     the directory whose files are meant; everything else passes untouched.
 * ZG_DISK_CONTROL  a file of rules, read again at each call: `call pattern skip times action arg`.
 *                  `call` is write, sync, rename, unlink, link, mkdir, truncate, create or any;
 *                  `pattern` is part of the path under the root, or *; the first `skip` calls that
 *                  match pass, the next `times` (0: all) meet `action`: errno, delay (ms), hang,
 *                  kill. A changed file starts to count anew.
 * ZG_DISK_TRACE    where every change is written down, in the order in which it was made, but for
 *                  what lies under sled: tests/it/replay.rs reads it. What is synced is noted once
 *                  the disk has said so.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RULES 16
#define NEXT(name) (find(), next_##name)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root, *control, *trace;
static int trace_fd = -1;
static char known[4096];
static unsigned long counts[RULES];

static ssize_t (*next_write)(int, const void *, size_t);
static ssize_t (*next_pwrite64)(int, const void *, size_t, off64_t);
static int (*next_fsync)(int);
static int (*next_fdatasync)(int);
static int (*next_rename)(const char *, const char *);
static int (*next_unlink)(const char *);
static int (*next_unlinkat)(int, const char *, int);
static int (*next_linkat)(int, const char *, int, const char *, int);
static int (*next_mkdir)(const char *, mode_t);
static int (*next_ftruncate64)(int, off64_t);
static int (*next_open64)(const char *, int, ...);

/* The real calls; something may write before we have begun. */
static void find(void) {
    if (next_open64) return;
    next_write = dlsym(RTLD_NEXT, "write");
    next_pwrite64 = dlsym(RTLD_NEXT, "pwrite64");
    next_fsync = dlsym(RTLD_NEXT, "fsync");
    next_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    next_rename = dlsym(RTLD_NEXT, "rename");
    next_unlink = dlsym(RTLD_NEXT, "unlink");
    next_unlinkat = dlsym(RTLD_NEXT, "unlinkat");
    next_linkat = dlsym(RTLD_NEXT, "linkat");
    next_mkdir = dlsym(RTLD_NEXT, "mkdir");
    next_ftruncate64 = dlsym(RTLD_NEXT, "ftruncate64");
    next_open64 = dlsym(RTLD_NEXT, "open64");
}

__attribute__((constructor)) static void begin(void) {
    root = getenv("ZG_DISK_ROOT");
    control = getenv("ZG_DISK_CONTROL");
    trace = getenv("ZG_DISK_TRACE");
    if (root && trace)
        trace_fd = syscall(SYS_openat, AT_FDCWD, trace,
                           O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The path under the root, or NULL. */
static const char *below(const char *path) {
    size_t length = root ? strlen(root) : 0;
    if (!length || strncmp(path, root, length) != 0) return NULL;
    if (path[length] == 0) return path + length;
    return path[length] == '/' ? path + length + 1 : NULL;
}

static const char *of_fd(int fd, char *space) {
    char link[64];
    if (!root) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, space, PATH_MAX - 1);
    if (length <= 0) return NULL;
    space[length] = 0;
    return below(space);
}

static const char *of_path(int dir, const char *path, char *space) {
    char base[PATH_MAX];
    if (!root) return NULL;
    if (path[0] == '/') {
        snprintf(space, PATH_MAX, "%s", path);
        return below(space);
    }
    if (dir == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return NULL;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length <= 0) return NULL;
        base[length] = 0;
    }
    if (snprintf(space, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return NULL;
    return below(space);
}

static void wait_ms(long ms) {
    struct timespec span = {ms / 1000, (ms % 1000) * 1000000L};
    nanosleep(&span, NULL);
}

/* Carries out the rules for a call; what it is to fail with, or 0. */
static int meets(const char *call, const char *path) {
    char text[sizeof known] = {0};
    char actions[RULES][16];
    long arguments[RULES];
    int due = 0;
    if (!control) return 0;
    int fd = syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    if (syscall(SYS_read, fd, text, sizeof text - 1) < 0) text[0] = 0;
    syscall(SYS_close, fd);
    pthread_mutex_lock(&lock);
    if (strcmp(text, known) != 0) {
        strcpy(known, text);
        memset(counts, 0, sizeof counts);
    }
    char *rest = text, *line;
    for (int rule = 0; rule < RULES && (line = strsep(&rest, "\n")); rule++) {
        char wanted[16], pattern[256], action[16];
        unsigned long skip, times;
        long argument;
        if (sscanf(line, "%15s %255s %lu %lu %15s %ld", wanted, pattern, &skip, &times, action,
                   &argument) != 6)
            continue;
        if (strcmp(wanted, "any") != 0 && strcmp(wanted, call) != 0) continue;
        if (strcmp(pattern, "*") != 0 && !strstr(path, pattern)) continue;
        unsigned long count = ++counts[rule];
        if (count <= skip || (times && count > skip + times)) continue;
        strcpy(actions[due], action);
        arguments[due++] = argument;
    }
    pthread_mutex_unlock(&lock);
    for (int at = 0; at < due; at++) {
        if (!strcmp(actions[at], "errno")) return (int)arguments[at];
        if (!strcmp(actions[at], "delay")) wait_ms(arguments[at]);
        if (!strcmp(actions[at], "kill")) kill(getpid(), SIGKILL);
        while (!strcmp(actions[at], "hang")) wait_ms(1000);
    }
    return 0;
}

static int traced(const char *path) { return trace_fd >= 0 && strncmp(path, "sled", 4) != 0; }

static void note(const void *content, size_t length, const char *format, ...) {
    char head[2 * PATH_MAX + 64];
    va_list more;
    va_start(more, format);
    int size = vsnprintf(head, sizeof head, format, more);
    va_end(more);
    struct iovec parts[2] = {{head, size}, {(void *)content, length}};
    if (syscall(SYS_writev, trace_fd, parts, content ? 2 : 1) != (long)(size + length)) abort();
}

static unsigned long inode(int fd) {
    struct stat64 about;
    return fstat64(fd, &about) ? 0 : about.st_ino;
}

#define FAILS(call, path)                  \
    do {                                   \
        int failure = meets(call, path);   \
        if (failure) {                     \
            errno = failure;               \
            return -1;                     \
        }                                  \
    } while (0)

static ssize_t written(int fd, const char *path, const void *from, size_t length, off64_t at) {
    pthread_mutex_lock(&lock);
    if (at < 0) at = lseek64(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    ssize_t done = syscall(SYS_pwrite64, fd, from, length, at);
    int failure = errno;
    if (done > 0 && traced(path))
        note(from, done, "W %lu %lld %zd\n", inode(fd), (long long)at, done);
    pthread_mutex_unlock(&lock);
    errno = failure;
    return done;
}

ssize_t pwrite64(int fd, const void *from, size_t length, off64_t at) {
    char space[PATH_MAX];
    const char *path = of_fd(fd, space);
    if (!path) return NEXT(pwrite64)(fd, from, length, at);
    FAILS("write", path);
    return written(fd, path, from, length, at);
}

ssize_t pwrite(int fd, const void *from, size_t length, off_t at) {
    return pwrite64(fd, from, length, at);
}

ssize_t write(int fd, const void *from, size_t length) {
    char space[PATH_MAX];
    const char *path = of_fd(fd, space);
    if (!path) return NEXT(write)(fd, from, length);
    FAILS("write", path);
    ssize_t done = written(fd, path, from, length, -1);
    if (done > 0) lseek64(fd, done, SEEK_CUR);
    return done;
}

static int synced(int fd, const char *path, int (*sync)(int)) {
    struct stat64 about;
    FAILS("sync", path);
    pthread_mutex_lock(&lock);
    int done = sync(fd);
    if (!done && traced(path) && !fstat64(fd, &about)) {
        if (S_ISDIR(about.st_mode)) note(NULL, 0, "D %s\n", path);
        else note(NULL, 0, "S %lu\n", (unsigned long)about.st_ino);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

int fsync(int fd) {
    char space[PATH_MAX];
    const char *path = of_fd(fd, space);
    return path ? synced(fd, path, NEXT(fsync)) : NEXT(fsync)(fd);
}

int fdatasync(int fd) {
    char space[PATH_MAX];
    const char *path = of_fd(fd, space);
    return path ? synced(fd, path, NEXT(fdatasync)) : NEXT(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t length) {
    char space[PATH_MAX];
    const char *path = of_fd(fd, space);
    if (!path) return NEXT(ftruncate64)(fd, length);
    FAILS("truncate", path);
    pthread_mutex_lock(&lock);
    int done = NEXT(ftruncate64)(fd, length);
    if (!done && traced(path)) note(NULL, 0, "T %lu %lld\n", inode(fd), (long long)length);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int rename(const char *from, const char *to) {
    char one[PATH_MAX], other[PATH_MAX];
    const char *source = of_path(AT_FDCWD, from, one), *target = of_path(AT_FDCWD, to, other);
    if (!source || !target) return NEXT(rename)(from, to);
    FAILS("rename", target);
    pthread_mutex_lock(&lock);
    int done = NEXT(rename)(from, to);
    if (!done && traced(source)) note(NULL, 0, "R %s\t%s\n", source, target);
    pthread_mutex_unlock(&lock);
    return done;
}

static int removed(int dir, const char *path, const char *below_root, int flags) {
    FAILS("unlink", below_root);
    pthread_mutex_lock(&lock);
    int done = NEXT(unlinkat)(dir, path, flags);
    if (!done && traced(below_root)) note(NULL, 0, "U %s\n", below_root);
    pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path) {
    char space[PATH_MAX];
    const char *below_root = of_path(AT_FDCWD, path, space);
    return below_root ? removed(AT_FDCWD, path, below_root, 0) : NEXT(unlink)(path);
}

int unlinkat(int dir, const char *path, int flags) {
    char space[PATH_MAX];
    const char *below_root = of_path(dir, path, space);
    return below_root ? removed(dir, path, below_root, flags) : NEXT(unlinkat)(dir, path, flags);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    char one[PATH_MAX], other[PATH_MAX];
    const char *source = of_path(from_dir, from, one), *target = of_path(to_dir, to, other);
    if (!source || !target) return NEXT(linkat)(from_dir, from, to_dir, to, flags);
    FAILS("link", target);
    pthread_mutex_lock(&lock);
    int done = NEXT(linkat)(from_dir, from, to_dir, to, flags);
    if (!done && traced(target)) note(NULL, 0, "L %s\t%s\n", source, target);
    pthread_mutex_unlock(&lock);
    return done;
}

int mkdir(const char *path, mode_t mode) {
    char space[PATH_MAX];
    const char *below_root = of_path(AT_FDCWD, path, space);
    if (!below_root) return NEXT(mkdir)(path, mode);
    FAILS("mkdir", below_root);
    pthread_mutex_lock(&lock);
    int done = NEXT(mkdir)(path, mode);
    if (!done && traced(below_root)) note(NULL, 0, "M %s\n", below_root);
    pthread_mutex_unlock(&lock);
    return done;
}

int open64(const char *path, int flags, ...) {
    char space[PATH_MAX];
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list more;
        va_start(more, flags);
        mode = va_arg(more, mode_t);
        va_end(more);
    }
    const char *below_root = flags & (O_CREAT | O_TRUNC) ? of_path(AT_FDCWD, path, space) : NULL;
    if (!below_root) return NEXT(open64)(path, flags, mode);
    FAILS("create", below_root);
    pthread_mutex_lock(&lock);
    int is_new = syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0;
    int fd = NEXT(open64)(path, flags, mode);
    if (fd >= 0 && traced(below_root)) {
        if (is_new) note(NULL, 0, "C %lu %s\n", inode(fd), below_root);
        else if (flags & O_TRUNC) note(NULL, 0, "T %lu 0\n", inode(fd));
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

int open(const char *path, int flags, ...) {
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list more;
        va_start(more, flags);
        mode = va_arg(more, mode_t);
        va_end(more);
    }
    return open64(path, flags, mode);
}
