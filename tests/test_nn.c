/* test_nn.c - layers, metrics, optimisers and schedules, against numbers that PyTorch 1.13 computed in double precision. */
#include <retrograde/retrograde.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- typed values ---- */

/* sin(a i + b) */
static rg_tensor wave(rg_dtype dtype, rg_shape shape, double a, double b)
{
    rg_tensor t;
    cr_assert_eq(rg_tensor_alloc(&t, dtype, shape), RG_OK);
    for (int64_t i = 0; i < rg_shape_count(shape); i++)
        if (dtype == RG_F64)
            ((double *)t.data)[i] = sin(a * (double)i + b);
        else
            ((float *)t.data)[i] = (float)sin(a * (double)i + b);
    return t;
}

static double element(const void *data, rg_dtype dtype, size_t i)
{
    return dtype == RG_F64 ? ((const double *)data)[i] : dtype == RG_I64 ? (double)((const int64_t *)data)[i] : ((const float *)data)[i];
}

static double value_of(rg_node *param, size_t i)
{
    return element(rg_value(param).data, rg_dtype_of(param), i);
}

static rg_node *wave_const(rg_graph *g, rg_dtype dtype, rg_shape shape, double a, double b)
{
    rg_tensor t = wave(dtype, shape, a, b);
    rg_node *node = rg_const(g, dtype, shape, t.data);
    rg_tensor_free(&t);
    return node;
}

static void set_wave(rg_node *param, double a, double b)
{
    rg_tensor t = wave(rg_dtype_of(param), rg_shape_of(param), a, b);
    cr_assert_eq(rg_set(param, &t), RG_OK, "%s", rg_last_error());
    rg_tensor_free(&t);
}

static void expect_close(double got, double expected, double tolerance, const char *what, size_t i)
{
    cr_assert(fabs(got - expected) <= tolerance * (1 + fabs(expected)), "%s, number %zu: %.17g, not %.17g", what, i, got, expected);
}

static rg_plan *compile(rg_graph *g, rg_nodes fetch, rg_mode mode)
{
    rg_plan *p = rg_compile(g, fetch, &(rg_plan_opts){.threads = 1, .mode = mode});
    cr_assert(p, "%s", rg_graph_error(g));
    return p;
}

static void run(rg_plan *p)
{
    cr_assert_eq(rg_run(p), RG_OK, "%s", rg_last_error());
}

/* ---- trajectories: x [4, 3], y [4, 2], loss mean((tanh(x w^T + b) - y)^2) ---- */

struct problem {
    rg_graph *g;
    rg_node *x, *w, *b, *loss;
};

static struct problem problem_new(rg_dtype dtype)
{
    struct problem p = {.g = rg_graph_new(NULL)};
    p.x = rg_input(p.g, "x", dtype, RG_SHAPE(4, 3));
    p.w = rg_param(p.g, "w", dtype, RG_SHAPE(2, 3), NULL);
    p.b = rg_param(p.g, "b", dtype, RG_SHAPE(2), &(rg_param_opts){.init = RG_ZEROS});
    p.loss = rg_mse_loss(rg_tanh(rg_linear(p.x, p.w, p.b)), wave_const(p.g, dtype, RG_SHAPE(4, 2), 1.3, 0.5), NULL);
    set_wave(p.w, 1.0, 1.0);
    return p;
}

typedef rg_node *make_step(struct problem *p);

static rg_node *sgd_plain(struct problem *p)
{
    return rg_sgd(p->loss, &(rg_sgd_opts){.lr = 0.1});
}

static rg_node *sgd_decay(struct problem *p)
{
    return rg_sgd(p->loss, &(rg_sgd_opts){.lr = 0.1, .weight_decay = 0.05});
}

static rg_node *sgd_momentum(struct problem *p)
{
    return rg_sgd(p->loss, &(rg_sgd_opts){.lr = 0.1, .momentum = 0.9});
}

static rg_node *sgd_nesterov(struct problem *p)
{
    return rg_sgd(p->loss, &(rg_sgd_opts){.lr = 0.1, .momentum = 0.9, .nesterov = true});
}

static rg_node *sgd_all(struct problem *p)
{
    return rg_sgd(p->loss, &(rg_sgd_opts){.lr = 0.1, .momentum = 0.9, .nesterov = true, .weight_decay = 0.05});
}

static rg_node *adam_plain(struct problem *p)
{
    return rg_adam(p->loss, &(rg_adam_opts){.lr = 0.05});
}

static rg_node *adam_all(struct problem *p)
{
    return rg_adam(p->loss, &(rg_adam_opts){.lr = 0.05, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.1});
}

static rg_node *adam_beta_off(struct problem *p)
{
    return rg_adam(p->loss, &(rg_adam_opts){.lr = 0.05, .beta1 = RG_OFF, .beta2 = 0.9});
}

static rg_node *adamw_plain(struct problem *p)
{
    return rg_adamw(p->loss, &(rg_adam_opts){.lr = 0.05});
}

static rg_node *adamw_decay(struct problem *p)
{
    return rg_adamw(p->loss, &(rg_adam_opts){.lr = 0.05, .weight_decay = 0.3});
}

static rg_node *sgd_clip_norm(struct problem *p)
{
    return rg_sgd(p->loss, &(rg_sgd_opts){.lr = 0.5, .clip_norm = 0.1});
}

static rg_node *sgd_clip_value(struct problem *p)
{
    return rg_sgd(p->loss, &(rg_sgd_opts){.lr = 0.5, .clip_value = 0.05});
}

/* The rate halves in every run. */
static rg_node *halving(struct problem *p)
{
    return rg_schedule_exponential(rg_step_counter(p->g, "runs"), 0.1, 0.5);
}

static rg_node *sgd_schedule(struct problem *p)
{
    return rg_sgd(p->loss, &(rg_sgd_opts){.lr_node = halving(p), .momentum = 0.9});
}

static rg_node *adam_schedule(struct problem *p)
{
    return rg_adam(p->loss, &(rg_adam_opts){.lr_node = halving(p)});
}

static rg_node *adamw_schedule(struct problem *p)
{
    return rg_adamw(p->loss, &(rg_adam_opts){.lr_node = halving(p)});
}

static const struct {
    const char *torch;
    make_step *make;
    double loss[5];      /* before each step */
    double parameter[8]; /* w, b after the fifth */
} trajectories[] = {
    {"SGD(lr=0.1)", sgd_plain,
     {0.536262055450261, 0.522228916106041, 0.506417203855275, 0.48860689186749, 0.468612269752598},
     {0.80102441192356, 0.89208380154506, 0.155235167322751, -0.761791128193491, -0.866909353390377,
      -0.133673078015224, -0.0394669113790882, 0.0997282050704402}},
    {"SGD(lr=0.1, weight_decay=0.05)", sgd_decay,
     {0.536262055450261, 0.520578466284062, 0.502950163095174, 0.483160253522761, 0.461052746962888},
     {0.780411676888421, 0.869978018401523, 0.152140130506029, -0.743263526575777, -0.843100482886956,
      -0.12643933816974, -0.0384801573811886, 0.0994479503926836}},
    {"SGD(lr=0.1, momentum=0.9)", sgd_momentum,
     {0.536262055450261, 0.522228916106041, 0.492295333401984, 0.441736573836687, 0.365778633369584},
     {0.735187330645751, 0.864510812324505, 0.178894277829719, -0.770313724382116, -0.715701338675441,
      0.106150055592433, -0.10310022281318, 0.263371372648627}},
    {"SGD(lr=0.1, momentum=0.9, nesterov=True)", sgd_nesterov,
     {0.536262055450261, 0.50888993920933, 0.460907209771276, 0.384976282949653, 0.285257932704143},
     {0.70495028753157, 0.854094660609416, 0.193197896422188, -0.776181775425262, -0.631378215256143,
      0.241005870944931, -0.129532193956874, 0.354738553087412}},
    {"SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05)", sgd_all,
     {0.536262055450261, 0.505621592174417, 0.452032834096399, 0.368557433375122, 0.265076767346779},
     {0.637759991289908, 0.782505467492096, 0.184547450192802, -0.716482439313739, -0.558728475203261,
      0.256932069455036, -0.121287564723279, 0.342976795341741}},
    {"Adam(lr=0.05)", adam_plain,
     {0.536262055450261, 0.492599284237365, 0.444304144215283, 0.392823075693715, 0.340424574461838},
     {0.592606472850952, 0.666557165689067, 0.391842250321511, -0.979991825440055, -0.707871830279518,
      -0.0283407422752983, -0.244275214885011, 0.250877771951724}},
    {"Adam(lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)", adam_all,
     {0.536262055450261, 0.494173866222423, 0.447852049079903, 0.399095793754391, 0.350689877420538},
     {0.59508008823557, 0.665494148468146, 0.373750096724161, -0.532972379189425, -0.708353362684716,
      -0.027801911025762, -0.230934480592382, 0.249914593302054}},
    {"Adam(lr=0.05, betas=(0, 0.9))", adam_beta_off,
     {0.536262055450261, 0.492599284237365, 0.441424431024058, 0.384513116354427, 0.325976621982129},
     {0.602822792408237, 0.694090390328201, 0.409421125010457, -0.963851440868218, -0.686346296520498,
      -0.00817214236554363, -0.217484695158575, 0.276807716370901}},
    {"AdamW(lr=0.05)", adamw_plain,
     {0.536262055450261, 0.492423467443406, 0.443949373845753, 0.392312029821935, 0.339809454788471},
     {0.590766815734136, 0.664670621253736, 0.391228739320706, -0.978482871139715, -0.705728633820209,
      -0.0278940487448983, -0.243893429040876, 0.250626222418041}},
    {"AdamW(lr=0.05, weight_decay=0.3)", adamw_decay,
     {0.536262055450261, 0.487302500084529, 0.433712372707183, 0.377798716392402, 0.32273039046452},
     {0.539145999527228, 0.612828527676569, 0.373732478156148, -0.932604323001898, -0.645527461493891,
      -0.015439317414874, -0.231845345791096, 0.243437385763629}},
    {"SGD(lr=0.5), clip_grad_norm_(0.1)", sgd_clip_norm,
     {0.536262055450261, 0.517047528209631, 0.496296985054695, 0.47404755449039, 0.45040557029261},
     {0.79379414355996, 0.889168665513322, 0.158006197648859, -0.762628905202389, -0.848346904787845,
      -0.104440613425294, -0.0463337746274263, 0.120210435692386}},
    {"SGD(lr=0.5), clip_grad_value_(0.05)", sgd_clip_value,
     {0.536262055450261, 0.515870542717449, 0.494188843929276, 0.471295982508461, 0.447325282962523},
     {0.716470984807896, 0.830606431298955, 0.224426725686263, -0.784876390083936, -0.833924274663138,
      -0.154415498198926, -0.125, 0.125}},
    {"SGD(lr=0.1, momentum=0.9), ExponentialLR(0.5)", sgd_schedule,
     {0.536262055450261, 0.522228916106041, 0.507656494087074, 0.496423557127621, 0.48887294138249},
     {0.814847125573638, 0.897636437302282, 0.149906233828168, -0.760309497705696, -0.90293184192633,
      -0.190257746349557, -0.0263436525274213, 0.059789280721662}},
    {"Adam(lr=0.1), ExponentialLR(0.5)", adam_schedule,
     {0.536262055450261, 0.444328680642178, 0.393121135768799, 0.366996563257675, 0.353936210300705},
     {0.648024696608051, 0.718522618269444, 0.334458157600253, -0.933974717657884, -0.765135794420955,
      -0.0855431580968877, -0.19170936147554, 0.193502972456108}},
    {"AdamW(lr=0.1), ExponentialLR(0.5)", adamw_schedule,
     {0.536262055450261, 0.443948280868636, 0.392584868689008, 0.366403911757141, 0.353322241805663},
     {0.646520197935999, 0.716944762262867, 0.334049369552861, -0.932759468634915, -0.763402466178264,
      -0.0851255021673118, -0.191533580807128, 0.193380247966772}},
};

static void expect_parameters(struct problem *p, const double *expected, double tolerance, const char *what)
{
    for (size_t i = 0; i < 8; i++)
        expect_close(i < 6 ? value_of(p->w, i) : value_of(p->b, i - 6), expected[i], tolerance, what, i);
}

Test(nn_optimisers, trajectories_of_pytorch)
{
    for (int d = 0; d < 2; d++)
        for (size_t r = 0; r < sizeof trajectories / sizeof *trajectories; r++) {
            const rg_dtype dtype = d ? RG_F64 : RG_F32;
            const bool scheduled = strstr(trajectories[r].torch, "LR"); /* rates of schedules are f32 */
            const double tolerance = d ? (scheduled ? 1e-7 : 1e-11) : 2e-6;
            struct problem p = problem_new(dtype);
            rg_tensor x = wave(dtype, RG_SHAPE(4, 3), 0.7, 0.1);
            rg_plan *plan = compile(p.g, RG_NODES(p.loss, trajectories[r].make(&p)), 0);
            cr_assert_eq(rg_bind(plan, p.x, x.data), RG_OK);
            for (size_t k = 0; k < 5; k++) {
                run(plan);
                expect_close(element(rg_data(plan, p.loss), dtype, 0), trajectories[r].loss[k], tolerance, trajectories[r].torch, k);
            }
            expect_parameters(&p, trajectories[r].parameter, tolerance, trajectories[r].torch);
            rg_plan_free(plan);
            rg_graph_free(p.g);
            rg_tensor_free(&x);
        }
}

/* SGD(lr=0.1, momentum=0.9), each update from the mean gradient of x and 2 x. */
Test(nn_optimisers, accumulation_over_runs)
{
    static const double loss[5] = {0.5362620554502614, 0.5270055851288742, 0.5078917699871539, 0.4767571347301893, 0.4298340559669124};
    static const double parameter[8] = {0.7519634980548233, 0.862294188600105,    0.1587273757451326,   -0.7585040888439203,
                                        -0.7893616350707233, -0.018336584367745348, -0.08178437783663112, 0.16076453931411253};
    struct problem p = problem_new(RG_F64);
    rg_tensor x = wave(RG_F64, RG_SHAPE(4, 3), 0.7, 0.1), twice = wave(RG_F64, RG_SHAPE(4, 3), 0.7, 0.1);
    for (size_t i = 0; i < 12; i++)
        ((double *)twice.data)[i] *= 2;
    rg_node *step = rg_sgd(p.loss, &(rg_sgd_opts){.lr = 0.1, .momentum = 0.9, .accumulate = 2});
    rg_plan *plan = compile(p.g, RG_NODES(p.loss, step), 0);
    for (size_t k = 0; k < 10; k++) {
        const double before = value_of(p.w, 0);
        cr_assert_eq(rg_bind(plan, p.x, k % 2 ? twice.data : x.data), RG_OK);
        run(plan);
        cr_assert((value_of(p.w, 0) == before) == (k % 2 == 0), "run %zu", k);
        if (k % 2 == 0)
            expect_close(*(const double *)rg_data(plan, p.loss), loss[k / 2], 1e-11, "loss", k);
    }
    expect_parameters(&p, parameter, 1e-11, "parameters");
    rg_plan_free(plan);
    rg_graph_free(p.g);
    rg_tensor_free(&x);
    rg_tensor_free(&twice);
}

/* With clipping, decay and Adam: two runs of the same batch are one run of it. */
Test(nn_optimisers, accumulation_is_invisible_to_the_rest)
{
    struct problem p[2];
    rg_plan *plan[2];
    rg_tensor x = wave(RG_F64, RG_SHAPE(4, 3), 0.7, 0.1);
    for (int i = 0; i < 2; i++) {
        p[i] = problem_new(RG_F64);
        rg_node *step = rg_adam(p[i].loss, &(rg_adam_opts){.lr = 0.1, .weight_decay = 0.1, .clip_norm = 0.05, .accumulate = i ? 3 : 0});
        plan[i] = compile(p[i].g, RG_NODES(step), 0);
        cr_assert_eq(rg_bind(plan[i], p[i].x, x.data), RG_OK);
    }
    for (int k = 0; k < 12; k++) {
        if (k % 3 == 0)
            run(plan[0]);
        run(plan[1]);
    }
    cr_assert_eq(value_of(rg_find(p[0].g, "optim.step"), 0), 4);
    cr_assert_eq(value_of(rg_find(p[1].g, "optim.step"), 0), 4);
    for (size_t i = 0; i < 6; i++)
        expect_close(value_of(p[1].w, i), value_of(p[0].w, i), 1e-12, "w", i);
    for (int i = 0; i < 2; i++) {
        rg_plan_free(plan[i]);
        rg_graph_free(p[i].g);
    }
    rg_tensor_free(&x);
}

Test(nn_optimisers, names_of_the_state)
{
    struct problem p = problem_new(RG_F32);
    rg_node *c = rg_param(p.g, "c", RG_F32, RG_SCALAR, NULL);
    rg_node *other = rg_square(c);
    cr_assert(rg_sgd(other, &(rg_sgd_opts){.lr = 1}), "%s", rg_graph_error(p.g)); /* has none */
    cr_assert(rg_sgd(p.loss, &(rg_sgd_opts){.lr = 1, .momentum = 0.5}));
    cr_assert(rg_adam(other, &(rg_adam_opts){.lr = 1}));
    cr_assert(rg_adam(p.loss, &(rg_adam_opts){.lr = 1, .params = RG_NODES(p.b), .accumulate = 4}));
    rg_scope_push(p.g, "phase");
    cr_assert(rg_adam(other, &(rg_adam_opts){.lr = 1}), "%s", rg_graph_error(p.g));
    rg_scope_pop(p.g);
    static const char *const there[] = {
        "optim.w.momentum_buffer", "optim.b.momentum_buffer", "optim2.step", "optim2.c.exp_avg", "optim2.c.exp_avg_sq", "optim3.step",
        "optim3.accumulated", "optim3.b.grad_sum", "optim3.b.exp_avg", "phase.optim.step", "phase.optim.c.exp_avg",
    };
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        cr_assert(rg_find(p.g, there[i]), "%s", there[i]);
    cr_assert(!rg_find(p.g, "optim.step") && !rg_find(p.g, "optim3.w.exp_avg") && !rg_find(p.g, "optim4.step"));
    cr_assert_eq(rg_params(p.g).n, 3, "state is not trainable");
    cr_assert_str_eq(rg_scope_name(p.g), "");
    rg_graph_free(p.g);
}

Test(nn_optimisers, parameters_by_default)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = rg_param(g, "a", RG_F32, RG_SHAPE(2), NULL), *b = rg_param(g, "b", RG_F32, RG_SHAPE(2), NULL);
    rg_node *frozen = rg_param(g, "frozen", RG_F32, RG_SHAPE(2), &(rg_param_opts){.frozen = true});
    rg_node *c = rg_param(g, "c", RG_F32, RG_SHAPE(2), NULL);
    rg_node *loss = rg_sum(rg_mul(rg_add(c, frozen), a), RG_ALL_AXES, false);
    const rg_nodes list = rg_params_of(loss);
    cr_assert(list.n == 2 && list.at[0] == a && list.at[1] == c, "creation order, trainable, depended on");
    cr_assert_eq(rg_params_of(b).n, 1);
    cr_assert_eq(rg_params_of(frozen).n, 0);
    cr_assert_eq(rg_params_of(NULL).n, 0);
    rg_plan *p = compile(g, RG_NODES(rg_sgd(loss, &(rg_sgd_opts){.lr = 1})), 0);
    const double a0 = value_of(a, 0), b0 = value_of(b, 0), c0 = value_of(c, 0), f0 = value_of(frozen, 0);
    run(p);
    expect_close(value_of(a, 0), a0 - (c0 + f0), 1e-6, "a", 0);
    expect_close(value_of(c, 0), c0 - a0, 1e-6, "c", 0);
    cr_assert(value_of(b, 0) == b0 && value_of(frozen, 0) == f0);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(nn_optimisers, given_gradients)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = rg_param(g, "a", RG_F32, RG_SHAPE(2), NULL), *b = rg_param(g, "b", RG_F32, RG_SHAPE(2), NULL);
    rg_node *loss = rg_sum(rg_add(a, b), RG_ALL_AXES, false), *three = rg_full(g, RG_F32, RG_SHAPE(2), 3);
    rg_node *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.5, .params = RG_NODES(b), .grads = RG_NODES(three)});
    rg_plan *p = compile(g, RG_NODES(step), 0);
    const double a0 = value_of(a, 1), b0 = value_of(b, 1);
    run(p);
    cr_assert_eq(value_of(a, 1), a0);
    expect_close(value_of(b, 1), b0 - 1.5, 1e-6, "b", 1);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(nn_optimisers, attached_effects_belong_to_a_step)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *w = rg_param(g, "w", RG_F32, RG_SCALAR, NULL), *h = rg_square(w);
    rg_node *seen = rg_buffer(g, "seen", RG_F32, RG_SCALAR, NULL), *again = rg_buffer(g, "again", RG_F32, RG_SCALAR, NULL);
    rg_node *far = rg_buffer(g, "far", RG_F32, RG_SCALAR, NULL), *one = rg_scalar(g, RG_F32, 1);
    rg_attach(h, rg_assign(seen, rg_add(seen, one)));
    rg_attach(seen, rg_assign(again, rg_add(again, one))); /* reached only through the first effect */
    rg_attach(rg_exp(h), rg_assign(far, rg_add(far, one))); /* no ancestor of the loss */
    rg_node *loss = rg_add(h, one), *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.1});
    cr_assert_eq(rg_attached(RG_NODES(loss)).n, 2);
    cr_assert_eq(rg_attached(RG_NODES(w)).n, 0);
    rg_plan *train = compile(g, RG_NODES(loss, step), 0), *look = compile(g, RG_NODES(loss), 0);
    for (int i = 0; i < 3; i++) {
        run(train);
        run(look);
    }
    cr_assert_eq(value_of(seen, 0), 3);
    cr_assert_eq(value_of(again, 0), 3);
    cr_assert_eq(value_of(far, 0), 0);
    rg_plan_free(train);
    rg_plan_free(look);
    rg_graph_free(g);
}

Test(nn_optimisers, zero_gradients_and_zero_rates)
{
    struct problem p = problem_new(RG_F32);
    rg_node *rate = rg_input(p.g, "rate", RG_F32, RG_SCALAR);
    rg_node *unused = rg_param(p.g, "unused", RG_F32, RG_SHAPE(3), NULL);
    rg_node *step = rg_adam(p.loss, &(rg_adam_opts){.lr_node = rate, .clip_norm = 1, .params = RG_NODES(p.w, unused)});
    rg_plan *plan = compile(p.g, RG_NODES(step), 0);
    float lr = 0;
    rg_tensor x = wave(RG_F32, RG_SHAPE(4, 3), 0.7, 0.1);
    cr_assert(!rg_bind(plan, p.x, x.data) && !rg_bind(plan, rate, &lr));
    const double w0 = value_of(p.w, 3), u0 = value_of(unused, 1);
    run(plan);
    cr_assert_eq(value_of(p.w, 3), w0);
    lr = 0.1f;
    run(plan);
    cr_assert_neq(value_of(p.w, 3), w0);
    cr_assert_eq(value_of(unused, 1), u0, "a parameter without a gradient moves");
    rg_plan_free(plan);
    rg_graph_free(p.g);
    rg_tensor_free(&x);
}

/* ---- what is refused, and how it is said ---- */

static rg_node *bad_grads(struct problem *p, rg_node *grad)
{
    return rg_sgd(p->loss, &(rg_sgd_opts){.lr = 1, .params = RG_NODES(p->w), .grads = RG_NODES(grad)});
}

static rg_node *refused(int row, struct problem *p)
{
    rg_node *w = p->w, *loss = p->loss;
    rg_node *vector = rg_zeros(p->g, RG_F32, RG_SHAPE(3)), *counter = rg_buffer(p->g, "n", RG_I64, RG_SCALAR, NULL);
    switch (row) {
    case 0: return rg_sgd(loss, NULL);
    case 1: return rg_adam(loss, &(rg_adam_opts){.beta1 = 0.9});
    case 2: return rg_sgd(loss, &(rg_sgd_opts){.lr = -1});
    case 3: return rg_adamw(loss, &(rg_adam_opts){.lr = NAN});
    case 4: return rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .lr_node = rg_scalar(p->g, RG_F32, 1)});
    case 5: return rg_sgd(loss, &(rg_sgd_opts){.lr_node = vector});
    case 6: return rg_sgd(loss, &(rg_sgd_opts){.lr_node = counter});
    case 7: return rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .weight_decay = -0.5});
    case 8: return rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .momentum = -0.5});
    case 9: return rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .nesterov = true});
    case 10: return rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .accumulate = -2});
    case 11: return rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .grads = RG_NODES(w)});
    case 12: return rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .params = RG_NODES(w, p->b), .grads = RG_NODES(w)});
    case 13: return bad_grads(p, p->b);
    case 14: return bad_grads(p, rg_cast(w, RG_F64));
    case 15: return bad_grads(p, NULL);
    case 16: return rg_sgd(rg_scalar(p->g, RG_F32, 1), &(rg_sgd_opts){.lr = 1});
    case 17: return rg_adam(loss, &(rg_adam_opts){.lr = 1, .beta2 = 1});
    case 18: return rg_adam(loss, &(rg_adam_opts){.lr = 1, .eps = -3});
    case 19: return rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .params = RG_NODES(vector)});
    case 20: return rg_at(rg_clip_by_global_norm(RG_NODES(w), 0), 0);
    case 21: return rg_schedule_step(counter, 1, 0, 0.5);
    case 22: return rg_schedule_step(counter, 1, 5, 0);
    case 23: return rg_schedule_exponential(counter, -1, 0.5);
    case 24: return rg_schedule_cosine(counter, 1, INFINITY, 5);
    case 25: return rg_schedule_cosine(rg_scalar(p->g, RG_F32, 1), 1, 0, 5);
    case 26: return rg_schedule_warmup(counter, 1, 5, vector);
    case 27: return rg_schedule_one_cycle(counter, 1, -3);
    case 28: return rg_nn_dropout(w, 1.5);
    case 29: return rg_nn_dropout(counter, 0.5);
    case 30: return rg_nn_linear(rg_scalar(p->g, RG_F32, 1), "fc", 3, NULL);
    case 31: return rg_nn_linear(w, "fc", 0, NULL);
    case 32: return rg_nn_linear(w, NULL, 1, NULL);
    case 33: rg_nn_linear(w, "fc", 3, NULL); return rg_nn_linear(w, "fc", 3, NULL);
    case 34: return rg_nn_accuracy(w, rg_zeros(p->g, RG_I64, RG_SHAPE(3)));
    case 35: return rg_nn_accuracy(w, rg_zeros(p->g, RG_F32, RG_SHAPE(2)));
    case 36: return rg_nn_accuracy(w, rg_zeros(p->g, RG_U8, RG_SHAPE(2, 1)));
    default: return p->w;
    }
}

Test(nn_errors, texts)
{
    static const struct {
        rg_status status;
        const char *text;
    } rows[] = {
        {RG_ERR_ARGUMENT, "rg_sgd: lr is 0: give a rate or lr_node"},
        {RG_ERR_ARGUMENT, "rg_adam: lr is 0: give a rate or lr_node"},
        {RG_ERR_ARGUMENT, "rg_sgd: lr is -1"},
        {RG_ERR_ARGUMENT, "rg_adamw: lr is"},
        {RG_ERR_ARGUMENT, "rg_sgd: both lr and lr_node are given"},
        {RG_ERR_SHAPE, "rg_sgd: lr_node must be a float scalar, it is f32[3]"},
        {RG_ERR_SHAPE, "rg_sgd: lr_node must be a float scalar, it is i64[]"},
        {RG_ERR_ARGUMENT, "rg_sgd: weight_decay is -0.5"},
        {RG_ERR_ARGUMENT, "rg_sgd: momentum is -0.5"},
        {RG_ERR_ARGUMENT, "rg_sgd: nesterov needs a momentum"},
        {RG_ERR_ARGUMENT, "rg_sgd: accumulate is negative"},
        {RG_ERR_ARGUMENT, "rg_sgd: grads are given without the params"},
        {RG_ERR_ARGUMENT, "rg_sgd: 2 params, but 1 grads"},
        {RG_ERR_SHAPE, "rg_sgd: grad 0 is f32[2] 'b', its param is f32[2, 3] 'w'"},
        {RG_ERR_DTYPE, "rg_sgd: grad 0 is f64[2, 3]"},
        {RG_ERR_ARGUMENT, "rg_sgd: grad 0 is NULL"},
        {RG_ERR_ARGUMENT, "rg_sgd: the loss depends on no trainable parameter"},
        {RG_ERR_ARGUMENT, "rg_adam: beta2 is 1"},
        {RG_ERR_ARGUMENT, "rg_adam: eps is -3"},
        {0, ""}, /* whatever rg_assign says */
        {RG_ERR_ARGUMENT, "rg_clip_by_global_norm: norm is 0"},
        {RG_ERR_ARGUMENT, "rg_schedule_step: 0 steps"},
        {RG_ERR_ARGUMENT, "rg_schedule_step: factor is 0"},
        {RG_ERR_ARGUMENT, "rg_schedule_exponential: lr is -1"},
        {RG_ERR_ARGUMENT, "rg_schedule_cosine: lr_end is inf"},
        {RG_ERR_DTYPE, "rg_schedule_cosine: the counter must be an integer scalar, it is f32[]"},
        {RG_ERR_SHAPE, "rg_schedule_warmup: `after` must be an f32 scalar, it is f32[3]"},
        {RG_ERR_ARGUMENT, "rg_schedule_one_cycle: -3 steps"},
        {RG_ERR_ARGUMENT, "rg_nn_dropout: p = 1.5"},
        {RG_ERR_DTYPE, "rg_nn_dropout: x is i64"},
        {RG_ERR_SHAPE, "rg_nn_linear: 'fc': x is a scalar"},
        {RG_ERR_ARGUMENT, "rg_nn_linear: 'fc': 0 outputs"},
        {RG_ERR_ARGUMENT, "rg_nn_linear: name is NULL"},
        {RG_ERR_NAME, "fc.weight"},
        {RG_ERR_SHAPE, "rg_nn_accuracy: logits f32[2, 3] 'w' need one label for each row, not i64[3]"},
        {RG_ERR_DTYPE, "rg_nn_accuracy: labels are f32"},
        {RG_ERR_SHAPE, "rg_nn_accuracy: logits f32[2, 3] 'w' need one label for each row, not u8[2, 1]"},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct problem p = problem_new(RG_F32);
        cr_assert_null(rg_graph_error(p.g));
        cr_assert_null(refused((int)r, &p), "row %zu is taken", r);
        const char *error = rg_graph_error(p.g);
        cr_assert(error && strstr(error, rows[r].text), "row %zu: '%s' lacks '%s'", r, error, rows[r].text);
        cr_assert(rows[r].status == 0 || rg_graph_status(p.g) == rows[r].status, "row %zu: %s", r, rg_status_name(rg_graph_status(p.g)));
        cr_assert_str_eq(rg_scope_name(p.g), "", "row %zu leaves a scope open", r);
        rg_graph_free(p.g);
    }
    cr_assert_null(rg_sgd(NULL, &(rg_sgd_opts){.lr = 1}));
    cr_assert_null(rg_nn_linear(NULL, "fc", 3, NULL));
    cr_assert_null(rg_nn_dropout(NULL, 0.5));
    cr_assert_null(rg_nn_accuracy(NULL, NULL));
    cr_assert_null(rg_schedule_step(NULL, 1, 1, 1));
    cr_assert_eq(rg_clip_by_global_norm((rg_nodes){NULL, 0}, 1).n, 0);
}

/* ---- clipping ---- */

Test(nn_clip, global_norm)
{
    static const float a[3] = {3, 0, -4}, b[2] = {0, 12};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_const(g, RG_F32, RG_SHAPE(3), a), *y = rg_const(g, RG_F32, RG_SHAPE(2), b), *z = rg_zeros(g, RG_F32, RG_SHAPE(2));
    const rg_nodes tight = rg_clip_by_global_norm(RG_NODES(x, y), 1.3), loose = rg_clip_by_global_norm(RG_NODES(x, y), 20);
    const rg_nodes none = rg_clip_by_global_norm(RG_NODES(z), 1);
    cr_assert(tight.n == 2 && loose.n == 2 && none.n == 1);
    rg_plan *p = compile(g, RG_NODES(tight.at[0], tight.at[1], loose.at[0], loose.at[1], none.at[0]), 0);
    run(p);
    for (size_t i = 0; i < 3; i++) {
        expect_close(element(rg_data(p, tight.at[0]), RG_F32, i), a[i] * 0.1, 1e-6, "tight", i);
        cr_assert_eq(element(rg_data(p, loose.at[0]), RG_F32, i), a[i]);
    }
    expect_close(element(rg_data(p, tight.at[1]), RG_F32, 1), 1.2, 1e-6, "tight", 1);
    cr_assert_eq(element(rg_data(p, loose.at[1]), RG_F32, 1), 12);
    cr_assert_eq(element(rg_data(p, none.at[0]), RG_F32, 0), 0);
    rg_plan_free(p);
    rg_graph_free(g);
}

/* ---- schedules ---- */

enum { RUNS = 12 };

/* torch.optim.lr_scheduler with the same arguments; from where PyTorch ends (or starts over), the last rate is held. */
static const struct {
    const char *torch;
    double lr[RUNS];
} schedules[] = {
    {"StepLR(4, 0.5)", {0.3, 0.3, 0.3, 0.3, 0.15, 0.15, 0.15, 0.15, 0.075, 0.075, 0.075, 0.075}},
    {"ExponentialLR(0.9)",
     {0.3, 0.27, 0.243, 0.2187, 0.19683, 0.177147, 0.1594323, 0.14348907, 0.129140163, 0.1162261467, 0.10460353203, 0.094143178827}},
    {"CosineAnnealingLR(10, 0.02)",
     {0.3, 0.293147912281321, 0.273262379212493, 0.242289935320946, 0.203262379212493, 0.16, 0.116737620787507, 0.0777100646790538,
      0.0467376207875074, 0.0268520877186785, 0.02, 0.02}},
    {"LinearLR(1/5, 1, 4)", {0.06, 0.12, 0.18, 0.24, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3}},
    {"OneCycleLR(0.3, 12)",
     {0.012, 0.104936896265875, 0.263785547736639, 0.298324630635274, 0.279903890952424, 0.243523696184929, 0.194213699308531,
      0.138791130800093, 0.0849182994626098, 0.0400432590566492, 0.0103700962276186, 1.2e-6}},
    {"OneCycleLR(0.3, 3)",
     {0.298324630635274, 0.138791130800093, 1.2e-6, 1.2e-6, 1.2e-6, 1.2e-6, 1.2e-6, 1.2e-6, 1.2e-6, 1.2e-6, 1.2e-6, 1.2e-6}},
    {"LinearLR(1/3, 1, 2), then ExponentialLR(0.9)",
     {0.1, 0.2, 0.3, 0.2187, 0.19683, 0.177147, 0.1594323, 0.14348907, 0.129140163, 0.1162261467, 0.10460353203, 0.094143178827}},
};

Test(nn_schedules, rates_of_pytorch)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *n = rg_step_counter(g, "n");
    rg_node *const rates[] = {
        rg_schedule_step(n, 0.3, 4, 0.5),
        rg_schedule_exponential(n, 0.3, 0.9),
        rg_schedule_cosine(n, 0.3, 0.02, 10),
        rg_schedule_warmup(n, 0.3, 5, NULL),
        rg_schedule_one_cycle(n, 0.3, 12),
        rg_schedule_one_cycle(n, 0.3, 3),
        rg_schedule_warmup(n, 0.3, 3, rg_schedule_exponential(n, 0.3, 0.9)),
    };
    enum { ROWS = sizeof rates / sizeof *rates };
    cr_assert_null(rg_graph_error(g), "%s", rg_graph_error(g));
    rg_plan *p = compile(g, (rg_nodes){rates, ROWS}, 0);
    for (int64_t i = 0; i < RUNS; i++) {
        cr_assert_eq(rg_set(n, &(rg_tensor){RG_I64, RG_SCALAR, &i, NULL}), RG_OK);
        run(p);
        for (size_t r = 0; r < ROWS; r++) {
            const double got = *(const float *)rg_data(p, rates[r]), expected = schedules[r].lr[i];
            cr_assert_eq(rg_dtype_of(rates[r]), RG_F32);
            cr_assert(fabs(got - expected) <= 2e-7 * expected + 1e-12, "%s, run %d: %.9g, not %.9g", schedules[r].torch, (int)i, got, expected);
        }
    }
    cr_assert_eq(value_of(n, 0), RUNS - 1, "a plan without an optimiser raises the counter");
    rg_plan_free(p);
    rg_graph_free(g);
}

/* Multiples of `every` start a new rate exactly, whatever 1 / every rounds to. */
Test(nn_schedules, steps_start_where_they_should)
{
    static const int64_t every[] = {3, 7, 10, 49, 103, 1000, 46875};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *n = rg_buffer(g, "n", RG_I64, RG_SCALAR, NULL), *rate[7];
    for (size_t i = 0; i < 7; i++)
        rate[i] = rg_schedule_step(n, 1, every[i], 0.5);
    rg_plan *p = compile(g, (rg_nodes){rate, 7}, 0);
    for (int64_t k = 1; k < 20; k++)
        for (size_t i = 0; i < 7; i++)
            for (int before = 0; before < 2; before++) {
                const int64_t at = k * every[i] - before;
                cr_assert_eq(rg_set(n, &(rg_tensor){RG_I64, RG_SCALAR, (void *)&at, NULL}), RG_OK);
                run(p);
                expect_close(*(const float *)rg_data(p, rate[i]) * pow(2, (double)(k - before)), 1, 1e-6, "rate", (size_t)at);
            }
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(nn_schedules, counter_counts_runs_of_the_optimiser)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *w = rg_param(g, "w", RG_F64, RG_SCALAR, &(rg_param_opts){.init = RG_ZEROS});
    rg_node *n = rg_step_counter(g, "n"), *rate = rg_schedule_exponential(n, 1, 0.5);
    rg_node *step = rg_sgd(w, &(rg_sgd_opts){.lr_node = rate, .accumulate = 2}); /* the gradient is 1 */
    rg_plan *train = compile(g, RG_NODES(rate, step), 0), *look = compile(g, RG_NODES(rate), 0);
    for (int i = 0; i < 6; i++) {
        run(train);
        expect_close(*(const float *)rg_data(train, rate), pow(0.5, i), 1e-7, "rate", (size_t)i);
        run(look);
        cr_assert_eq(value_of(n, 0), i + 1);
    }
    expect_close(value_of(w, 0), -(0.5 + 0.125 + 0.03125), 1e-7, "w", 0);
    rg_plan_free(train);
    rg_plan_free(look);
    rg_graph_free(g);
}

/* ---- layers and metrics ---- */

Test(nn_layers, linear)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2, rg_dim(g, "n"), 16));
    rg_node *y = rg_nn_linear(x, "fc1", 300, NULL);
    rg_scope_push(g, "block");
    rg_node *z = rg_nn_linear(y, "fc2", 5, &(rg_linear_opts){.no_bias = true, .weight = {.init = RG_CONSTANT, .scale = 0.5}});
    rg_scope_pop(g);
    cr_assert(z, "%s", rg_graph_error(g));
    rg_node *w = rg_find(g, "fc1.weight"), *b = rg_find(g, "fc1.bias"), *w2 = rg_find(g, "block.fc2.weight");
    cr_assert(w && b && w2 && !rg_find(g, "block.fc2.bias"));
    cr_assert(rg_shape_equal(rg_shape_of(w), RG_SHAPE(300, 16)) && rg_shape_equal(rg_shape_of(b), RG_SHAPE(300)));
    cr_assert(rg_shape_equal(rg_shape_of(w2), RG_SHAPE(5, 300)));
    cr_assert_eq(value_of(w2, 7), 0.5);
    double low[2] = {1, 1}, high[2] = {-1, -1};
    for (size_t i = 0; i < 4800; i++) {
        low[0] = fmin(low[0], value_of(w, i)), high[0] = fmax(high[0], value_of(w, i));
        low[1] = fmin(low[1], value_of(b, i % 300)), high[1] = fmax(high[1], value_of(b, i % 300));
    }
    for (int i = 0; i < 2; i++) /* uniform within 1/sqrt(16), bias too */
        cr_assert(low[i] >= -0.25 && low[i] < -0.24 && high[i] <= 0.25 && high[i] > 0.24, "[%g, %g]", low[i], high[i]);
    rg_graph_free(g);
}

Test(nn_layers, dropout)
{
    enum { N = 20000 };
    static const double ps[] = {0, 0.1, 0.5, 0.9, 1};
    for (size_t k = 0; k < 5; k++) {
        const double p = ps[k];
        rg_graph *g = rg_graph_new(NULL);
        rg_node *x = rg_param(g, "x", RG_F32, RG_SHAPE(N), NULL);
        set_wave(x, 1.1, 0.3);
        ((float *)rg_value(x).data)[5] = INFINITY;
        rg_node *y = rg_nn_dropout(x, p), *dx = rg_at(rg_grad(rg_sum(y, RG_ALL_AXES, false), RG_NODES(x)), 0);
        rg_plan *train = compile(g, RG_NODES(y, dx), RG_TRAIN), *eval = compile(g, RG_NODES(y, dx), RG_EVAL);
        run(train);
        run(eval);
        const float *from = rg_value(x).data, *to = rg_data(train, y), *grad = rg_data(train, dx);
        int kept = 0;
        for (int i = 0; i < N; i++) {
            const float factor = p < 1 ? (float)(1 / (1 - p)) : 0;
            cr_assert(grad[i] == 0 || fabsf(grad[i] - factor) <= 1e-6f * factor, "element %d: %g", i, grad[i]);
            cr_assert(grad[i] == 0 ? to[i] == 0 : to[i] == from[i] * factor, "element %d: %g from %g", i, to[i], from[i]);
            kept += grad[i] != 0;
            cr_assert_eq(((const float *)rg_data(eval, dx))[i], 1);
        }
        cr_assert_eq(memcmp(rg_data(eval, y), from, N * sizeof *from), 0, "evaluation is not the identity");
        cr_assert(fabs(kept / (double)N - (1 - p)) < 0.02, "p = %g keeps %d of %d", p, kept, N);
        rg_plan_free(train);
        rg_plan_free(eval);
        rg_graph_free(g);
    }
}

Test(nn_layers, accuracy)
{
    static const float logits[2][3][3] = {{{1, 2, 3}, {3, 2, 1}, {1, 5, 5}}, {{0, -1, -2}, {7, 8, 7}, {0, 0, 1}}};
    static const int64_t i64[6] = {2, 1, 1, 0, 1, 0}; /* of equal logits the first counts */
    static const int32_t i32[6] = {2, 1, 1, 0, 1, 0};
    static const uint8_t u8[6] = {2, 1, 1, 0, 1, 0};
    const void *const labels[] = {i64, i32, u8};
    static const rg_dtype dtypes[] = {RG_I64, RG_I32, RG_U8};
    for (int d = 0; d < 3; d++) {
        rg_graph *g = rg_graph_new(NULL);
        rg_node *a = rg_nn_accuracy(rg_const(g, RG_F32, RG_SHAPE(2, 3, 3), logits), rg_const(g, dtypes[d], RG_SHAPE(2, 3), labels[d]));
        rg_plan *p = compile(g, RG_NODES(a), 0);
        run(p);
        expect_close(*(const float *)rg_data(p, a), 4.0 / 6, 1e-6, "accuracy", 0);
        rg_plan_free(p);
        rg_graph_free(g);
    }
}

/* ---- three perceptrons: loss and all gradients ---- */

/* Layer k: weight sin(i + 2k + 1), bias sin(i + 2k + 2); x = sin(0.7 i + 0.1). Gradients in the order w1, b1, w2, ... */
struct perceptron {
    rg_graph *g;
    rg_node *out;
};

static struct perceptron perceptron_new(rg_dtype dtype, int64_t batch, const int64_t *sizes, int layers, rg_node *(*activation)(rg_node *))
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *h = wave_const(g, dtype, RG_SHAPE(batch, sizes[0]), 0.7, 0.1);
    for (int k = 0; k < layers; k++) {
        char name[16], full[32];
        snprintf(name, sizeof name, "fc%d", k + 1);
        h = rg_nn_linear(h, name, sizes[k + 1], NULL);
        snprintf(full, sizeof full, "%s.weight", name);
        set_wave(rg_find(g, full), 1, 2 * k + 1);
        snprintf(full, sizeof full, "%s.bias", name);
        set_wave(rg_find(g, full), 1, 2 * k + 2);
        if (k + 1 < layers || layers == 1)
            h = activation(h);
    }
    return (struct perceptron){g, h};
}

static void expect_gradients(struct perceptron m, rg_node *loss, rg_dtype dtype, double loss_expected, const double *expected, size_t n)
{
    const double tolerance = dtype == RG_F64 ? 1e-8 : 1e-5; /* the numbers have nine digits */
    const rg_nodes params = rg_params(m.g), grads = rg_grad(loss, params);
    rg_node *fetch[8];
    cr_assert(params.n && params.n < 8 && grads.n == params.n, "%s", rg_graph_error(m.g));
    memcpy(fetch, grads.at, grads.n * sizeof *fetch);
    fetch[grads.n] = loss;
    rg_plan *p = compile(m.g, (rg_nodes){fetch, grads.n + 1}, 0);
    run(p);
    expect_close(element(rg_data(p, loss), dtype, 0), loss_expected, tolerance, "loss", 0);
    size_t at = 0;
    for (size_t k = 0; k < grads.n; k++)
        for (int64_t i = 0; i < rg_shape_count(rg_shape_of(grads.at[k])); i++, at++) {
            cr_assert(at < n);
            expect_close(element(rg_data(p, grads.at[k]), dtype, (size_t)i), expected[at], tolerance, rg_name(params.at[k]), (size_t)i);
        }
    cr_assert_eq(at, n);
    rg_plan_free(p);
    rg_graph_free(m.g);
}

static const rg_dtype both[] = {RG_F32, RG_F64};

Test(nn_perceptrons, tanh_and_mse)
{
    static const double gradients[] = {
        0.238877568, 0.205991093, 0.0762237887, 0.0882078111, 0.0417741789, -0.0243065023, -0.191446292,
        0.0970919117, 0.339966272, -0.298957225, -0.250003739, -0.0834695891, -0.16770442, -0.0541048156,
        0.084941129, -0.196089407, 0.13130416, -0.0123978888, 0.163035675, -0.200066967, 0.0143212371, -0.102864403,
        0.139545095, -0.0044350741, 0.0699318376, 0.455791896, -0.432110695, 0.216443072, -0.422163887, 0.200784093,
        -0.366504745, -0.153364475,
    };
    for (int d = 0; d < 2; d++) {
        struct perceptron m = perceptron_new(both[d], 4, (const int64_t[]){3, 5, 2}, 2, rg_tanh);
        rg_node *loss = rg_mse_loss(m.out, wave_const(m.g, both[d], RG_SHAPE(4, 2), 1.3, 0.5), NULL);
        expect_gradients(m, loss, both[d], 0.898383484, gradients, sizeof gradients / sizeof *gradients);
    }
}

Test(nn_perceptrons, relu_and_cross_entropy)
{
    static const double gradients[] = {
        0.0212260404, 0.118906436, 0.160663276, 0.126857668, -0.0613535537, 0.0200452085, 0.0920163959, 0.120710835,
        0.0144238921, 0.0173664325, 0.0121412683, 0.00120587597, -0.0153397305, -0.110224106, -0.153268362,
        -0.124228113, 0.0863899965, 0.0373616683, -0.0292384364, -0.0820872475, -0.0161373091, -0.019752725,
        -0.0140781257, -0.00178236388, 0.149854686, 0.149199822, -0.000280711984, -0.153653266, -0.101688541,
        0.000758686764, 0.00894029657, 0, -0.000557619335, 0, 0, 0.00649925106, -0.0207342875, 0, 0.0143436588, 0,
        0, 0.00348194825, -0.0313458633, 0, 0.0160574431, 0, 0, -0.00273664172, -0.0265122891, -0.0527193502,
        0.00300808835, -0.00238595989, -0.0265258021, -0.00643917592, 0.104203395, 0.267978215, -0.012806889,
        0.0155307056, 0.135034697, -0.00422156147, 0.139114958, 0.342297846, -0.0168472717, 0.019168512,
        0.172444919, 0.00187733712, 0.00251115765, 0.00172961191, -0.00064213105, -0.0321562059, 0.156105481,
        0.200844509, 0.0424501603, 0.0512277296, 0.0819431208, -0.232048407, -0.454316868, -0.368455126, -0.1611967,
        -0.211065068, -0.294848418, -0.346295624, -0.376092859, -0.299501611, 0.118746539, 0.159837338, 0.212905297,
        0.578344031, 0.830409727, 0.667956737, -0.327322678, -0.0919946673, 0.419317345,
    };
    static const uint8_t labels[] = {0, 2, 1, 1, 0};
    for (int d = 0; d < 2; d++) {
        struct perceptron m = perceptron_new(both[d], 5, (const int64_t[]){4, 6, 6, 3}, 3, rg_relu);
        rg_node *loss = rg_cross_entropy(m.out, rg_const(m.g, RG_U8, RG_SHAPE(5), labels), NULL);
        expect_gradients(m, loss, both[d], 1.73086568, gradients, sizeof gradients / sizeof *gradients);
    }
}

Test(nn_perceptrons, sigmoid_and_bce)
{
    static const double gradients[] = {
        0.0745831641, 0.102354994, 0.0819876706, 0.0230602649, -0.0467127438, -0.0167172255, -0.0343405946,
        -0.0358130454, -0.0204420614, 0.00454314353, -0.022811059, 0.0117989844, 0.040859781, 0.0507035842,
        0.0367006995, 0.00667151683, -0.0258581517, -0.0462263275, -0.0448535391, -0.0223854304, 0.0109954077,
        -0.010415612, -0.082270645, -0.0965413756,
    };
    for (int d = 0; d < 2; d++) {
        struct perceptron m = perceptron_new(both[d], 3, (const int64_t[]){5, 4}, 1, rg_sigmoid);
        rg_node *zero = rg_scalar(m.g, both[d], 0), *target = rg_cast(rg_greater(wave_const(m.g, both[d], RG_SHAPE(3, 4), 2.1, 0.3), zero), both[d]);
        expect_gradients(m, rg_bce_loss(m.out, target, NULL), both[d], 0.905931954, gradients, sizeof gradients / sizeof *gradients);
    }
}
