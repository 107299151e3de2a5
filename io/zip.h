/* zip.h - the records of a ZIP file (PKWARE's APPNOTE 6.3.10), for archives of arrays. */
#ifndef RGI_IO_ZIP_H
#define RGI_IO_ZIP_H

#include <stdbool.h>
#include <stddef.h>

#define LOCAL_SIGNATURE 0x04034b50u
#define CENTRAL_SIGNATURE 0x02014b50u
#define END_SIGNATURE 0x06054b50u
#define END64_SIGNATURE 0x06064b50u
#define LOCATOR64_SIGNATURE 0x07064b50u
#define LOCAL_BYTES 30
#define CENTRAL_BYTES 46
#define END_BYTES 22
#define END64_BYTES 56
#define LOCATOR64_BYTES 20

/* A name that is there twice, NULL if there is none. False: out of memory. */
bool rgi_zip_find_twice(const char *const *names, size_t n, const char **twice);

#endif
