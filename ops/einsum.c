/* einsum.c - sums of products by the letters of their axes, "bij,bjk->bik", as NumPy has them: one contraction after
   the other, from the left. */
#include "common.h"
#include "triangle.h"

#include <retrograde/op.h>
#include <string.h>

#define RGI_TERMS 16

typedef struct term {
    char letter[RG_MAX_RANK];
    int32_t n;
} term;

typedef struct spec {
    term in[RGI_TERMS], out;
    size_t n;
} spec;

static int32_t find(const term *t, char letter, int32_t from)
{
    for (int32_t k = from; k < t->n; k++)
        if (t->letter[k] == letter)
            return k;
    return -1;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t occurrences(const spec *s, char letter)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        for (int32_t k = 0; k < s->in[i].n; k++)
            n += s->in[i].letter[k] == letter;
    return n;
}

/* Without an arrow the result has the letters that occur once, in alphabetical order. False: too many. */
static bool implied(spec *s)
{
    for (int c = 'A'; c <= 'z'; c++)
        if (is_letter((char)c) && occurrences(s, (char)c) == 1) {
            if (s->out.n == RG_MAX_RANK)
                return false;
            s->out.letter[s->out.n++] = (char)c;
        }
    return true;
}

/* Returns what is wrong, or NULL. */
static const char *parse(const char *text, spec *s)
{
    term *t = &s->in[0];
    bool arrow = false;
    *s = (spec){.n = 1};
    for (const char *c = text; *c; c++) {
        if (*c == ' ')
            continue;
        if (*c == ',' && !arrow) {
            if (s->n == RGI_TERMS)
                return "it has too many terms";
            t = &s->in[s->n++];
        } else if (*c == '-' && c[1] == '>' && !arrow) {
            arrow = true;
            t = &s->out;
            c++;
        } else if (!is_letter(*c)) {
            return "axes are letters, terms are separated by commas, the result stands behind ->";
        } else if (t->n == RG_MAX_RANK) {
            return "a term has too many axes";
        } else {
            t->letter[t->n++] = *c;
        }
    }
    if (!arrow)
        return implied(s) ? NULL : "the result has too many axes";
    for (int32_t k = 0; k < s->out.n; k++)
        if (!occurrences(s, s->out.letter[k]) || find(&s->out, s->out.letter[k], k + 1) >= 0)
            return "a letter of the result stands in no term, or twice in the result";
    return NULL;
}

/* A letter that stands twice in a term takes the diagonal. */
static rg_node *diagonals(rg_node *x, term *t)
{
    for (int32_t p = 0; x && p < t->n; p++)
        for (int32_t q; x && (q = find(t, t->letter[p], p + 1)) >= 0;) {
            rg_node *mask = rgi_on_diagonal(x->graph, &x->shape->a, p, q);
            x = rg_sum(rg_where(mask, x, rg_scalar(x->graph, x->dtype, 0)), RG_AXES(q), false);
            memmove(t->letter + q, t->letter + q + 1, (size_t)(t->n - q - 1));
            t->n--;
        }
    return x;
}

/* Whether the result or a term from `next` on has the letter. */
static bool wanted(const spec *s, size_t next, char letter)
{
    bool found = find(&s->out, letter, 0) >= 0;
    for (size_t i = next; i < s->n; i++)
        found = found || find(&s->in[i], letter, 0) >= 0;
    return found;
}

/* Sums over the axes that neither the result, a later term nor `other` has. */
static rg_node *sum_unwanted(const spec *s, size_t next, rg_node *x, term *t, const term *other)
{
    rg_axes gone = {.n = 0};
    term kept = {.n = 0};
    for (int32_t k = 0; k < t->n; k++) {
        if (wanted(s, next, t->letter[k]) || (other && find(other, t->letter[k], 0) >= 0))
            kept.letter[kept.n++] = t->letter[k];
        else
            gone.axis[gone.n++] = k;
    }
    *t = kept;
    return gone.n ? rg_sum(x, gone, false) : x;
}

/* The product of two terms, summed over what is not wanted from `next` on; *t becomes its letters. */
static rg_node *join(const spec *s, size_t next, rg_node *a, term *t, rg_node *b, const term *u)
{
    rg_contract_opts o = {{.n = 0}, {.n = 0}, {.n = 0}, {.n = 0}};
    term batch = {.n = 0}, free = {.n = 0};
    for (int32_t k = 0; k < t->n; k++) {
        const int32_t other = find(u, t->letter[k], 0);
        if (other < 0) {
            free.letter[free.n++] = t->letter[k];
        } else if (wanted(s, next, t->letter[k])) {
            batch.letter[batch.n++] = t->letter[k];
            o.a_batch.axis[o.a_batch.n++] = k;
            o.b_batch.axis[o.b_batch.n++] = other;
        } else {
            o.a_contract.axis[o.a_contract.n++] = k;
            o.b_contract.axis[o.b_contract.n++] = other;
        }
    }
    for (int32_t k = 0; k < u->n; k++)
        if (find(t, u->letter[k], 0) < 0 && batch.n + free.n < RG_MAX_RANK)
            free.letter[free.n++] = u->letter[k];
    rg_node *y = rg_contract(a, b, &o);
    *t = batch;
    memcpy(t->letter + batch.n, free.letter, (size_t)free.n);
    t->n += free.n;
    return y;
}

static rg_node *fail(rg_graph *g, const char *text, const char *why)
{
    rg_build_fail(g, RG_ERR_ARGUMENT, "rg_einsum: \"%s\": %s", text, why);
    return NULL;
}

rg_node *rg_einsum(const char *text, rg_nodes xs)
{
    spec s;
    rg_graph *g = rg_graph_of(rg_at(xs, 0));
    if (!g || g->error.status != RG_OK)
        return NULL;
    const char *why = text ? parse(text, &s) : "no letters are given";
    if (why || s.n != xs.n)
        return fail(g, text ? text : "", why ? why : "the number of terms is not that of the operands");
    for (size_t i = 0; i < xs.n; i++) {
        char label[2 * RGI_LABEL];
        if (!xs.at[i])
            return fail(g, text, "an operand is NULL");
        if (xs.at[i]->shape->a.rank != s.in[i].n) {
            rg_build_fail(g, RG_ERR_SHAPE, "rg_einsum: \"%s\": term %zu has %d letters, its operand is %s", text, i,
                          s.in[i].n, rgi_format_operand(xs.at[i], label, sizeof label));
            return NULL;
        }
    }
    term t = s.in[0];
    rg_node *y = diagonals(xs.at[0], &t);
    for (size_t i = 1; y && i < s.n; i++) {
        rg_node *x = diagonals(xs.at[i], &s.in[i]);
        const term before = t;
        y = x ? sum_unwanted(&s, i + 1, y, &t, &s.in[i]) : NULL;
        x = y ? sum_unwanted(&s, i + 1, x, &s.in[i], &before) : NULL;
        y = x ? join(&s, i + 1, y, &t, x, &s.in[i]) : NULL;
    }
    y = y ? sum_unwanted(&s, s.n, y, &t, NULL) : NULL;
    rg_axes order = {.n = s.out.n};
    for (int32_t k = 0; k < s.out.n; k++)
        order.axis[k] = find(&t, s.out.letter[k], 0);
    return y && s.out.n ? rg_transpose(y, order) : y;
}
