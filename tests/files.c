/* files.c - directories, whole files, the text of errors. */
#define _DEFAULT_SOURCE

#include "files.h"

#include <retrograde/base.h>

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

char directory[64], path[128];

void begin(void)
{
    const char *above = getenv("TMPDIR");
    const int n = snprintf(directory, sizeof directory, "%s/test_io_XXXXXX", above ? above : "/tmp");
    cr_assert(n < (int)sizeof directory && mkdtemp(directory));
    snprintf(path, sizeof path, "%s/file", directory);
}

int files(bool clean)
{
    int n = 0;
    DIR *d = opendir(directory);
    for (struct dirent *e; d && (e = readdir(d));) {
        char name[512];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        n++;
        snprintf(name, sizeof name, "%s/%s", directory, e->d_name);
        if (clean)
            remove(name);
    }
    closedir(d);
    return n;
}

void end(void)
{
    files(true);
    rmdir(directory);
}

void write_bytes(const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(bytes, 1, n, f) == n);
    cr_assert_eq(fclose(f), 0);
}

size_t read_bytes(unsigned char *bytes, size_t size)
{
    FILE *f = fopen(path, "rb");
    cr_assert(f);
    const size_t n = fread(bytes, 1, size, f);
    fclose(f);
    return n;
}

void write_gzip(const void *bytes, size_t n)
{
    gzFile f = gzopen(path, "wb9");
    cr_assert(f && gzwrite(f, bytes, (unsigned)n) == (int)n);
    cr_assert_eq(gzclose(f), Z_OK);
}

bool says(const char *message)
{
    char parts[512];
    snprintf(parts, sizeof parts, "%s", message);
    for (char *part = strtok(parts, "|"); part; part = strtok(NULL, "|"))
        if (!strstr(rg_last_error(), part))
            return false;
    return true;
}

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}
