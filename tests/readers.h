/* readers.h - every reader of io/ as a function of bytes, for the mutation tests and the fuzzers. */
#ifndef RETROGRADE_TESTS_READERS_H
#define RETROGRADE_TESTS_READERS_H

#include <retrograde/retrograde.h>

#include <stddef.h>
#include <stdint.h>

/* Reads the file at `path` with one reader and frees what it gives. */
typedef rg_status read_file(const char *path);

typedef struct reader {
    const char *name;
    read_file *read;
    /* Writes one of a few files that are in order to `path`. */
    void (*sample)(const char *path, unsigned which);
    bool sealed; /* a digest covers the file: every change of it must be refused */
    /* NULL, or makes the checksums of a damaged file agree with its bytes, so that the damage goes further. */
    void (*repair)(unsigned char *bytes, size_t n);
} reader;

extern const reader readers[];
extern const size_t n_readers;

/* Whether the library was built with what the reader needs. */
bool reader_present(const reader *r);

#endif
