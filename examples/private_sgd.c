/* private_sgd.c - a classifier that learns from people without remembering any one of them (Abadi et al. 2016): each
   example's own gradient is clipped, noise is added to their sum, and the privacy that was spent is counted.

   The gradients of single examples are the gradients taken inside a recurrence over the examples: there the weights'
   gradient is that of one step. Examples are drawn independently with probability q = 1/steps-an-epoch, as the counting
   assumes. It is Mironov's (Mironov, Talwar, Zhang 2019): the Renyi divergence of the subsampled Gaussian at order a,
       log(sum_k C(a, k) (1 - q)^(a - k) q^k exp(k (k - 1) / (2 s^2))) / (a - 1),
   times the number of steps, gives epsilon + log(1/delta) / (a - 1), of which the least over a holds. */
#include "clothes.h"
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIP 1.0   /* largest norm of one example's gradient */
#define NOISE 1.1  /* standard deviation of the noise, in units of CLIP */
#define DELTA 1e-5 /* probability with which the promise may fail */

enum { HIDDEN = 64 };

static double log_add(double a, double b)
{
    const double high = fmax(a, b);
    return high == -INFINITY ? high : high + log1p(exp(fmin(a, b) - high));
}

static double privacy_spent(double q, double noise, int64_t steps, double delta)
{
    double least = INFINITY;
    for (int order = 2; order <= 256; order++) {
        double sum = -INFINITY;
        for (int k = 0; k <= order; k++) {
            const double choose = lgamma(order + 1) - lgamma(k + 1) - lgamma(order - k + 1);
            const double rest = order - k ? (order - k) * log1p(-q) : 0;
            sum = log_add(sum, choose + rest + k * log(q) + k * (k - 1) / (2 * noise * noise));
        }
        least = fmin(least, (double)steps * sum / (order - 1) + log(1 / delta) / (order - 1));
    }
    return least;
}

static rg_node *classify(rg_node *pixels)
{
    rg_node *x = rg_scale(rg_add_scalar(rg_cast(pixels, RG_F32), -73), 1.0 / 90);
    return rg_nn_linear(rg_tanh(rg_nn_linear(x, "fc1", HIDDEN, NULL)), "fc2", CLOTHES_CLASSES, NULL);
}

/* The sum of the clipped gradients of the examples, and noise, over the number of examples that is expected. */
static rg_nodes private_gradients(rg_graph *g, rg_node *pixels, rg_node *label, double expected, double noise)
{
    rg_node *sums[8], *noisy[8];
    const rg_nodes params = rg_params(g);
    rg_scope_reuse(g, "net");
    rg_scan *each = rg_scan_begin(g, &(rg_scan_opts){.name = "examples"});
    rg_node *picture = rg_unsqueeze(rg_scan_slice(each, pixels), 0);
    rg_node *own_label = rg_unsqueeze(rg_scan_slice(each, label), 0);
    rg_node *loss = rg_cross_entropy(classify(picture), own_label, NULL);
    const rg_nodes clipped = rg_clip_by_global_norm(rg_grad(loss, params), CLIP);
    for (size_t i = 0; i < params.n; i++) {
        sums[i] = rg_scan_carry(each, rg_zeros(g, RG_F32, rg_shape_of(params.at[i])));
        rg_scan_next(each, sums[i], rg_add(sums[i], rg_at(clipped, i)));
    }
    rg_scan_end(each);
    rg_scope_pop(g);
    for (size_t i = 0; i < params.n; i++) {
        rg_node *draw = rg_normal(g, RG_F32, rg_shape_of(params.at[i]));
        noisy[i] = rg_scale(rg_axpy(noise * CLIP, draw, rg_scan_last(each, sums[i])), 1 / expected);
    }
    return rg_nodes_copy(g, (rg_nodes){noisy, params.n});
}

int main(int argc, char **argv)
{
    struct clothes_options o = {
        .program = "private_sgd", .what = "Trains with differential privacy and prints the privacy that is spent.", .epochs = 10, .quick_epochs = 3};
    struct clothes data = {0};
    int code = clothes_parse(&o, argc, argv);
    if (code >= 0)
        return code;
    code = 1;
    rg_graph *g = rg_graph_new(NULL);
    rg_plan *plan = NULL;
    uint8_t *drawn = NULL, *labels = NULL;
    if (!clothes_load(&data, &o, 3000))
        goto done;

    const int64_t n = data.train.shape.dim[0], expected = o.quick ? 100 : 256, most = 2 * expected;
    const int64_t batch = rg_dim(g, "batch"), epoch_steps = n / expected;
    const double q = (double)expected / (double)n, noise = NOISE;
    rg_node *pixels = rg_input(g, "pixels", RG_U8, RG_SHAPE(batch, CLOTHES_PIXELS));
    rg_node *label = rg_input(g, "label", RG_U8, RG_SHAPE(batch));
    rg_scope_push(g, "net");
    rg_node *logits = classify(pixels);
    rg_scope_pop(g);
    rg_node *loss = rg_cross_entropy(logits, label, NULL);
    rg_node *accuracy = rg_nn_accuracy(logits, label);
    const rg_nodes grads = private_gradients(g, pixels, label, (double)expected, noise);
    rg_node *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .momentum = 0.5, .params = rg_params(g), .grads = grads});
    plan = rg_compile(g, RG_NODES(step), &(rg_plan_opts){.threads = o.threads});
    drawn = malloc((size_t)most * CLOTHES_PIXELS);
    labels = malloc((size_t)most);
    if (!plan || !drawn || !labels) {
        fprintf(stderr, "private_sgd: %s\n", plan ? "out of memory" : rg_graph_error(g));
        goto done;
    }
    const rg_column test[] = {{pixels, &data.test, 0}, {label, &data.test_labels, 0}};
    rg_fit_state result = {0};
    uint64_t seed = 9;
    for (int epoch = 0; epoch < o.epochs; epoch++) {
        for (int64_t k = 0; k < epoch_steps; k++) {
            int64_t size = 0;
            for (int64_t i = 0; i < n; i++)
                if (random_unit(&seed) < q && size < most) {
                    memcpy(drawn + size * CLOTHES_PIXELS, (uint8_t *)data.train.data + i * CLOTHES_PIXELS, CLOTHES_PIXELS);
                    labels[size++] = ((uint8_t *)data.train_labels.data)[i];
                }
            if (rg_bind_shape(plan, pixels, drawn, RG_SHAPE(size, CLOTHES_PIXELS)) ||
                rg_bind_shape(plan, label, labels, RG_SHAPE(size)) || rg_run(plan)) {
                fprintf(stderr, "private_sgd: %s\n", rg_last_error());
                goto done;
            }
        }
        if (rg_evaluate(&(rg_fit_opts){.loss = loss, .metrics = RG_NODES(accuracy), .valid = {test, 2}, .valid_batch = 500},
                        &result)) {
            fprintf(stderr, "private_sgd: %s\n", rg_last_error());
            goto done;
        }
        printf("epoch %2d/%d  test loss %.4f  test accuracy %.4f  privacy spent: epsilon %.2f at delta %g\n", epoch + 1,
               o.epochs, result.valid_loss, result.valid_metric[0],
               privacy_spent(q, noise, (epoch + 1) * epoch_steps, DELTA), DELTA);
        fflush(stdout);
    }
    code = !o.shortened && result.valid_metric[0] < (o.quick ? 0.6 : 0.78);
done:
    rg_plan_free(plan);
    clothes_free(&data);
    free(drawn);
    free(labels);
    rg_graph_free(g);
    return code;
}
