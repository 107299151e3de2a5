/* test_recurrent_recorded.c - layers of LSTM and GRU give the numbers of PyTorch 1.13's in double: two layers, two
   directions. */
#include "must.h"
#include "waves.h"

#include <stdio.h>

typedef rg_node *layer_fn(rg_node *, const char *, int64_t, const rg_rnn_opts *);

/* T 3, B 2, in 3, H 2. Parameter j is sin(0.9 i + j + 1), xs sin(0.7 i + 0.1), h0 sin(1.3 i + 0.2), c0 sin(1.1 i +
   0.4); loss = sum y cos(0.3 i) + sum of squares of the last states. Of a gradient g: sum g_i cos(0.5 i) and
   sum g_i sin(1.7 i + 0.3); order xs, h0, c0, parameters. */
/* clang-format off */
static const double torch_lstm_y[24] = {
    0.01241121371, -0.3722195457, 0.5858781923, 0.03269282886, -0.1064769086, 0.01667116387, 0.5038009258,
    0.04994248123, 0.03991459904, -0.2542344866, 0.5162744635, 0.0526372296, -0.05801914538, 0.01014190686,
    0.3720770608, 0.1008677947, 0.03681729294, -0.187272272, 0.4571597825, 0.1231756772, -0.03416756355,
    0.002739461898, 0.189248969, -0.1098419692,
};
static const double torch_lstm_last[2][16] = {
    {
        0.1039161076, 0.1935448189, 0.1232079172, 0.02291556022, -0.6032301899, -0.2475846363, -0.539496998,
        -0.4452156783, 0.03681729294, -0.187272272, -0.03416756355, 0.002739461898, 0.5858781923,
        0.03269282886, 0.5038009258, 0.04994248123,
    },
    {
        0.2180139305, 0.3579801467, 0.1343363507, 0.2135081624, -1.511519999, -0.2935740134, -0.7850431589,
        -0.7910634697, 0.7727562055, -0.4716703819, -0.2909629653, 0.01386200679, 0.8241096374, 0.04502959277,
        0.6316399708, 0.08274838455,
    },
};
static const double torch_lstm_gradients[19][2] = {
    {-4.818330547, -1.510959353}, {1.248184282, -0.7174293123}, {1.074852776, 0.6086702185}, {0.207780667,
    -0.1985205902}, {-0.09940344161, -0.1465098143}, {0.01992287155, 0.3705816309}, {0.01992287155, 0.3705816309},
    {1.034432386, 0.1200184018}, {-0.04375236846, -1.69288753}, {3.703055024, -2.309930409}, {3.703055024,
    -2.309930409}, {1.256123904, 1.101681021}, {0.4719067754, -0.8586690693}, {0.9526027254, -0.2467098985},
    {0.9526027254, -0.2467098985}, {0.1690983507, 0.9179882248}, {0.3960706138, 0.2251230205}, {0.7999633324,
    0.7064048676}, {0.7999633324, 0.7064048676},
};
static const double torch_gru_y[24] = {
    -0.1946918246, -0.5412222817, 0.9262635059, -0.4874182374, 0.5491959908, 0.9290135452, 0.8652673065,
    -0.296226861, -0.262206926, -0.4750960541, 0.8049571827, -0.5368251755, 0.469118116, 0.9146937262,
    0.4948224154, 0.5146749099, -0.01634376438, -0.3832104148, 0.449310301, 0.3980824293, 0.2317178935,
    0.9109823508, 0.01578275706, 0.7276384151,
};
static const double torch_gru_last[1][16] = {
    {
        -0.08854381681, 0.7155868098, 0.4514509126, 0.419325621, -0.9212383823, -0.6525489267, -0.639737832,
        -0.5885198621, -0.01634376438, -0.3832104148, 0.2317178935, 0.9109823508, 0.9262635059, -0.4874182374,
        0.8652673065, -0.296226861,
    },
};
static const double torch_gru_gradients[18][2] = {
    {0.4765905583, 0.3456473856}, {4.058262747, -0.5732900538}, {-1.848926911, -0.1268659091}, {-0.07759768095,
    -0.2721254074}, {-0.720751203, 0.8640061909}, {0.06920052883, -0.01274370056}, {1.612360189, -0.5968062182},
    {0.1929167369, 0.05347643914}, {0.4890779455, -0.3785997261}, {0.2351063172, -0.1194952458}, {0.1416247366,
    -0.6075821968}, {-0.4200304973, 0.1165656476}, {-0.2327518823, 0.3836329026}, {0.006638353685, 0.04326080617},
    {1.701818736, -0.1081616861}, {-0.01428757147, 0.3222828643}, {0.3473709442, 0.7671026999}, {-0.2749356362,
    1.127990153},
};
/* clang-format on */

static void expect_all(rg_plan *p, rg_node *node, const double *expected, size_t n, const char *what)
{
    cr_assert_eq(rg_shape_count(rg_shape_of(node)), (int64_t)n);
    for (size_t i = 0; i < n; i++)
        expect_close(value_at(p, node, i), expected[i], 2e-9, what, i);
}

static void against_torch(layer_fn *layer, int states, const double *ys, const double (*last)[16],
                          const double (*gradients)[2])
{
    static const char *const names[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *wrt[19], *fetch[22], *end[2];
    size_t n = 0;
    wrt[n++] = rg_param(g, "xs", RG_F64, RG_SHAPE(3, 2, 3), NULL);
    set_wave(wrt[0], 0.7, 0.1);
    wrt[n++] = rg_param(g, "h0", RG_F64, RG_SHAPE(4, 2, 2), NULL);
    set_wave(wrt[1], 1.3, 0.2);
    if (states == 2) {
        wrt[n++] = rg_param(g, "c0", RG_F64, RG_SHAPE(4, 2, 2), NULL);
        set_wave(wrt[2], 1.1, 0.4);
    }
    rg_node *y =
        layer(wrt[0], "net", 2,
              &(rg_rnn_opts){
                  .layers = 2, .bidirectional = true, .initial = {wrt[1], states == 2 ? wrt[2] : NULL}, .last = end});
    cr_assert(y, "%s", rg_graph_error(g));
    for (int j = 0; j < 16; j++, n++) {
        char name[64];
        snprintf(name, sizeof name, "net.%s_l%d%s", names[j % 4], j / 8, j / 4 % 2 ? "_reverse" : "");
        wrt[n] = rg_find(g, name);
        cr_assert(wrt[n], "%s is missing", name);
        set_wave(wrt[n], 0.9, j + 1);
    }
    double factors[24];
    for (int i = 0; i < 24; i++)
        factors[i] = cos(0.3 * i);
    rg_node *loss = rg_sum(rg_mul(y, rg_const(g, RG_F64, RG_SHAPE(3, 2, 4), factors)), RG_ALL_AXES, false);
    loss = rg_add(loss, rg_square_norm((rg_nodes){end, (size_t)states}));
    const rg_nodes grads = rg_grad(loss, (rg_nodes){wrt, n});
    cr_assert_eq(grads.n, n, "%s", rg_graph_error(g));
    memcpy(fetch, grads.at, n * sizeof *fetch);
    fetch[n] = y;
    memcpy(fetch + n + 1, end, (size_t)states * sizeof *end);
    rg_plan *p = must_compile(g, (rg_nodes){fetch, n + 1 + (size_t)states}, NULL);
    must(rg_run(p));
    expect_all(p, y, ys, 24, "outputs");
    for (int i = 0; i < states; i++)
        expect_all(p, end[i], last[i], 16, "last states");
    for (size_t k = 0; k < n; k++) {
        double sums[2] = {0};
        for (int64_t i = 0; i < rg_shape_count(rg_shape_of(grads.at[k])); i++) {
            sums[0] += value_at(p, grads.at[k], (size_t)i) * cos(0.5 * (double)i);
            sums[1] += value_at(p, grads.at[k], (size_t)i) * sin(1.7 * (double)i + 0.3);
        }
        expect_close(sums[0], gradients[k][0], 5e-9, rg_name(wrt[k]), 0);
        expect_close(sums[1], gradients[k][1], 5e-9, rg_name(wrt[k]), 1);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(recurrent_recorded, lstm_of_pytorch)
{
    against_torch(rg_nn_lstm, 2, torch_lstm_y, torch_lstm_last, torch_lstm_gradients);
}
Test(recurrent_recorded, gru_of_pytorch)
{
    against_torch(rg_nn_gru, 1, torch_gru_y, torch_gru_last, torch_gru_gradients);
}
