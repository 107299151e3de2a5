/* xor_by_hand.c - XOR once more, with gradients written by hand as textbook programs write them, beside the library's.

   The network of xor.c is 2-4-1 with tanh twice. Three faults are common in such programs, and all of them compile:

   1. The output's error is taken as (target - output) and the weights move against the gradient all the same: one minus
      too many, and the loss is climbed instead of descended.
   2. The derivative of tanh is 1 - tanh(z)^2. Written for a = tanh(z) it is 1 - a^2; programs that keep only a and still
      write 1 - tanh(a)^2 apply the function twice.
   3. The hidden layer's error is computed after the output's weights have been changed.

   The first is seen at once. The other two are not: the loss falls all the same, on the way to somewhere else, and in a
   larger network nobody can tell. Each is tried here on its own. What the program prints is how far the hand-written gradient is from the true one, and
   where 10000 epochs lead. With derivatives that are derived, there is nothing to get wrong. */
#include <retrograde/retrograde.h>

#include "arguments.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { HIDDEN = 4, WEIGHTS = HIDDEN * 2 + HIDDEN + HIDDEN + 1, EPOCHS = 10000 };

static const double inputs[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}}, targets[4] = {0, 1, 1, 0};

/* w [4][2], b [4], v [4], c */
struct net {
    double w[HIDDEN][2], b[HIDDEN], v[HIDDEN], c;
};

enum fault { NONE, SIGN, TANH, ORDER, FAULTS };
static const char *const fault_names[FAULTS] = {"none", "sign of the error", "tanh twice", "order of the updates"};

static double slope(double a, enum fault fault)
{
    return fault == TANH ? 1 - tanh(a) * tanh(a) : 1 - a * a;
}

/* The gradient of the mean of squares over the four examples, with one fault; the loss. `v` is where the hidden layer's
   error takes the output's weights from. */
static double gradient(const struct net *n, const double *v, enum fault fault, struct net *g)
{
    double loss = 0;
    memset(g, 0, sizeof *g);
    for (int e = 0; e < 4; e++) {
        double a[HIDDEN], z = n->c;
        for (int k = 0; k < HIDDEN; k++) {
            a[k] = tanh(n->w[k][0] * inputs[e][0] + n->w[k][1] * inputs[e][1] + n->b[k]);
            z += n->v[k] * a[k];
        }
        const double out = tanh(z), error = fault == SIGN ? targets[e] - out : out - targets[e];
        const double delta = 2.0 / 4 * error * slope(out, fault);
        loss += (out - targets[e]) * (out - targets[e]) / 4;
        g->c += delta;
        for (int k = 0; k < HIDDEN; k++) {
            const double below = delta * v[k] * slope(a[k], fault);
            g->v[k] += delta * a[k];
            g->b[k] += below;
            g->w[k][0] += below * inputs[e][0];
            g->w[k][1] += below * inputs[e][1];
        }
    }
    return loss;
}

static void descend(struct net *n, const struct net *g)
{
    double *to = &n->w[0][0];
    const double *from = &g->w[0][0];
    for (int i = 0; i < WEIGHTS; i++)
        to[i] -= 0.1 * from[i];
}

/* The loss after all epochs with one fault, from the same start. */
static double train(struct net n, enum fault fault)
{
    struct net g;
    double loss = 0;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        loss = gradient(&n, n.v, fault, &g);
        if (fault == ORDER) { /* the output's weights have moved before the hidden layer's error is taken */
            double moved[HIDDEN];
            for (int k = 0; k < HIDDEN; k++)
                moved[k] = n.v[k] - 0.1 * g.v[k];
            loss = gradient(&n, moved, NONE, &g);
        }
        descend(&n, &g);
    }
    return loss;
}

int main(int argc, char **argv)
{
    const int told = arguments_read(
        &(command){"xor_by_hand", "Gradients of XOR's network by hand, with three faults, and by the library.", NULL, 0}, argc, argv);
    if (told >= 0)
        return told;
    struct net start, by_hand;
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_const(g, RG_F64, RG_SHAPE(4, 2), inputs), *y = rg_const(g, RG_F64, RG_SHAPE(4, 1), targets);
    rg_node *hidden = rg_tanh(rg_nn_linear(x, "hidden", HIDDEN, NULL));
    rg_node *loss = rg_mse_loss(rg_tanh(rg_nn_linear(hidden, "out", 1, NULL)), y, NULL);
    const rg_nodes params = rg_params(g), grads = rg_grad(loss, params);
    rg_plan *plan = rg_compile(g, RG_NODES(loss, rg_at(grads, 0), rg_at(grads, 1), rg_at(grads, 2), rg_at(grads, 3)), NULL);
    if (!plan || rg_run(plan)) {
        fprintf(stderr, "xor_by_hand: %s\n", plan ? rg_last_error() : rg_graph_error(g));
        return 1;
    }
    void *const parts[] = {start.w, start.b, start.v, &start.c};
    for (size_t i = 0; i < 4; i++) {
        const rg_tensor t = rg_value(params.at[i]);
        memcpy(parts[i], t.data, rg_tensor_bytes(&t));
    }
    int code = 0;
    printf("%-22s %-26s %s\n", "fault", "error of the gradient", "loss after 10000 epochs");
    for (int fault = 0; fault < FAULTS; fault++) {
        double moved[HIDDEN], off = 0, length = 0;
        gradient(&start, start.v, (enum fault)fault, &by_hand);
        for (int k = 0; k < HIDDEN && fault == ORDER; k++)
            moved[k] = start.v[k] - 0.1 * by_hand.v[k];
        if (fault == ORDER)
            gradient(&start, moved, NONE, &by_hand);
        const double *const ours[] = {&by_hand.w[0][0], by_hand.b, by_hand.v, &by_hand.c};
        for (size_t i = 0; i < 4; i++) {
            const double *right = rg_data(plan, grads.at[i]);
            for (int64_t k = 0; k < rg_shape_count(rg_shape_of(grads.at[i])); k++) {
                off += (ours[i][k] - right[k]) * (ours[i][k] - right[k]);
                length += right[k] * right[k];
            }
        }
        const double share = sqrt(off / length), last = train(start, (enum fault)fault);
        printf("%-22s %-26.3g %.4g\n", fault_names[fault], share, last);
        code |= fault == NONE ? share > 1e-12 || last > 0.01 : share < 1e-4;
    }
    rg_plan_free(plan);
    rg_graph_free(g);
    return code;
}
