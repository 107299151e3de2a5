/* metrics.c - figures of merit that are looked at, not differentiated. */
#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

rg_node *rg_nn_accuracy(rg_node *logits, rg_node *labels)
{
    rg_graph *g = rg_graph_of(logits ? logits : labels);
    if (!logits || !labels)
        return rg_build_fail(g, RG_ERR_ARGUMENT, "rg_nn_accuracy: %s is NULL", logits ? "labels" : "logits");
    const rg_dtype dtype = rg_dtype_of(labels);
    if (dtype != RG_U8 && dtype != RG_I32 && dtype != RG_I64)
        return rg_build_fail(g, RG_ERR_DTYPE, "rg_nn_accuracy: labels are %s, not an integer type",
                             rg_dtype_name(dtype));
    rg_node *guess = rg_argmax(logits, -1);
    if (!guess)
        return NULL;
    if (!rg_shape_equal(rg_shape_of(guess), rg_shape_of(labels))) {
        char a[160], b[160];
        return rg_build_fail(g, RG_ERR_SHAPE, "rg_nn_accuracy: logits %s need one label for each row, not %s",
                             rg_describe(logits, a, sizeof a), rg_describe(labels, b, sizeof b));
    }
    rg_node *right = rg_equal(guess, dtype == RG_I64 ? labels : rg_cast(labels, RG_I64));
    return rg_mean(rg_cast(right, RG_F32), RG_ALL_AXES, false);
}
