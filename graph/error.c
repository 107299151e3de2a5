/* error.c - the thread's last error, the sticky error of a graph, and how nodes, types and places are written. */
#include "graph.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static _Thread_local struct {
    char text[RGI_ERROR_TEXT];
    const char *file; /* where the caller of the next builder stands */
    int line;
    uint64_t failures;
} here;

static void say(const char *text)
{
    memcpy(here.text, text, sizeof here.text);
    here.failures++;
}

uint64_t rgi_failures(void)
{
    return here.failures;
}

const char *rg_last_error(void)
{
    return here.text;
}

const char *rg_status_name(rg_status status)
{
    static const char *const names[] = {
        [RG_OK] = "ok",
        [RG_ERR_ARGUMENT] = "argument",
        [RG_ERR_SHAPE] = "shape",
        [RG_ERR_DTYPE] = "dtype",
        [RG_ERR_NAME] = "name",
        [RG_ERR_REGION] = "region",
        [RG_ERR_GRADIENT] = "gradient",
        [RG_ERR_STATE] = "state",
        [RG_ERR_MEMORY] = "memory",
        [RG_ERR_IO] = "io",
        [RG_ERR_FORMAT] = "format",
        [RG_ERR_NUMERIC] = "numeric",
    };
    return (unsigned)status < sizeof names / sizeof *names ? names[status] : "unknown";
}

void rg_here(const char *file, int line)
{
    here.file = file;
    here.line = line;
}

const char *rgi_here(int32_t *line)
{
    *line = here.line;
    return here.file;
}

rg_status rgi_fail_v(rg_status status, const char *format, va_list args)
{
    char text[RGI_ERROR_TEXT]; /* the arguments may point into the present text */
    vsnprintf(text, sizeof text, format, args);
    say(text);
    return status;
}

rg_status rgi_fail(rg_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    rgi_fail_v(status, format, args);
    va_end(args);
    return status;
}

rg_status rg_step_fail(const rg_step *step, rg_status status, const char *format, ...)
{
    char text[RGI_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return rgi_fail(status, "%s: %s", step->op->name, text);
}

/* Appends " (in encoder.fc1, at model.c:12)". A text too long for the buffer loses its own end, not the place. */
static void append_place(char *text, const char *scope, const char *file, int line)
{
    char place[RGI_ERROR_TEXT / 2] = "";
    const int n = scope ? (int)strlen(scope) - 1 : 0; /* without its trailing dot */
    if (n > 0 && file)
        snprintf(place, sizeof place, " (in %.*s, at %s:%d)", n, scope, file, line);
    else if (n > 0)
        snprintf(place, sizeof place, " (in %.*s)", n, scope);
    else if (file)
        snprintf(place, sizeof place, " (at %s:%d)", file, line);
    const size_t room = RGI_ERROR_TEXT - strlen(place) - 1, used = strlen(text);
    strcpy(text + (used < room ? used : room), place);
}

void rgi_graph_fail_v(rg_graph *g, rg_status status, const rg_node *origin, const char *format, va_list args)
{
    if (!g) {
        rgi_fail_v(status, format, args);
        return;
    }
    char text[RGI_ERROR_TEXT];
    vsnprintf(text, sizeof text, format, args);
    if (!origin)
        origin = g->origin;
    if (origin)
        append_place(text, origin->scope, origin->file, origin->line);
    else
        append_place(text, g->scope, here.file, here.line);
    say(text);
    rgi_error *const error = g->in_compile ? &g->compile_error : &g->error;
    if (error->status == RG_OK) {
        error->status = status;
        memcpy(error->text, text, sizeof text);
    }
}

rg_node *rgi_graph_fail(rg_graph *g, rg_status status, const rg_node *origin, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    rgi_graph_fail_v(g, status, origin, format, args);
    va_end(args);
    return NULL;
}

rg_node *rg_build_fail(rg_graph *g, rg_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    rgi_graph_fail_v(g, status, NULL, format, args);
    va_end(args);
    return NULL;
}

void rgi_compile_fail(rg_graph *g, rg_status status, const rg_node *node, const char *format, ...)
{
    char text[RGI_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (node)
        append_place(text, node->scope, node->file, node->line);
    say(text);
    if (!g)
        return;
    g->compile_error.status = status;
    memcpy(g->compile_error.text, text, sizeof text);
}

const char *rg_graph_error(const rg_graph *g)
{
    if (!g)
        return "the graph is NULL: rg_graph_new failed or was not called";
    if (g->error.status != RG_OK)
        return g->error.text;
    return g->compile_error.status != RG_OK ? g->compile_error.text : NULL;
}

rg_status rg_graph_status(const rg_graph *g)
{
    if (!g)
        return RG_ERR_ARGUMENT;
    return g->error.status != RG_OK ? g->error.status : g->compile_error.status;
}

void rg_graph_clear_error(rg_graph *g)
{
    if (g)
        g->error.status = g->compile_error.status = RG_OK;
}

/* ---- nodes, shapes and types in words ---- */

const char *rgi_format_shape(const rg_graph *g, rg_shape shape, char *buffer, size_t size)
{
    size_t n = 0;
    const int32_t rank = shape.rank < RG_MAX_RANK ? shape.rank : RG_MAX_RANK;
    n += (size_t)snprintf(buffer, size, "[");
    for (int32_t i = 0; i < rank && n < size; i++) {
        char one[RGI_LABEL];
        n += (size_t)snprintf(buffer + n, size - n, "%s%s", i ? ", " : "",
                              rgi_format_size(g, shape.dim[i], one, sizeof one));
    }
    if (n < size)
        snprintf(buffer + n, size - n, shape.rank > RG_MAX_RANK ? ", ...]" : "]");
    return buffer;
}

const char *rgi_format_type(const rg_graph *g, rg_dtype dtype, rg_shape shape, char *buffer, size_t size)
{
    char sizes[RGI_LABEL * 2];
    snprintf(buffer, size, "%s%s", rg_dtype_name(dtype), rgi_format_shape(g, shape, sizes, sizeof sizes));
    return buffer;
}

const char *rgi_format_node(const rg_node *node, char *buffer, size_t size)
{
    if (!node)
        snprintf(buffer, size, "NULL");
    else if (node->name)
        snprintf(buffer, size, "%s#%" PRIu32 " '%s'", node->op->name, node->id, node->name);
    else
        snprintf(buffer, size, "%s#%" PRIu32, node->op->name, node->id);
    return buffer;
}

const char *rgi_format_operand(const rg_node *node, char *buffer, size_t size)
{
    char type[RGI_LABEL], label[RGI_LABEL];
    rgi_format_type(node->graph, node->dtype, node->shape->a, type, sizeof type);
    if (node->name)
        snprintf(buffer, size, "%s '%s'", type, node->name);
    else
        snprintf(buffer, size, "%s %s", type, rgi_format_node(node, label, sizeof label));
    return buffer;
}
