/*
 * Loaded with LD_PRELOAD into a child process: fails, shortens, tears or records what the process asks of the file
 * system below one folder. The native library and libuv both call libc, so that both are caught.
 *
 *   HOLDFAST_SHIM_FOLDER   only files whose path begins with this are touched
 *   HOLDFAST_SHIM_CONTROL  a file of 4096 bytes, mapped by this shim and written by the test: struct control
 *   HOLDFAST_SHIM_TRACE    where each call is appended to with its data, in the order in which they took effect
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITE, PWRITE, FSYNC, FDATASYNC, FTRUNCATE, RENAME, LINK, OPEN, UNLINK, MKDIR, RMDIR };

/* Modes beyond the numbers of errno. */
#define SHORT_WRITE 1001 /* half of the bytes are written, and the call says so */
#define TORN_WRITE 1002  /* half of the bytes are written, and the call fails with EIO */
#define FULL_DISK 1003   /* writes that make the file longer fail with ENOSPC, others do not count */

struct control {
  volatile int32_t armed;
  volatile int32_t kinds; /* a bit for each kind that counts */
  volatile int32_t nth;   /* the first counted call that fails, from 1 */
  volatile int32_t times; /* how many calls in a row fail */
  volatile int32_t mode;  /* an errno, or one of the modes above */
  volatile int32_t seen;
  volatile int32_t fired;
  volatile int32_t fired_kind;
  char pattern[256];    /* only paths that hold this; with a `$` at its end, only paths that end with it */
  char fired_path[512]; /* of the last call that failed */
};

#define MOST_FILES 4096
static struct control *control;
static const char *folder;
static size_t folder_length;
static int trace = -1;
static char *paths[MOST_FILES];
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("HOLDFAST_SHIM_CONTROL");
  folder = getenv("HOLDFAST_SHIM_FOLDER");
  if (folder != NULL) folder_length = strlen(folder);
  if (path != NULL) {
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) control = mapped;
  }
  path = getenv("HOLDFAST_SHIM_TRACE");
  if (path != NULL) trace = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static int is_ours(const char *path) {
  return folder != NULL && path != NULL && strncmp(path, folder, folder_length) == 0;
}

static const char *path_of(int fd) {
  return fd >= 0 && fd < MOST_FILES ? __atomic_load_n(&paths[fd], __ATOMIC_ACQUIRE) : NULL;
}

/* Old names are not freed: another thread may be reading one. */
static void remember(int fd, const char *path) {
  if (fd >= 0 && fd < MOST_FILES) __atomic_store_n(&paths[fd], path == NULL ? NULL : strdup(path), __ATOMIC_RELEASE);
}

static int matches(const char *path) {
  const char *pattern = control->pattern;
  size_t length = strlen(pattern), path_length = strlen(path);
  if (length == 0) return 1;
  if (pattern[length - 1] != '$') return strstr(path, pattern) != NULL;
  length--;
  return path_length >= length && memcmp(path + path_length - length, pattern, length) == 0;
}

/* The mode in which this call is to fail, or 0. */
static int fault(enum kind kind, const char *path) {
  if (control != NULL && control->mode == FULL_DISK) return 0;
  if (control == NULL || path == NULL || !control->armed || !(control->kinds & (1 << kind)) || !matches(path)) return 0;
  int count = __atomic_add_fetch(&control->seen, 1, __ATOMIC_SEQ_CST);
  if (count < control->nth || count >= control->nth + control->times) return 0;
  __atomic_add_fetch(&control->fired, 1, __ATOMIC_SEQ_CST);
  control->fired_kind = kind;
  strncpy(control->fired_path, path, sizeof control->fired_path - 1);
  return control->mode;
}

struct record {
  uint32_t kind, path_length, second_length, data_length;
  uint64_t inode, offset;
};

static void record(enum kind kind, uint64_t inode, uint64_t offset, const char *path, const char *second,
                   const void *data, size_t length) {
  struct record head = {kind, path ? strlen(path) : 0, second ? strlen(second) : 0, length, inode, offset};
  struct iovec parts[4] = {{&head, sizeof head},
                           {(void *)path, head.path_length},
                           {(void *)second, head.second_length},
                           {(void *)data, length}};
  if (syscall(SYS_writev, trace, parts, 4) < 0) abort();
}

static uint64_t inode_of(int fd) {
  struct stat found;
  return fstat(fd, &found) == 0 ? found.st_ino : 0;
}

/* On a full disk, a file can be written over where it is, and not grow. */
static int has_no_room(int fd, const char *path, int64_t offset, size_t length) {
  struct stat found;
  if (control == NULL || path == NULL || !control->armed || control->mode != FULL_DISK || !matches(path)) return 0;
  if (fstat(fd, &found) != 0) return 0;
  int64_t end = (offset < 0 ? (int64_t)lseek(fd, 0, SEEK_CUR) : offset) + (int64_t)length;
  if (end <= (int64_t)found.st_size) return 0;
  __atomic_add_fetch(&control->fired, 1, __ATOMIC_SEQ_CST);
  return 1;
}

static int is_traced(const char *path) { return trace >= 0 && path != NULL; }
static void begin(void) { pthread_mutex_lock(&order); }
static void end(void) { int saved = errno; pthread_mutex_unlock(&order); errno = saved; }

static int failed(int mode) { errno = mode; return -1; }

/* ---- opening and closing ---- */

static int open_any(int directory, const char *path, int flags, mode_t mode) {
  const char *ours = is_ours(path) ? path : NULL;
  int how = fault(OPEN, ours);
  if (how != 0) return failed(how);
  int is_new = 0, is_kept = is_traced(ours);
  if (is_kept) {
    begin();
    is_new = (flags & O_CREAT) && access(path, F_OK) != 0;
  }
  int fd = syscall(SYS_openat, directory, path, flags, mode);
  if (is_kept) {
    if (fd >= 0 && (is_new || (flags & O_TRUNC))) record(OPEN, inode_of(fd), is_new ? 1 : 0, path, NULL, NULL, 0);
    end();
  }
  if (fd >= 0) remember(fd, ours);
  return fd;
}

#define OPEN_BODY(directory)                     \
  mode_t mode = 0;                               \
  if (flags & (O_CREAT | __O_TMPFILE)) {         \
    va_list rest;                                \
    va_start(rest, flags);                       \
    mode = va_arg(rest, mode_t);                 \
    va_end(rest);                                \
  }                                              \
  return open_any(directory, path, flags, mode)

int open(const char *path, int flags, ...) { OPEN_BODY(AT_FDCWD); }
int open64(const char *path, int flags, ...) { OPEN_BODY(AT_FDCWD); }
int openat(int directory, const char *path, int flags, ...) { OPEN_BODY(directory); }
int openat64(int directory, const char *path, int flags, ...) { OPEN_BODY(directory); }

int close(int fd) {
  if (path_of(fd) != NULL) remember(fd, NULL);
  return REAL(close)(fd);
}

/* ---- writing ---- */

static ssize_t write_at(int fd, const void *data, size_t length, int64_t offset, enum kind kind) {
  const char *path = path_of(fd);
  if (has_no_room(fd, path, offset, length)) return failed(ENOSPC);
  int how = fault(kind, path);
  if (how != 0 && how != SHORT_WRITE && how != TORN_WRITE) return failed(how);
  size_t wanted = how == 0 ? length : length / 2;
  /* A write of nothing may be asked for for ever. */
  if (how == SHORT_WRITE && wanted == 0) wanted = length;
  int is_kept = is_traced(path);
  if (is_kept) begin();
  int64_t at = offset;
  if (is_kept && at < 0) {
    struct stat found;
    at = (fcntl(fd, F_GETFL) & O_APPEND) && fstat(fd, &found) == 0 ? found.st_size : lseek(fd, 0, SEEK_CUR);
  }
  ssize_t written = offset < 0 ? syscall(SYS_write, fd, data, wanted) : syscall(SYS_pwrite64, fd, data, wanted, offset);
  if (is_kept) {
    if (written > 0) record(kind, inode_of(fd), at, path, NULL, data, written);
    end();
  }
  return how == TORN_WRITE ? failed(EIO) : written;
}

ssize_t write(int fd, const void *data, size_t length) { return write_at(fd, data, length, -1, WRITE); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return write_at(fd, data, length, offset, PWRITE); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return write_at(fd, data, length, offset, PWRITE); }

/* Part by part; a part that fails ends it, as a short write. */
static ssize_t write_parts(int fd, const struct iovec *parts, int count, int64_t offset) {
  ssize_t sum = 0;
  for (int i = 0; i < count; i++) {
    ssize_t written = write_at(fd, parts[i].iov_base, parts[i].iov_len, offset < 0 ? -1 : offset + sum, WRITE);
    if (written < 0) return sum > 0 ? sum : -1;
    sum += written;
    if ((size_t)written < parts[i].iov_len) break;
  }
  return sum;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  return path_of(fd) == NULL ? syscall(SYS_writev, fd, parts, count) : write_parts(fd, parts, count, -1);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  return path_of(fd) == NULL ? REAL(pwritev64)(fd, parts, count, offset) : write_parts(fd, parts, count, offset);
}

static int truncate_to(int fd, int64_t length) {
  const char *path = path_of(fd);
  int how = fault(FTRUNCATE, path);
  if (how != 0) return failed(how);
  int is_kept = is_traced(path);
  if (is_kept) begin();
  int result = syscall(SYS_ftruncate, fd, length);
  if (is_kept) {
    if (result == 0) record(FTRUNCATE, inode_of(fd), length, path, NULL, NULL, 0);
    end();
  }
  return result;
}

int ftruncate(int fd, off_t length) { return truncate_to(fd, length); }
int ftruncate64(int fd, off64_t length) { return truncate_to(fd, length); }

/* ---- syncing: the power stays on while a test runs, so that nothing needs to go to the disk ---- */

static int sync_file(int fd, enum kind kind) {
  const char *path = path_of(fd);
  int how = fault(kind, path);
  if (how != 0) return failed(how);
  int is_kept = is_traced(path);
  if (is_kept) begin();
  int result = path != NULL ? 0 : syscall(kind == FSYNC ? SYS_fsync : SYS_fdatasync, fd);
  if (is_kept) {
    record(kind, inode_of(fd), 0, path, NULL, NULL, 0);
    end();
  }
  return result;
}

int fsync(int fd) { return sync_file(fd, FSYNC); }
int fdatasync(int fd) { return sync_file(fd, FDATASYNC); }

/* ---- names ---- */

#define NAME_CALL(kind, path, second, call)                                 \
  do {                                                                      \
    const char *ours = is_ours(path) ? path : NULL;                         \
    int how = fault(kind, ours);                                            \
    if (how != 0) return failed(how);                                       \
    int is_kept = is_traced(ours);                                          \
    if (is_kept) begin();                                                   \
    int result = call;                                                      \
    if (is_kept) {                                                          \
      int saved = errno;                                                    \
      if (result == 0) record(kind, 0, 0, path, second, NULL, 0);           \
      errno = saved;                                                        \
      end();                                                                \
    }                                                                       \
    return result;                                                          \
  } while (0)

int rename(const char *from, const char *to) { NAME_CALL(RENAME, from, to, REAL(rename)(from, to)); }
int link(const char *from, const char *to) { NAME_CALL(LINK, from, to, REAL(link)(from, to)); }
int unlink(const char *path) { NAME_CALL(UNLINK, path, NULL, REAL(unlink)(path)); }
int mkdir(const char *path, mode_t mode) { NAME_CALL(MKDIR, path, NULL, REAL(mkdir)(path, mode)); }
int rmdir(const char *path) { NAME_CALL(RMDIR, path, NULL, REAL(rmdir)(path)); }
