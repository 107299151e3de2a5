/* writer.c - files replaced atomically: written under another name, synchronised, renamed. */
#define _DEFAULT_SOURCE /* flock */

#include "writer.h"

#include "../graph/arena.h"
#include "../graph/error.h"
#include "bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 100
#define SUFFIX 16 /* ".99.tmp" */

static rg_status system_fail(const rgi_writer *w, const char *what, const char *file)
{
    return rgi_fail(RG_ERR_IO, "%s: %s: %s %s: %s", w->caller, w->path, what, file, strerror(errno));
}

/* Opens the temporary file and takes its lock. False, with errno EWOULDBLOCK, where a living writer holds it. Between
   open and lock its writer may have renamed it: then it is no longer the temporary file. */
static bool take(rgi_writer *w)
{
    struct stat opened, named;
    w->fd = open(w->temp, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (w->fd < 0)
        return false;
    if (flock(w->fd, LOCK_EX | LOCK_NB) == 0) {
        if (fstat(w->fd, &opened) == 0 && lstat(w->temp, &named) == 0 && opened.st_ino == named.st_ino &&
            opened.st_dev == named.st_dev && S_ISREG(opened.st_mode)) {
            w->exists = true;
            return true;
        }
        errno = EWOULDBLOCK;
    }
    const int error = errno;
    close(w->fd);
    w->fd = -1;
    errno = error;
    return false;
}

rg_status rgi_writer_open(rgi_writer *w, const rg_allocator *allocator, const char *caller, const char *path)
{
    *w = (rgi_writer){.allocator = *allocator, .caller = caller, .path = path, .fd = -1};
    struct stat old;
    const bool replaces = stat(path, &old) == 0;
    if (replaces && !S_ISREG(old.st_mode))
        return rgi_fail(RG_ERR_IO, "%s: %s: is there and is not a regular file", caller, path);
    w->temp_bytes = strlen(path) + SUFFIX;
    w->temp = rgi_alloc(allocator, w->temp_bytes);
    if (!w->temp)
        return rgi_fail(RG_ERR_MEMORY, "%s: %s: out of memory", caller, path);
    bool taken = false;
    for (int i = 0; i < TRIES && !taken; i++) {
        if (i)
            snprintf(w->temp, w->temp_bytes, "%s.%d.tmp", path, i);
        else
            snprintf(w->temp, w->temp_bytes, "%s.tmp", path);
        taken = take(w);
        if (!taken && errno != EWOULDBLOCK)
            break;
    }
    if (!taken)
        return system_fail(w, "cannot create", w->temp);
    if (ftruncate(w->fd, 0))
        return system_fail(w, "cannot empty", w->temp);
    if (replaces && fchmod(w->fd, old.st_mode & 0777))
        return system_fail(w, "cannot set the permissions of", w->temp);
    return RG_OK;
}

static rg_status write_at(const rgi_writer *w, uint64_t offset, const void *bytes, size_t n)
{
    const unsigned char *from = bytes;
    while (n) {
        const ssize_t done = pwrite(w->fd, from, n < (1u << 30) ? n : (1u << 30), (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return system_fail(w, "cannot write", w->temp);
        from += done;
        offset += (uint64_t)done;
        n -= (size_t)done;
    }
    return RG_OK;
}

rg_status rgi_writer_put(rgi_writer *w, const void *bytes, size_t n)
{
    const rg_status status = write_at(w, w->written, bytes, n);
    w->written += n;
    if (!status && w->tap && n)
        w->tap(w->user, bytes, n);
    return status;
}

rg_status rgi_writer_put_values(rgi_writer *w, const void *values, size_t n, size_t width)
{
    unsigned char block[1 << 14];
    const size_t bytes = n * width;
    if (rgi_host_is_little() || width == 1)
        return rgi_writer_put(w, values, bytes);
    for (size_t at = 0; at < bytes; at += sizeof block) {
        const size_t part = bytes - at < sizeof block ? bytes - at : sizeof block;
        memcpy(block, (const unsigned char *)values + at, part);
        rgi_little_endian(block, part / width, width);
        const rg_status status = rgi_writer_put(w, block, part);
        if (status)
            return status;
    }
    return RG_OK;
}

rg_status rgi_writer_patch(rgi_writer *w, uint64_t offset, const void *bytes, size_t n)
{
    return write_at(w, offset, bytes, n);
}

/* The directory's own record of the renames. Where the system refuses to synchronise directories, a crash may still
   bring the old file back, never a torn one. */
static void sync_directory(const rgi_writer *w)
{
    char *slash = strrchr(w->temp, '/');
    if (slash)
        slash[slash == w->temp] = '\0'; /* keeps the one of the root */
    const int fd = open(slash ? w->temp : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* A second name for the present file, which replaces the one before it. The link is made under the name of the
   temporary file's neighbour and renamed, so that `previous` too is whole at every moment. */
static rg_status keep(rgi_writer *w, const char *previous)
{
    const size_t bytes = strlen(previous) + 6;
    char *link_name = rgi_alloc(&w->allocator, bytes);
    if (!link_name)
        return rgi_fail(RG_ERR_MEMORY, "%s: %s: out of memory", w->caller, w->path);
    snprintf(link_name, bytes, "%s.link", previous);
    unlink(link_name);
    rg_status status = RG_OK;
    if (link(w->path, link_name) == 0)
        status = rename(link_name, previous) ? system_fail(w, "cannot keep the old file as", previous) : RG_OK;
    else if (errno != ENOENT && rename(w->path, previous)) /* a file system without links */
        status = system_fail(w, "cannot keep the old file as", previous);
    unlink(link_name); /* renaming onto another name of the same file leaves both */
    rgi_free(&w->allocator, link_name, bytes);
    return status;
}

rg_status rgi_writer_commit(rgi_writer *w, const char *previous)
{
    if (fsync(w->fd))
        return system_fail(w, "cannot synchronise", w->temp);
    const rg_status status = previous ? keep(w, previous) : RG_OK;
    if (status)
        return status;
    if (rename(w->temp, w->path)) /* the lock is held until it has its name */
        return system_fail(w, "cannot rename", w->temp);
    w->exists = false;
    const int closed = close(w->fd);
    w->fd = -1;
    if (closed)
        return system_fail(w, "cannot close", w->path);
    sync_directory(w);
    return RG_OK;
}

void rgi_writer_finish(rgi_writer *w)
{
    if (w->exists)
        unlink(w->temp);
    if (w->fd >= 0)
        close(w->fd);
    rgi_free(&w->allocator, w->temp, w->temp_bytes);
    w->temp = NULL;
    w->exists = false;
    w->fd = -1;
}
