/* test_merge.c - elementwise groups that meet become one where neither depends on the other: the same bits, and
   whatever else reads them still comes behind them. */
#include "must.h"

#include <stdlib.h>

#define ROWS 40
#define COLUMNS 30

/* Two chains over one input that meet again; of one of them a reduction, a view and a product are wanted as well, and
   one of those goes back into a third chain. */
static rg_node *weave(rg_graph *g, rg_node *x, int rounds)
{
    rg_node *y = x;
    for (int i = 0; i < rounds; i++) {
        rg_node *a = rg_tanh(rg_scale(y, 0.5)), *b = rg_square(rg_add_scalar(y, 0.1 * i));
        rg_node *means = rg_mean(a, RG_AXES(0), true),
                *turned = rg_transpose(rg_reshape(a, RG_SHAPE(COLUMNS, ROWS)), RG_AXES(1, 0));
        rg_node *c = i % 2 ? rg_add(a, b) : rg_sub(b, a), *d = rg_mul(b, rg_sigmoid(turned)),
                *e = rg_sub(rg_abs(means), c);
        y = rg_add(rg_scale(rg_add(c, d), 0.25), rg_mul(e, rg_sum_like(rg_scale(d, 1e-3), means)));
    }
    (void)g;
    return y;
}

static float *run(int rounds, bool derivative, const rg_plan_opts *opts)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(ROWS, COLUMNS)), *y = weave(g, x, rounds);
    y = derivative ? rg_grad(rg_sum(rg_square(y), RG_ALL_AXES, false), RG_NODES(x)).at[0] : y;
    rg_plan *p = must_compile(g, RG_NODES(y), opts);
    float data[ROWS * COLUMNS], *out = malloc(sizeof data);
    cr_assert(out);
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        data[i] = (float)(i * 37 % 101) / 101 - 0.5f;
    must(rg_bind(p, x, data));
    must(rg_run(p));
    memcpy(out, rg_data(p, y), sizeof data);
    rg_plan_free(p);
    rg_graph_free(g);
    return out;
}

Test(merge, same_bits_as_one_by_one)
{
    for (int rounds = 1; rounds <= 6; rounds++)
        for (int derivative = 0; derivative < 2; derivative++) {
            float *want = run(rounds, derivative, &(rg_plan_opts){.threads = 1, .no_fuse = true});
            for (int threads = 1; threads <= 3; threads++) {
                float *got = run(rounds, derivative, &(rg_plan_opts){.threads = threads});
                cr_expect(memcmp(want, got, ROWS * COLUMNS * sizeof *got) == 0, "%d rounds, derivative %d, %d threads",
                          rounds, derivative, threads);
                free(got);
            }
            free(want);
        }
}

Test(merge, two_chains_of_one_input_are_one_step)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(1000));
    rg_node *y = rg_add(rg_tanh(rg_scale(x, 0.5)), rg_square(rg_exp(x)));
    rg_plan *p = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1});
    char *dump = rg_plan_dump(p);
    cr_expect(dump && strncmp(dump, "plan: 1 steps", 13) == 0, "%s", dump);
    rg_text_free(dump);
    rg_plan_free(p);
    rg_graph_free(g);
}
