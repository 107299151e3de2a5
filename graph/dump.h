/* dump.h - pieces of text that the dumps share. */
#ifndef RGI_DUMP_H
#define RGI_DUMP_H

#include "graph.h"
#include "text.h"

/* The value of one attribute field, in words. */
void rgi_dump_field(rgi_text *out, const rg_graph *g, const rg_attr_field *field, const void *at);
/* Whether a field says something that the type of the node does not. */
bool rgi_dump_telling(const rg_node *node, const rg_attr_field *field);

#endif
