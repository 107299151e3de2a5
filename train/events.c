/* events.c - TensorBoard's event files: records of {u64 length, masked CRC-32C of it, bytes, masked CRC-32C of them},
   each an Event message in protocol buffers: 1 wall_time (double), 2 step (varint), 3 file_version (string), 5 summary,
   which holds 1 value {1 tag (string), 2 simple_value (float)}. */
#define _POSIX_C_SOURCE 200809L

#include <retrograde/train.h>

#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TAG 256 /* longest name of a series */

struct rg_events {
    int fd;
    off_t whole; /* bytes of whole records */
    char path[2048];
};

/* CRC-32C (Castagnoli), bit by bit: records are short. */
static uint32_t crc32c(const unsigned char *bytes, size_t n)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (0x82F63B78u & (0u - (crc & 1)));
    }
    return ~crc;
}

static uint32_t masked(const unsigned char *bytes, size_t n)
{
    const uint32_t crc = crc32c(bytes, n);
    return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

/* A message that is being written, or a record. */
struct message {
    unsigned char at[2 * TAG + 64];
    size_t n;
};

static void put_little(struct message *m, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        m->at[m->n++] = (unsigned char)(value >> 8 * i);
}

static void put_varint(struct message *m, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        m->at[m->n++] = (unsigned char)(value | 0x80);
    m->at[m->n++] = (unsigned char)value;
}

/* Field `number` of wire type 2: bytes with their length. */
static void put_bytes(struct message *m, unsigned number, const void *bytes, size_t n)
{
    put_varint(m, number << 3 | 2);
    put_varint(m, n);
    memcpy(m->at + m->n, bytes, n);
    m->n += n;
}

static void put_time(struct message *m)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const double seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    uint64_t bits;
    memcpy(&bits, &seconds, sizeof bits);
    put_varint(m, 1 << 3 | 1);
    put_little(m, bits, 8);
}

static bool write_all(int fd, const unsigned char *at, size_t n)
{
    while (n) {
        const ssize_t wrote = write(fd, at, n);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return false;
        at += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

/* The whole record or nothing of it: behind a part of one a reader would find no further record. */
static rg_status write_record(rg_events *e, const struct message *m)
{
    struct message record = {.n = 0};
    put_little(&record, m->n, 8);
    put_little(&record, masked(record.at, 8), 4);
    memcpy(record.at + record.n, m->at, m->n);
    record.n += m->n;
    put_little(&record, masked(m->at, m->n), 4);
    if (write_all(e->fd, record.at, record.n)) {
        e->whole += (off_t)record.n;
        return RG_OK;
    }
    rgi_fault(RG_ERR_IO, "rg_events: %s: cannot write: %s", e->path, strerror(errno));
    if (ftruncate(e->fd, e->whole) == 0)
        (void)lseek(e->fd, e->whole, SEEK_SET);
    return RG_ERR_IO;
}

rg_events *rg_events_open(const char *directory)
{
    static const char version[] = "brain.Event:2";
    char host[64] = "host";
    if (!directory) {
        rgi_fault(RG_ERR_ARGUMENT, "rg_events_open: directory is NULL");
        return NULL;
    }
    rg_events *e = calloc(1, sizeof *e);
    if (!e) {
        rgi_fault(RG_ERR_MEMORY, "rg_events_open: out of memory");
        return NULL;
    }
    if (strlen(directory) > sizeof e->path / 2) {
        rgi_fault(RG_ERR_IO, "rg_events_open: %.60s..: a path of %zu bytes is too long", directory, strlen(directory));
        free(e);
        return NULL;
    }
    if (mkdir(directory, 0777) && errno != EEXIST) {
        rgi_fault(RG_ERR_IO, "rg_events_open: %s: %s", directory, strerror(errno));
        free(e);
        return NULL;
    }
    gethostname(host, sizeof host - 1);
    e->fd = -1;
    for (unsigned i = 0; i < 1000 && e->fd < 0; i++) { /* a name that is not there yet */
        snprintf(e->path, sizeof e->path, "%s/events.out.tfevents.%010lld.%s.%ld.%u", directory, (long long)time(NULL),
                 host, (long)getpid(), i);
        e->fd = open(e->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (e->fd < 0 && errno != EEXIST)
            break;
    }
    struct message m = {.n = 0};
    put_time(&m);
    put_bytes(&m, 3, version, sizeof version - 1);
    if (e->fd < 0) {
        rgi_fault(RG_ERR_IO, "rg_events_open: %s: %s", e->path, strerror(errno));
    } else if (write_record(e, &m) == RG_OK) {
        return e;
    } else {
        close(e->fd);
        unlink(e->path);
    }
    free(e);
    return NULL;
}

rg_status rg_events_scalar(rg_events *e, const char *tag, int64_t step, double value)
{
    if (!e || !tag)
        return rgi_fault(RG_ERR_ARGUMENT, "rg_events_scalar: %s is NULL", e ? "tag" : "the writer");
    if (strlen(tag) > TAG)
        return rgi_fault(RG_ERR_NAME, "rg_events_scalar: %s: a tag of %zu bytes is too long", e->path, strlen(tag));
    struct message m = {.n = 0}, entry = {.n = 0}, summary = {.n = 0};
    const float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    put_bytes(&entry, 1, tag, strlen(tag));
    put_varint(&entry, 2 << 3 | 5);
    put_little(&entry, bits, 4);
    put_bytes(&summary, 1, entry.at, entry.n);
    put_time(&m);
    put_varint(&m, 2 << 3);
    put_varint(&m, (uint64_t)step);
    put_bytes(&m, 5, summary.at, summary.n);
    return write_record(e, &m);
}

rg_status rg_events_close(rg_events *e)
{
    if (!e)
        return RG_OK;
    const rg_status status =
        close(e->fd) == 0 ? RG_OK : rgi_fault(RG_ERR_IO, "rg_events: %s: cannot close: %s", e->path, strerror(errno));
    free(e);
    return status;
}
