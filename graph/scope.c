/* scope.c - dotted name prefixes, the sharing of parameters, and the count of draws per scope. */
#include "intern.h"
#include "scope.h"

#include <stddef.h>
#include <string.h>

#define RGI_SCOPES (sizeof(((rg_graph *)0)->scopes) / sizeof(((rg_graph *)0)->scopes[0]))

bool rgi_name_valid(const char *name)
{
    if (!name || !*name)
        return false;
    bool after_dot = true;
    for (; *name; name++) {
        if ((unsigned char)*name < ' ' || (unsigned char)*name == 127 || (*name == '.' && after_dot))
            return false;
        after_dot = *name == '.';
    }
    return !after_dot;
}

/* scope + name + end, held once. */
static const char *joined(rg_graph *g, const char *name, const char *end)
{
    const size_t n_scope = strlen(g->scope), n_name = strlen(name), n_end = strlen(end),
                 bytes = n_scope + n_name + n_end + 1;
    char inline_text[256], *const text = bytes <= sizeof inline_text ? inline_text : rgi_alloc(&g->allocator, bytes);
    if (!text) {
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "out of memory for the name '%.60s'", name);
        return NULL;
    }
    memcpy(text, g->scope, n_scope);
    memcpy(text + n_scope, name, n_name);
    memcpy(text + n_scope + n_name, end, n_end + 1);
    const char *const held = rgi_string(g, text);
    if (text != inline_text)
        rgi_free(&g->allocator, text, bytes);
    return held;
}

const char *rgi_full_name(rg_graph *g, const char *name)
{
    return joined(g, name, "");
}

/* A push that fails leaves the scope as it is but still awaits its pop. */
static void push(rg_graph *g, const char *who, const char *name, bool reuse)
{
    if (!g) {
        rgi_fail(RG_ERR_ARGUMENT, "%s: the graph is NULL", who);
        return;
    }
    const size_t depth = (size_t)g->scope_depth++;
    if (depth >= RGI_SCOPES) {
        rgi_graph_fail(g, RG_ERR_NAME, NULL, "%s: scopes are nested more than %zu deep", who, RGI_SCOPES);
        return;
    }
    g->scopes[depth].outer = g->scope;
    g->scopes[depth].reuse = g->reuse;
    if (!rgi_name_valid(name)) {
        rgi_graph_fail(g, RG_ERR_NAME, NULL, "%s: '%s' is no name of a scope", who, name ? name : "NULL");
        return;
    }
    const char *const scope = joined(g, name, ".");
    if (scope)
        g->scope = scope;
    g->reuse = g->reuse || reuse;
}

void(rg_scope_push)(rg_graph *g, const char *name)
{
    push(g, "rg_scope_push", name, false);
}

void(rg_scope_reuse)(rg_graph *g, const char *name)
{
    push(g, "rg_scope_reuse", name, true);
}

void(rg_scope_pop)(rg_graph *g)
{
    if (!g) {
        rgi_fail(RG_ERR_ARGUMENT, "rg_scope_pop: the graph is NULL");
        return;
    }
    if (g->scope_depth == 0) {
        rgi_graph_fail(g, RG_ERR_STATE, NULL, "rg_scope_pop: no scope is open");
        return;
    }
    const size_t depth = (size_t)--g->scope_depth;
    if (depth < RGI_SCOPES) {
        g->scope = g->scopes[depth].outer;
        g->reuse = g->scopes[depth].reuse;
    }
}

uint64_t rgi_scope_ordinal(rg_graph *g)
{
    rgi_interned *const scope = (rgi_interned *)((char *)g->scope - offsetof(rgi_interned, text));
    return scope->draws++;
}
