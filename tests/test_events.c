/* test_events.c - event files, record by record; and what a full disk leaves of one. */
#define _DEFAULT_SOURCE

#include "files.h"
#include "must.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

static unsigned char bytes[1 << 14];

/* CRC-32C by the table, which the writer does without. */
static uint32_t masked_crc(const unsigned char *at, size_t n)
{
    uint32_t table[256], crc = UINT32_MAX;
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int k = 0; k < 8; k++)
            table[i] = table[i] & 1 ? table[i] >> 1 ^ 0x82F63B78u : table[i] >> 1;
    }
    while (n-- > 0)
        crc = table[(crc ^ *at++) & 255] ^ crc >> 8;
    crc = ~crc;
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

/* Reads the one event file of the directory; false if there is none. */
static bool read_events(size_t *n)
{
    bool found = false;
    DIR *d = opendir(directory);
    for (struct dirent *entry; (entry = readdir(d));)
        if (strncmp(entry->d_name, "events.out.tfevents.", 20) == 0) {
            snprintf(path, sizeof path, "%.63s/%.60s", directory, entry->d_name);
            found = true;
        }
    closedir(d);
    *n = found ? read_bytes(bytes, sizeof bytes) : 0;
    return found;
}

/* Where record i begins, each one before it being whole and under its checksums; the end for i = the number of
   records. */
static size_t record(size_t n, size_t i)
{
    size_t at = 0;
    for (uint64_t length; i > 0; i--, at += 16 + length) {
        uint32_t crc;
        cr_assert(at + 16 <= n, "no record at %zu of %zu", at, n);
        memcpy(&length, bytes + at, 8);
        memcpy(&crc, bytes + at + 8, 4);
        cr_assert_eq(crc, masked_crc(bytes + at, 8));
        cr_assert(at + 16 + length <= n);
        memcpy(&crc, bytes + at + 12 + length, 4);
        cr_assert_eq(crc, masked_crc(bytes + at + 12, length));
    }
    return at;
}

Test(events, as_tensorboard_reads_them)
{
    size_t n;
    begin();
    cr_assert_eq(masked_crc((const unsigned char *)"123456789", 9),
                 ((0xE3069283u >> 15) | (0xE3069283u << 17)) + 0xa282ead8u);
    rg_events *e = rg_events_open(directory);
    cr_assert(e, "%s", rg_last_error());
    must(rg_events_scalar(e, "loss/train", 300, 0.25));
    must(rg_events_close(e));
    must(rg_events_close(NULL));
    cr_assert(read_events(&n));
    cr_assert_eq(record(n, 2), n);
    /* step 300, summary { value { "loss/train", 0.25f } } */
    cr_assert_eq(
        memcmp(bytes + record(n, 1) + 12 + 9, "\x10\xac\x02\x2a\x13\x0a\x11\x0a\x0aloss/train\x15\0\0\x80\x3e", 24), 0);
    cr_assert_null(rg_events_open("/dev/null/there"));
    cr_assert_null(rg_events_open(NULL));
    end();
}

static void limit_files(rlim_t most)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = most < limit.rlim_max ? most : limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* What does not fit is not there in part: behind it a reader would find nothing any more. */
Test(events, a_full_disk_leaves_whole_records)
{
    enum { FULL = 100 };
    size_t n;
    int64_t written = 0;
    signal(SIGXFSZ, SIG_IGN);
    begin();
    rg_events *e = rg_events_open(directory);
    cr_assert(e, "%s", rg_last_error());
    limit_files(FULL);
    while (rg_events_scalar(e, "loss/train", written, 0.5) == RG_OK)
        written++;
    cr_assert(says("cannot write") && says("events.out.tfevents.") && says(strerror(EFBIG)), "%s", rg_last_error());
    cr_assert(read_events(&n));
    cr_assert(n < FULL);
    cr_assert_eq(record(n, 1 + (size_t)written), n);
    limit_files(RLIM_INFINITY);
    must(rg_events_scalar(e, "loss/train", 300, 0.5));
    must(rg_events_close(e));
    cr_assert(read_events(&n));
    cr_assert_eq(record(n, 2 + (size_t)written), n);
    end();
}

Test(events, a_full_disk_leaves_no_file_that_could_not_begin)
{
    size_t n;
    signal(SIGXFSZ, SIG_IGN);
    begin();
    limit_files(10);
    cr_assert_null(rg_events_open(directory));
    cr_assert(says("cannot write") && says(strerror(EFBIG)), "%s", rg_last_error());
    cr_assert_not(read_events(&n));
    end();
}
