/* picture.h - what the picture formats share: which tensors are pictures. */
#ifndef RGI_IO_PICTURE_H
#define RGI_IO_PICTURE_H

#include <retrograde/base.h>

typedef struct rgi_picture {
    size_t width, height, channels; /* channels: 1 grey, 2 grey and alpha, 3 red green blue, 4 and alpha */
} rgi_picture;

/* Whether a tensor is a u8 picture [H, W] or [H, W, C] of at most `most` channels and at least one pixel; else the
   error. */
rg_status rgi_picture_of(const char *caller, const char *path, const rg_tensor *image, int64_t most, rgi_picture *out);

#endif
