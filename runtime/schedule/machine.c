/* machine.c - the cost model fitted to the machine: small plans of different mixtures of arithmetic and memory are
   timed, and

       time = flop_ns * operations + byte_ns * bytes

   is fitted to them by least squares of the relative errors. How long threads take to meet is measured as it is. */
#include "../run/exec.h"
#include "../sight/timeline.h"
#include "share.h"

#include <retrograde/ops.h>

#define RGI_ROUNDS 5        /* runs of each plan: the fastest counts */
#define RGI_MEETINGS 200    /* at a time */
#define RGI_SHARE_PARTS 7.5 /* meetings that a step must be worth to be shared out */

const rg_machine rgi_usual_machine = {.flop_ns = 1.0 / 50, .byte_ns = 1.0 / 15, .meeting_ns = 400, .share_ns = 3000};

/* What is timed: a product of matrices, a function, a sum, each of tensors that stay in the second cache, and a sum
   that does not. */
typedef enum work { PRODUCT, FUNCTION, SUM, LARGE_SUM, WORKS } work;

static rg_node *make_work(rg_graph *g, work w, rg_node *in[2])
{
    const int64_t n = w == PRODUCT ? 192 : w == LARGE_SUM ? 1024 : 256;
    in[0] = rg_input(g, "a", RG_F32, RG_SHAPE(n, n));
    in[1] = w == FUNCTION ? in[0] : rg_input(g, "b", RG_F32, RG_SHAPE(n, n));
    return w == PRODUCT ? rg_matmul(in[0], in[1]) : w == FUNCTION ? rg_tanh(in[0]) : rg_add(in[0], in[1]);
}

/* One sample: operations, bytes, nanoseconds. */
static rg_status time_work(work w, const float *data, double sample[3])
{
    rg_graph *const g = rg_graph_new(NULL);
    if (!g)
        return RG_ERR_MEMORY;
    rg_node *in[2], *y = make_work(g, w, in);
    rg_plan *const p = rg_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1});
    rg_estimate e = {0};
    rg_status status = p ? rg_bind(p, in[0], data) : rg_graph_status(g);
    status = status ? status : rg_bind(p, in[1], data);
    status = status ? status : rg_plan_estimate(p, NULL, &e);
    sample[0] = e.flops;
    sample[1] = e.bytes;
    sample[2] = 0;
    for (int i = 0; i < RGI_ROUNDS && !status; i++) {
        const uint64_t begin = rgi_now();
        status = rg_run(p);
        const double ns = (double)(rgi_now() - begin) + 1;
        sample[2] = i == 0 || ns < sample[2] ? ns : sample[2];
    }
    rg_plan_free(p);
    rg_graph_free(g);
    return status;
}

/* The two prices that come closest, neither of them below a tenth of the usual one: where all samples are alike, or the
   machine was busy, a fit alone would say anything. */
static void fit(double samples[WORKS][3], rg_machine *out)
{
    double ff = 0, fb = 0, bb = 0, f1 = 0, b1 = 0;
    for (int i = 0; i < WORKS; i++) {
        const double f = samples[i][0] / samples[i][2], b = samples[i][1] / samples[i][2];
        ff += f * f, fb += f * b, bb += b * b, f1 += f, b1 += b;
    }
    const double det = ff * bb - fb * fb, least_f = rgi_usual_machine.flop_ns / 10,
                 least_b = rgi_usual_machine.byte_ns / 10;
    out->flop_ns = det > 0 ? (f1 * bb - b1 * fb) / det : least_f;
    out->byte_ns = det > 0 ? (b1 * ff - f1 * fb) / det : least_b;
    out->flop_ns = out->flop_ns > least_f ? out->flop_ns : least_f;
    out->byte_ns = out->byte_ns > least_b ? out->byte_ns : least_b;
}

rg_status rg_machine_measure(int threads, rg_machine *out)
{
    enum { ELEMENTS = 1024 * 1024 };
    const rg_allocator allocator = rgi_default_allocator();
    double samples[WORKS][3];
    rg_status status = RG_OK;
    if (!out)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_machine_measure: there is nowhere to write to");
    float *const data = rgi_alloc(&allocator, ELEMENTS * sizeof *data);
    if (!data)
        return rgi_fail(RG_ERR_MEMORY, "rg_machine_measure: out of memory");
    for (int i = 0; i < WORKS && !status; i++)
        status = time_work((work)i, data, samples[i]);
    rgi_free(&allocator, data, ELEMENTS * sizeof *data);
    if (status)
        return rgi_fail(status, "rg_machine_measure: out of memory");
    fit(samples, out);
    const double usual = rgi_usual_machine.meeting_ns;
    const double met = rgi_time_meetings(threads > 0 ? threads : rgi_default_threads(), RGI_MEETINGS);
    out->meeting_ns = met > usual / 10 ? met : usual / 10;
    out->share_ns = RGI_SHARE_PARTS * out->meeting_ns;
    return RG_OK;
}
