/* layer.h - what every layer that makes parameters asks of its input and its name. */
#ifndef RGI_LAYER_H
#define RGI_LAYER_H

#include <retrograde/base.h>

/* Whether both are there and x ("x", "xs" in the text) is of a float type, which its parameters get; else the error of
   the builder `who` is recorded. */
bool rgi_layer_takes(const char *who, const char *what, rg_node *x, const char *name);

#endif
