/* sheet.h - text that grows, and files of text replaced whole. */
#ifndef RGI_TRAIN_SHEET_H
#define RGI_TRAIN_SHEET_H

#include <retrograde/base.h>

typedef struct rgi_sheet {
    char *at; /* ended by a zero once anything was put */
    size_t n, capacity;
    bool failed; /* memory was short: what follows is dropped */
} rgi_sheet;

void rgi_sheet_put(rgi_sheet *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The text becomes the file at `path`, which is whole at every moment. Frees the sheet in any case. */
rg_status rgi_sheet_write(rgi_sheet *s, const char *caller, const char *path);
/* Whether a file could be made at `path`, before there is anything to write: RG_ERR_IO if not. */
rg_status rgi_sheet_try(const char *caller, const char *path);
void rgi_sheet_free(rgi_sheet *s);

#endif
