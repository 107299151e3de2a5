/* parts.c - each comparison runs the plan with nothing fused beside those with everything. */
#include "parts.h"

#include "must.h"

#include <stdlib.h>

float *numbers(size_t n)
{
    float *x = malloc((n + 1) * sizeof *x);
    for (size_t i = 0; x && i < n; i++)
        x[i] = sinf((float)(i * i) + 0.3f);
    return x;
}

int dumped(rg_plan *p, const char *what)
{
    char *text = rg_plan_dump(p);
    cr_assert(text, "%s", rg_last_error());
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    rg_text_free(text);
    return n;
}

uint32_t draw(uint64_t *state, uint32_t n)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % n;
}

/* ---- recurrences ---- */

void expect_same(const fetched *f, int64_t steps)
{
    cr_assert(!rg_graph_error(f->g), "%s", rg_graph_error(f->g));
    float *data = numbers(T * B * I);
    rg_plan *plain = must_compile(f->g, (rg_nodes){f->at, f->n}, &(rg_plan_opts){.threads = 1, .no_fuse = true});
    must(rg_bind_shape(plain, f->xs, data, RG_SHAPE(steps, B, I)));
    must(rg_run(plain));
    for (int threads = 1; threads <= 2; threads++) {
        rg_plan *p = must_compile(f->g, (rg_nodes){f->at, f->n}, &(rg_plan_opts){.threads = threads});
        must(rg_bind_shape(p, f->xs, data, RG_SHAPE(steps, B, I)));
        must(rg_run(p));
        for (size_t k = 0; k < f->n; k++) {
            rg_tensor a, b;
            must(rg_result(p, f->at[k], &a));
            must(rg_result(plain, f->at[k], &b));
            const size_t bytes = (size_t)rg_shape_count(a.shape) * rg_dtype_size(a.dtype);
            cr_expect(bytes == 0 || memcmp(a.data, b.data, bytes) == 0, "result %zu, %d steps, %d threads", k,
                      (int)steps, threads);
        }
        rg_plan_free(p);
    }
    rg_plan_free(plain);
    free(data);
}

bool loops_have(const fetched *f, size_t n, const char *what)
{
    rg_plan *p = must_compile(f->g, (rg_nodes){f->at, n}, NULL);
    char *text = rg_plan_dump(p);
    cr_assert(text, "%s", rg_last_error());
    int depth = 0;
    bool found = false;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        depth += strstr(line, " loop '") != NULL;
        depth -= strstr(line, " next") != NULL;
        found = found || (depth && strstr(line, what));
    }
    rg_text_free(text);
    rg_plan_free(p);
    return found;
}

/* ---- outside of loops ---- */

void bind_rows(rg_plan *p, rg_node *x, float *data, int64_t rows)
{
    must(rg_bind_shape(p, x, data, RG_SHAPE(rows, WIDE)));
    must(rg_run(p));
}

/* Values of all parameters, kept. */
typedef struct values {
    rg_nodes params;
    void *at[8];
} values;

static values kept_values(rg_nodes params)
{
    values v = {.params = params};
    cr_assert(params.n <= sizeof v.at / sizeof *v.at);
    for (size_t i = 0; i < params.n; i++) {
        const rg_tensor t = rg_value(params.at[i]);
        v.at[i] = malloc(rg_tensor_bytes(&t));
        cr_assert(v.at[i]);
        memcpy(v.at[i], t.data, rg_tensor_bytes(&t));
    }
    return v;
}

static void set_values(const values *v)
{
    for (size_t i = 0; i < v->params.n; i++) {
        const rg_tensor t = rg_value(v->params.at[i]);
        must(rg_set(v->params.at[i], &(rg_tensor){.dtype = t.dtype, .shape = t.shape, .data = v->at[i]}));
    }
}

static void expect_values(const values *v, const char *how)
{
    for (size_t i = 0; i < v->params.n; i++) {
        const rg_tensor t = rg_value(v->params.at[i]);
        cr_expect(memcmp(t.data, v->at[i], rg_tensor_bytes(&t)) == 0, "%s: parameter %zu", how, i);
    }
}

static void free_values(values *v)
{
    for (size_t i = 0; i < v->params.n; i++)
        free(v->at[i]);
}

void expect_same_rows(rg_graph *g, rg_node *x, rg_nodes fetch, size_t effects, int64_t least)
{
    static const int64_t rows[] = {ROWS, 1, 0, 40 * ROWS, ROWS};
    static const rg_plan_opts how[] = {
        {.threads = 1, .mode = RG_TRAIN, .no_fuse = true},
        {.threads = 1, .mode = RG_TRAIN},
        {.threads = 2, .mode = RG_TRAIN},
        {.threads = 3, .mode = RG_TRAIN},
        {.threads = 2, .mode = RG_TRAIN, .budget = (size_t)1 << 30},
    };
    float *data = numbers(40 * ROWS * WIDE);
    values before = kept_values(rg_params(g));
    rg_plan *plain = must_compile(g, fetch, &how[0]);
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) { /* the first: it gives the same twice */
        rg_plan *p = must_compile(g, fetch, &how[i]);
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            if (rows[k] < least)
                continue;
            char what[64];
            snprintf(what, sizeof what, "way %zu, %d rows", i, (int)rows[k]);
            set_values(&before);
            bind_rows(plain, x, data, rows[k]);
            values after = kept_values(before.params);
            set_values(&before);
            bind_rows(p, x, data, rows[k]);
            expect_equal_results(p, plain, (rg_nodes){fetch.at, fetch.n - effects}, "outside", what);
            expect_values(&after, what);
            free_values(&after);
        }
        rg_plan_free(p);
    }
    rg_plan_free(plain);
    free_values(&before);
    free(data);
}

void expect_same_outside(rg_graph *g, rg_node *x, rg_nodes fetch, size_t effects)
{
    expect_same_rows(g, x, fetch, effects, 0);
}
