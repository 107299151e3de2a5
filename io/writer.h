/* writer.h - a file that takes the place of another when it is complete, never before. */
#ifndef RGI_IO_WRITER_H
#define RGI_IO_WRITER_H

#include <retrograde/base.h>

typedef struct rgi_writer {
    rg_allocator allocator;
    const char *caller, *path; /* for errors: "rg_save", and the file to be replaced */
    char *temp;
    size_t temp_bytes;
    int fd;
    bool exists;                                          /* the temporary file does */
    uint64_t written;                                     /* bytes put so far */
    void (*tap)(void *user, const void *bytes, size_t n); /* sees all that is put; NULL: nobody does */
    void *user;
} rgi_writer;

/* A file beside `path` under a temporary name, locked, with the permissions of the one it will replace. What a program
   that was killed left there is taken over. After any failure, too, rgi_writer_finish must follow. */
rg_status rgi_writer_open(rgi_writer *w, const rg_allocator *allocator, const char *caller, const char *path);
rg_status rgi_writer_put(rgi_writer *w, const void *bytes, size_t n);
/* Elements of `width` bytes, as little-endian. */
rg_status rgi_writer_put_values(rgi_writer *w, const void *values, size_t n, size_t width);
/* Replaces bytes put before. The tap does not see it. */
rg_status rgi_writer_patch(rgi_writer *w, uint64_t offset, const void *bytes, size_t n);
/* Synchronises the file and renames it. The one that stood there goes on under the name `previous`, if one is given:
   at every moment there is a whole file at `path`, if there was one before. */
rg_status rgi_writer_commit(rgi_writer *w, const char *previous);
/* Gives everything back; without a commit the temporary file is gone. */
void rgi_writer_finish(rgi_writer *w);

#endif
