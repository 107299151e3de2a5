/* fuzz.c - a libFuzzer target for one reader of io/: READER is its name. ./dev fuzz builds and runs them all. */
#define _GNU_SOURCE /* memfd_create */

#include "../readers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void feed(const reader *r, const uint8_t *bytes, size_t n)
{
    static char path[64];
    static int file = -1;
    if (file < 0) {
        file = memfd_create("fuzz", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    if (file < 0 || ftruncate(file, 0) || pwrite(file, bytes, n, 0) != (ssize_t)n)
        abort();
    const rg_status status = r->read(path);
    if (status != RG_OK && !strstr(rg_last_error(), path))
        abort(); /* an error names its file */
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const reader *r = readers;
    while (strcmp(r->name, READER) != 0)
        r++;
    feed(r, bytes, n);
    uint8_t *repaired = r->repair ? malloc(n + 1) : NULL;
    if (repaired) {
        memcpy(repaired, bytes, n);
        r->repair(repaired, n);
        feed(r, repaired, n);
    }
    free(repaired);
    return 0;
}
