/* layer.c - what every layer that makes parameters asks of its input and its name. */
#include "layer.h"

#include <retrograde/graph.h>
#include <retrograde/op.h>

bool rgi_layer_takes(const char *who, const char *what, rg_node *x, const char *name)
{
    rg_graph *const g = rg_graph_of(x);
    char text[160];
    if (!x || !name) {
        rg_build_fail(g, RG_ERR_ARGUMENT, "%s: %s is NULL", who, x ? "name" : what);
        return false;
    }
    if (rg_dtype_is_float(rg_dtype_of(x)))
        return true;
    rg_build_fail(g, RG_ERR_DTYPE, "%s: '%s': %s is no float: rg_cast makes it f32 or f64; input: %s", who, name, what,
                  rg_describe(x, text, sizeof text));
    return false;
}
