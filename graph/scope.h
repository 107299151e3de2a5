/* scope.h - names. */
#ifndef RGI_SCOPE_H
#define RGI_SCOPE_H

#include "graph.h"

/* Not empty, no empty part between dots, no control characters. */
bool rgi_name_valid(const char *name);
/* The present scope and the name; NULL when memory is short (error recorded). */
const char *rgi_full_name(rg_graph *g, const char *name);

#endif
