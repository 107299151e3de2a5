/* files.h - what the tests of io/ share: a directory for each test, whole files, the text of errors, random numbers. */
#ifndef RETROGRADE_TESTS_FILES_H
#define RETROGRADE_TESTS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Between begin and end: a new directory, and a path in it. */
extern char directory[64], path[128];
void begin(void);
void end(void);
/* How many files the directory holds; removes them if `clean`. */
int files(bool clean);

/* The file at `path`. */
void write_bytes(const void *bytes, size_t n);
void write_gzip(const void *bytes, size_t n);
size_t read_bytes(unsigned char *bytes, size_t size);

/* Whether the last error has all parts of `message`, which '|' separates. */
bool says(const char *message);

/* splitmix64 */
uint64_t random_next(uint64_t *state);

#endif
