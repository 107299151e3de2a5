/* dims.c - named dimensions: what stands for each, and what the user's numbers are under the other assignment. */
#include "graph.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RGI_DIM_NAMES 24

/* Primes near 2^15 whose neighbourhoods, doubles and halves hold none of the sizes people like (multiples of 1000 and
   1024, vocabularies, image sides), pairwise far from any small ratio. The differences first[i] - second[i] are twice
   distinct primes above 600, so that an affine size has one explanation. */
static const int64_t first[RGI_DIM_NAMES] = {
    32479, 33301, 31387, 34261, 35267, 29429, 36263, 28393, 37273, 27367, 38261, 26357,
    39359, 25309, 40351, 24281, 41263, 42281, 43607, 44579, 45361, 46349, 47381, 51563,
};
static const int64_t second[RGI_DIM_NAMES] = {
    30773, 32099, 32789, 35879, 36721, 27043, 34897, 30047, 38567, 26021, 40759, 33619,
    37717, 28031, 38873, 42967, 46769, 45943, 47713, 41617, 43943, 49411, 55243, 53077,
};

/* Every size that depends on a name is larger; smaller numbers need no look. */
#define RGI_PLAIN 4096

typedef struct rgi_noted {
    int64_t a, b;
    rgi_formula formula;
} rgi_noted;

static bool name_is_plain(const char *name)
{
    if (!name || !*name || (*name >= '0' && *name <= '9'))
        return false;
    for (; *name; name++) {
        const char c = *name;
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.'))
            return false;
    }
    return true;
}

/* Room for one more element of a growing array. */
static bool reserve(rg_graph *g, void **at, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity)
        return true;
    const size_t larger = *capacity ? *capacity * 2 : 8;
    void *memory = rgi_grow(&g->allocator, *at, *capacity * size, larger * size);
    if (!memory) {
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "out of memory for named dimensions");
        return false;
    }
    *at = memory;
    *capacity = larger;
    return true;
}

int64_t(rg_dim_multiple)(rg_graph *g, const char *name, int64_t multiple_of)
{
    if (!g) {
        rgi_fail(RG_ERR_ARGUMENT, "rg_dim: the graph is NULL");
        return -1;
    }
    if (!name_is_plain(name)) {
        rgi_graph_fail(g, RG_ERR_NAME, NULL, "rg_dim: '%s' is no name of a dimension (letters, digits, _ and .)",
                       name ? name : "NULL");
        return -1;
    }
    if (multiple_of < 1 || multiple_of > INT32_MAX) {
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "rg_dim_multiple: '%s' cannot be a multiple of %" PRId64, name,
                       multiple_of);
        return -1;
    }
    rgi_dims *const dims = &g->dims;
    for (size_t i = 0; i < dims->n; i++) {
        const rgi_dim *d = &dims->at[i];
        if (strcmp(d->name, name) != 0)
            continue;
        if (d->multiple_of % multiple_of == 0)
            return d->a;
        rgi_graph_fail(g, RG_ERR_NAME, NULL,
                       "rg_dim_multiple: '%s' was made as a multiple of %" PRId64 ", not of %" PRId64, name,
                       d->multiple_of, multiple_of);
        return -1;
    }
    if (dims->n == RGI_DIM_NAMES) {
        rgi_graph_fail(g, RG_ERR_NAME, NULL, "rg_dim: '%s' would be the %dth named dimension, a graph has at most %d",
                       name, RGI_DIM_NAMES + 1, RGI_DIM_NAMES);
        return -1;
    }
    const char *copy = rgi_string(g, name);
    void *at = dims->at;
    if (!copy || !reserve(g, &at, dims->n, &dims->capacity, sizeof *dims->at))
        return -1;
    dims->at = at;
    dims->at[dims->n] = (rgi_dim){copy, first[dims->n] * multiple_of, second[dims->n] * multiple_of, multiple_of};
    return dims->at[dims->n++].a;
}

int64_t(rg_dim)(rg_graph *g, const char *name)
{
    return (rg_dim_multiple)(g, name, 1);
}

bool rgi_dims_note(rg_graph *g, const char *who, int64_t a, int64_t b)
{
    rgi_dims *const dims = &g->dims;
    for (size_t i = 0; i < dims->n; i++)
        if (dims->at[i].a == a && dims->at[i].b == b)
            return true;
    for (size_t i = 0; i < dims->n_noted; i++)
        if (dims->noted[i].a == a && dims->noted[i].b == b)
            return true;
    rgi_noted noted = {.a = a, .b = b};
    if (a < 2 || b < 2 || !rgi_formula_find(g, a, b, &noted.formula)) {
        rgi_graph_fail(g, RG_ERR_SHAPE, NULL,
                       "%s: a size would depend on named dimensions otherwise than as a product, one factor of which "
                       "may be a name times "
                       "a number plus a number; where it is a division, promise divisibility with rg_dim_multiple",
                       who);
        return false;
    }
    void *at = dims->noted;
    if (!reserve(g, &at, dims->n_noted, &dims->noted_capacity, sizeof *dims->noted))
        return false;
    dims->noted = at;
    dims->noted[dims->n_noted++] = noted;
    return true;
}

void rgi_dims_finish(rg_graph *g)
{
    rgi_free(&g->allocator, g->dims.at, g->dims.capacity * sizeof *g->dims.at);
    rgi_free(&g->allocator, g->dims.noted, g->dims.noted_capacity * sizeof *g->dims.noted);
    g->dims = (rgi_dims){0};
}

static bool near(int64_t a, int64_t b, int64_t distance)
{
    return a - b <= distance && b - a <= distance;
}

/* What people compute from a size by hand: n +- a little, k n +- less, n / k +- less, k n exactly for any k. */
static bool looks_computed(const rgi_dim *d, int64_t a)
{
    if (a % (d->a / d->multiple_of) == 0 || near(a, d->a, 256))
        return true;
    for (int64_t k = 2; k <= 4; k++)
        if (near(a, k * d->a, 32) || near(a, d->a / k, 32))
            return true;
    return false;
}

rg_status rgi_dim_second(const rg_graph *g, int64_t a, int64_t *b)
{
    *b = a;
    if (a < RGI_PLAIN || a == RG_END)
        return RG_OK;
    const rgi_dims *const dims = &g->dims;
    for (size_t i = 0; i < dims->n; i++)
        if (dims->at[i].a == a) {
            *b = dims->at[i].b;
            return RG_OK;
        }
    for (size_t i = 0; i < dims->n_noted; i++)
        if (dims->noted[i].a == a) {
            *b = dims->noted[i].b;
            return RG_OK;
        }
    for (size_t i = 0; i < dims->n; i++)
        if (looks_computed(&dims->at[i], a))
            return rgi_fail(
                RG_ERR_ARGUMENT,
                "'%s': arithmetic on a named dimension: use -1, RG_END, negative indices or rg_dim_add / rg_dim_mul",
                dims->at[i].name);
    return RG_OK;
}

bool rgi_dim_value(const rg_graph *g, int64_t a, const int64_t *sizes, int64_t *out)
{
    const rgi_dims *const dims = &g->dims;
    for (size_t i = 0; i < dims->n; i++)
        if (dims->at[i].a == a) {
            *out = sizes[i];
            return *out >= 0;
        }
    for (size_t i = 0; i < dims->n_noted; i++)
        if (dims->noted[i].a == a)
            return rgi_formula_value(&dims->noted[i].formula, sizes, out);
    return false;
}

/* A size made from others: noted where it depends on a name, -1 on error. */
static int64_t made(rg_graph *g, const char *who, int64_t a, int64_t b)
{
    if (a < 0 || b < 0) {
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "%s: the result is negative or too large", who);
        return -1;
    }
    return a == b || rgi_dims_note(g, who, a, b) ? a : -1;
}

static bool operand(rg_graph *g, const char *who, int64_t dim, int64_t *b)
{
    if (!g) {
        rgi_fail(RG_ERR_ARGUMENT, "%s: the graph is NULL", who);
        return false;
    }
    if (dim < 0) {
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "%s: %" PRId64 " is not a size", who, dim);
        return false;
    }
    if (rgi_dim_second(g, dim, b) != RG_OK) {
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "%s: %s", who, rg_last_error());
        return false;
    }
    return true;
}

int64_t(rg_dim_add)(rg_graph *g, int64_t dim, int64_t addend)
{
    int64_t b, sum_a, sum_b = 0;
    if (!operand(g, "rg_dim_add", dim, &b))
        return -1;
    if (__builtin_add_overflow(dim, addend, &sum_a) || __builtin_add_overflow(b, addend, &sum_b))
        sum_a = -1;
    return made(g, "rg_dim_add", sum_a, sum_b);
}

int64_t(rg_dim_mul)(rg_graph *g, int64_t dim, int64_t factor)
{
    int64_t b, factor_b, product_a, product_b = 0;
    if (!operand(g, "rg_dim_mul", dim, &b) || !operand(g, "rg_dim_mul", factor, &factor_b))
        return -1;
    if (__builtin_mul_overflow(dim, factor, &product_a) || __builtin_mul_overflow(b, factor_b, &product_b))
        product_a = -1;
    return made(g, "rg_dim_mul", product_a, product_b);
}

/* ---- in words ---- */

/* What a value of one assignment is under the other, if it is a plain product of names and a number, or near one name:
   for messages about sizes that are not in the graph. */
static bool partner(const rgi_dims *dims, int64_t value, bool from_second, int64_t *other)
{
    int64_t rest = value, product = 1;
    for (size_t i = 0; i < dims->n; i++) {
        const rgi_dim *d = &dims->at[i];
        const int64_t mine = (from_second ? d->b : d->a) / d->multiple_of,
                      theirs = (from_second ? d->a : d->b) / d->multiple_of;
        while (rest % mine == 0) {
            rest /= mine;
            if (__builtin_mul_overflow(product, theirs, &product))
                return false;
        }
    }
    for (size_t i = 0; i < dims->n && rest >= RGI_PLAIN; i++)
        for (int64_t k = 1; k <= 4; k++) {
            const rgi_dim *d = &dims->at[i];
            const int64_t mine = k * (from_second ? d->b : d->a), theirs = k * (from_second ? d->a : d->b);
            if (near(rest, mine, k == 1 ? 256 : 32)) /* literals there are refused: see looks_computed */
                return !__builtin_mul_overflow(product, rest - mine + theirs, other);
        }
    return product != 1 && !__builtin_mul_overflow(product, rest, other);
}

const char *rgi_format_size(const rg_graph *g, int64_t a, char *buffer, size_t size)
{
    if (a == RG_END) {
        snprintf(buffer, size, "end");
        return buffer;
    }
    if (g && a >= RGI_PLAIN) {
        const rgi_dims *const dims = &g->dims;
        for (size_t i = 0; i < dims->n; i++)
            if (dims->at[i].a == a || dims->at[i].b == a) {
                snprintf(buffer, size, "%s", dims->at[i].name);
                return buffer;
            }
        for (size_t i = 0; i < dims->n_noted; i++)
            if (dims->noted[i].a == a || dims->noted[i].b == a)
                return rgi_formula_format(g, &dims->noted[i].formula, buffer, size);
        int64_t other;
        rgi_formula f;
        if ((partner(dims, a, false, &other) && rgi_formula_find(g, a, other, &f)) ||
            (partner(dims, a, true, &other) && rgi_formula_find(g, other, a, &f)))
            return rgi_formula_format(g, &f, buffer, size);
    }
    snprintf(buffer, size, "%" PRId64, a);
    return buffer;
}
