/* error.h - how errors are recorded: the sticky one of a graph, and the thread's last one. */
#ifndef RGI_ERROR_H
#define RGI_ERROR_H

#include <retrograde/base.h>

#include <stdarg.h>

#define RGI_ERROR_TEXT 1024

typedef struct rgi_error {
    rg_status status;
    char text[RGI_ERROR_TEXT];
} rgi_error;

/* Sets the thread's rg_last_error and returns `status`: `return rgi_fail(RG_ERR_IO, "...", ...)`. */
rg_status rgi_fail(rg_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
rg_status rgi_fail_v(rg_status status, const char *format, va_list args);

/* How many failures this thread has recorded: whether a call that failed has said why. */
uint64_t rgi_failures(void);

/* Records an error of building: the first one stands. The text gets the scope and the caller's location (that of
   `origin` if it is not NULL). Also sets rg_last_error. Returns NULL so that a builder can return it. */
rg_node *rgi_graph_fail(rg_graph *g, rg_status status, const rg_node *origin, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Records an error of compiling: the last one stands. Sets rg_last_error. */
void rgi_compile_fail(rg_graph *g, rg_status status, const rg_node *node, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same with a list of arguments. */
void rgi_graph_fail_v(rg_graph *g, rg_status status, const rg_node *origin, const char *format, va_list args);
/* Where the caller stands, as rg_here was told: the file (NULL: unknown) and the line. */
const char *rgi_here(int32_t *line);

/* Formats into a buffer that the caller owns: "f32[batch, 784]", "[32, 10]", "add#12 'fc1.weight'". */
#define RGI_LABEL 160
const char *rgi_format_shape(const rg_graph *g, rg_shape shape, char *buffer, size_t size);
const char *rgi_format_type(const rg_graph *g, rg_dtype dtype, rg_shape shape, char *buffer, size_t size);
const char *rgi_format_node(const rg_node *node, char *buffer, size_t size);
/* "f32[32, 10] 'x'", or "f32[32, 10] add#12" where the node has no name. */
const char *rgi_format_operand(const rg_node *node, char *buffer, size_t size);

#endif
