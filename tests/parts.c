/* parts.c - each comparison runs the plan with nothing fused beside those with everything. */
#include "parts.h"

#include "must.h"

#include <stdlib.h>

void *numbers(rg_dtype dtype, size_t n)
{
    double *x = malloc((n + 1) * sizeof *x);
    cr_assert(x);
    for (size_t i = 0; i < n; i++) {
        const double value = sin((double)(i * i % 1009) + 0.3);
        if (dtype == RG_F64)
            x[i] = value;
        else
            ((float *)x)[i] = (float)value;
    }
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
    void *data = numbers(RG_F32, T * B * I);
    rg_plan *plain = must_compile(f->g, (rg_nodes){f->at, f->n}, &(rg_plan_opts){.threads = 1, .no_fuse = true});
    must(rg_bind_shape(plain, f->xs, data, RG_SHAPE(steps, B, I)));
    must(rg_run(plain));
    for (int threads = 1; threads <= 2; threads++) {
        rg_plan *p = must_compile(f->g, (rg_nodes){f->at, f->n}, &(rg_plan_opts){.threads = threads});
        must(rg_bind_shape(p, f->xs, data, RG_SHAPE(steps, B, I)));
        must(rg_run(p));
        char how[64];
        snprintf(how, sizeof how, "%d steps, %d threads", (int)steps, threads);
        expect_equal_results(p, plain, (rg_nodes){f->at, f->n}, "recurrence", how);
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

void bind_rows(rg_plan *p, rg_node *x, void *data, int64_t rows)
{
    must(rg_bind_shape(p, x, data, RG_SHAPE(rows, WIDE)));
    must(rg_run(p));
}

/* Values of all parameters, kept. */
typedef struct values {
    rg_nodes params;
    void *at[24];
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

static void expect_values(const values *v, const char *what, const char *how)
{
    for (size_t i = 0; i < v->params.n; i++) {
        const rg_tensor t = rg_value(v->params.at[i]);
        cr_expect(memcmp(t.data, v->at[i], rg_tensor_bytes(&t)) == 0, "%s, %s: parameter %zu", what, how, i);
    }
}

static void free_values(values *v)
{
    for (size_t i = 0; i < v->params.n; i++)
        free(v->at[i]);
}

/* A budget that makes a plan for so many rows compute some values again. */
static size_t tight(rg_graph *g, rg_node *x, rg_nodes fetch, void *data, int64_t rows, int percent)
{
    rg_plan *p = must_compile(g, fetch, &(rg_plan_opts){.threads = 1, .mode = RG_TRAIN});
    must(rg_bind_shape(p, x, data, RG_SHAPE(rows, WIDE)));
    rg_estimate e;
    must(rg_plan_estimate(p, NULL, &e));
    rg_plan_free(p);
    return e.memory / 100 * (size_t)percent;
}

void expect_same_of(rg_graph *g, rg_node *x, rg_nodes fetch, size_t effects, const char *what, const int64_t *rows,
                    size_t n_rows)
{
    static const rg_machine eager = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 0, .share_ns = 1e-3};
    /* threads that hardly ever meet: loops are cut by rows */
    static const rg_machine apart = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 2000, .share_ns = 1e-3};
    int64_t most = 0;
    for (size_t k = 0; k < n_rows; k++)
        most = rows[k] > most ? rows[k] : most;
    void *data = numbers(rg_dtype_of(x), (size_t)most * WIDE);
    const rg_plan_opts ways[] = {
        {.threads = 1, .mode = RG_TRAIN, .no_fuse = true}, /* it gives the same twice */
        {.threads = 1, .mode = RG_TRAIN},
        {.threads = 2, .mode = RG_TRAIN, .machine = &apart},
        {.threads = 3, .mode = RG_TRAIN, .machine = &eager},
        {.threads = 2, .mode = RG_TRAIN, .budget = (size_t)1 << 30},
        {.threads = 1, .mode = RG_TRAIN, .budget = tight(g, x, fetch, data, most, 90)},
        {.threads = 1, .mode = RG_TRAIN, .budget = tight(g, x, fetch, data, most, 70)},
    };
    values before = kept_values(rg_params(g));
    rg_plan *plain = must_compile(g, fetch, &ways[0]);
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        rg_plan *p = must_compile(g, fetch, &ways[way]);
        for (size_t k = 0; k < n_rows; k++) {
            char how[64];
            snprintf(how, sizeof how, "way %zu, %d rows", way, (int)rows[k]);
            bind_rows(plain, x, data, rows[k]);
            values after = kept_values(before.params);
            set_values(&before);
            must(rg_bind_shape(p, x, data, RG_SHAPE(rows[k], WIDE)));
            const rg_status status = rg_run(p);
            if (way < 5 || status != RG_ERR_MEMORY) { /* more than that cannot be saved */
                must(status);
                expect_equal_results(p, plain, (rg_nodes){fetch.at, fetch.n - effects}, what, how);
                expect_values(&after, what, how);
            }
            set_values(&before);
            free_values(&after);
        }
        rg_plan_free(p);
    }
    rg_plan_free(plain);
    free_values(&before);
    free(data);
}

void expect_same_rows(rg_graph *g, rg_node *x, rg_nodes fetch, size_t effects, int64_t least)
{
    static const int64_t all[] = {ROWS, 1, 0, 40 * ROWS, ROWS};
    int64_t rows[sizeof all / sizeof *all];
    size_t n = 0;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        if (all[k] >= least)
            rows[n++] = all[k];
    expect_same_of(g, x, fetch, effects, "outside", rows, n);
}

void expect_same_outside(rg_graph *g, rg_node *x, rg_nodes fetch, size_t effects)
{
    expect_same_rows(g, x, fetch, effects, 0);
}
