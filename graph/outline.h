/* outline.h - the nodes of a graph in the order in which to write them out, bodies as brackets around theirs. */
#ifndef RGI_OUTLINE_H
#define RGI_OUTLINE_H

#include "graph.h"

typedef enum rgi_outline_kind { RGI_OUTLINE_NODE, RGI_OUTLINE_ENTER, RGI_OUTLINE_LEAVE } rgi_outline_kind;

/* A node, or the beginning or end of a body. */
typedef struct rgi_outline_entry {
    rgi_outline_kind kind;
    uint32_t id; /* of the node or region */
} rgi_outline_entry;

/* Nodes come by id, but a body as a whole where its last node comes, so that whatever it uses comes before it. */
typedef struct rgi_outline {
    rgi_outline_entry *at;
    size_t n, capacity;
} rgi_outline;

/* False when memory is short (last error set). */
bool rgi_outline_init(rgi_outline *outline, const rg_graph *g);
void rgi_outline_finish(rgi_outline *outline, const rg_graph *g);

#endif
