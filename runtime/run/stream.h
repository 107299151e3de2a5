/* stream.h - copies past the caches, for results that do not fit into them: the memory they go to is not read first. */
#ifndef RGI_STREAM_H
#define RGI_STREAM_H

#include <stddef.h>

/* Bytes of a result from which it is written so: what a last-level cache holds, or about that. */
#define RGI_STREAM_LEAST ((size_t)32 << 20)

/* `ahead`: as many bytes that will be read next, fetched meanwhile; or NULL. */
void rgi_stream_copy(void *to, const void *from, size_t bytes, const void *ahead);
/* What this thread has copied is seen by others that it meets from here on. */
void rgi_stream_end(void);

#endif
