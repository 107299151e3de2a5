/* two_runtimes.c - the program of two_runtimes.sh: plans of two threads, run outside and inside a parallel region of
   another OpenMP runtime than the library's, with the bits of a plan of one thread. */
#include <retrograde/retrograde.h>

#include <omp.h>
#include <stdio.h>
#include <string.h>

#define SIZE 256
#define RUNS 20
#define FORKS 4

static float data[SIZE * SIZE], want[SIZE * SIZE];

static int differs(rg_plan *p, rg_node *x, rg_node *y)
{
    for (int i = 0; i < RUNS; i++)
        if (rg_bind(p, x, data) || rg_run(p) || memcmp(rg_data(p, y), want, sizeof want) != 0) {
            fprintf(stderr, "%s\n", rg_last_error());
            return 1;
        }
    return 0;
}

int main(void)
{
    /* everything is shared out */
    const rg_machine eager = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 0, .share_ns = 1e-3};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(SIZE, SIZE));
    rg_node *y = rg_softmax(rg_matmul(rg_tanh(rg_matmul(x, x)), x), 1);
    rg_plan *alone = rg_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1});
    rg_plan *team = rg_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 2, .machine = &eager}), *forks[FORKS];
    int wrong = 0;
    for (int i = 0; i < SIZE * SIZE; i++)
        data[i] = (float)(i * 37 % 101) / 1010 - 0.05f;
    if (!alone || !team || rg_bind(alone, x, data) || rg_run(alone)) {
        fprintf(stderr, "%s\n", rg_last_error());
        return 1;
    }
    memcpy(want, rg_data(alone, y), sizeof want);
    wrong += differs(team, x, y);
    for (int k = 0; k < FORKS; k++)
        forks[k] = rg_plan_fork(team);
#pragma omp parallel for num_threads(FORKS) reduction(+ : wrong)
    for (int k = 0; k < FORKS; k++)
        wrong += !forks[k] || differs(forks[k], x, y);
    wrong += differs(team, x, y);
    for (int k = 0; k < FORKS; k++)
        rg_plan_free(forks[k]);
    rg_plan_free(team);
    rg_plan_free(alone);
    rg_graph_free(g);
    return wrong != 0;
}
