/* test_optim.c - optimisers, against trajectories that PyTorch 1.13 computed in double precision. */
#include "waves.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- trajectories ---- */

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

static rg_node *rmsprop_plain(struct problem *p)
{
    return rg_rmsprop(p->loss, &(rg_rmsprop_opts){.lr = 0.05});
}

static rg_node *rmsprop_all(struct problem *p)
{
    return rg_rmsprop(
        p->loss, &(rg_rmsprop_opts){
                     .lr = 0.02, .alpha = 0.9, .eps = 1e-3, .weight_decay = 0.1, .momentum = 0.5, .centered = true});
}

static rg_node *adagrad_plain(struct problem *p)
{
    return rg_adagrad(p->loss, &(rg_adagrad_opts){.lr = 0.1});
}

static rg_node *adagrad_all(struct problem *p)
{
    return rg_adagrad(p->loss, &(rg_adagrad_opts){.lr = 0.1, .lr_decay = 0.2, .weight_decay = 0.1, .initial = 0.3});
}

static rg_node *adadelta_plain(struct problem *p)
{
    return rg_adadelta(p->loss, NULL);
}

static rg_node *adadelta_all(struct problem *p)
{
    return rg_adadelta(p->loss, &(rg_adadelta_opts){.lr = 0.5, .rho = 0.8, .eps = 1e-3, .weight_decay = 0.1});
}

static rg_node *lion_plain(struct problem *p)
{
    return rg_lion(p->loss, &(rg_lion_opts){.lr = 0.02});
}

static rg_node *lion_all(struct problem *p)
{
    return rg_lion(p->loss, &(rg_lion_opts){.lr = 0.02, .beta1 = 0.8, .beta2 = 0.95, .weight_decay = 0.2});
}

static rg_node *sgd_clip_each(struct problem *p)
{
    const rg_nodes params = RG_NODES(p->w, p->b), grads = rg_clip_by_norm(rg_grad(p->loss, params), 0.05);
    return rg_sgd(p->loss, &(rg_sgd_opts){.lr = 0.5, .params = params, .grads = grads});
}

static rg_node *sgd_clip_value_by_hand(struct problem *p)
{
    const rg_nodes params = RG_NODES(p->w, p->b), grads = rg_clip_by_value(rg_grad(p->loss, params), 0.05);
    return rg_sgd(p->loss, &(rg_sgd_opts){.lr = 0.5, .params = params, .grads = grads});
}

static const struct {
    const char *torch;
    make_step *make;
    double loss[5];      /* before each step */
    double parameter[8]; /* w, b after the fifth */
} trajectories[] = {
    {"SGD(lr=0.1)",
     sgd_plain,
     {0.536262055450261, 0.522228916106041, 0.506417203855275, 0.48860689186749, 0.468612269752598},
     {0.80102441192356, 0.89208380154506, 0.155235167322751, -0.761791128193491, -0.866909353390377, -0.133673078015224,
      -0.0394669113790882, 0.0997282050704402}},
    {"SGD(lr=0.1, weight_decay=0.05)",
     sgd_decay,
     {0.536262055450261, 0.520578466284062, 0.502950163095174, 0.483160253522761, 0.461052746962888},
     {0.780411676888421, 0.869978018401523, 0.152140130506029, -0.743263526575777, -0.843100482886956,
      -0.12643933816974, -0.0384801573811886, 0.0994479503926836}},
    {"SGD(lr=0.1, momentum=0.9)",
     sgd_momentum,
     {0.536262055450261, 0.522228916106041, 0.492295333401984, 0.441736573836687, 0.365778633369584},
     {0.735187330645751, 0.864510812324505, 0.178894277829719, -0.770313724382116, -0.715701338675441,
      0.106150055592433, -0.10310022281318, 0.263371372648627}},
    {"SGD(lr=0.1, momentum=0.9, nesterov=True)",
     sgd_nesterov,
     {0.536262055450261, 0.50888993920933, 0.460907209771276, 0.384976282949653, 0.285257932704143},
     {0.70495028753157, 0.854094660609416, 0.193197896422188, -0.776181775425262, -0.631378215256143, 0.241005870944931,
      -0.129532193956874, 0.354738553087412}},
    {"SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05)",
     sgd_all,
     {0.536262055450261, 0.505621592174417, 0.452032834096399, 0.368557433375122, 0.265076767346779},
     {0.637759991289908, 0.782505467492096, 0.184547450192802, -0.716482439313739, -0.558728475203261,
      0.256932069455036, -0.121287564723279, 0.342976795341741}},
    {"Adam(lr=0.05)",
     adam_plain,
     {0.536262055450261, 0.492599284237365, 0.444304144215283, 0.392823075693715, 0.340424574461838},
     {0.592606472850952, 0.666557165689067, 0.391842250321511, -0.979991825440055, -0.707871830279518,
      -0.0283407422752983, -0.244275214885011, 0.250877771951724}},
    {"Adam(lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)",
     adam_all,
     {0.536262055450261, 0.494173866222423, 0.447852049079903, 0.399095793754391, 0.350689877420538},
     {0.59508008823557, 0.665494148468146, 0.373750096724161, -0.532972379189425, -0.708353362684716,
      -0.027801911025762, -0.230934480592382, 0.249914593302054}},
    {"Adam(lr=0.05, betas=(0, 0.9))",
     adam_beta_off,
     {0.536262055450261, 0.492599284237365, 0.441424431024058, 0.384513116354427, 0.325976621982129},
     {0.602822792408237, 0.694090390328201, 0.409421125010457, -0.963851440868218, -0.686346296520498,
      -0.00817214236554363, -0.217484695158575, 0.276807716370901}},
    {"AdamW(lr=0.05)",
     adamw_plain,
     {0.536262055450261, 0.492423467443406, 0.443949373845753, 0.392312029821935, 0.339809454788471},
     {0.590766815734136, 0.664670621253736, 0.391228739320706, -0.978482871139715, -0.705728633820209,
      -0.0278940487448983, -0.243893429040876, 0.250626222418041}},
    {"AdamW(lr=0.05, weight_decay=0.3)",
     adamw_decay,
     {0.536262055450261, 0.487302500084529, 0.433712372707183, 0.377798716392402, 0.32273039046452},
     {0.539145999527228, 0.612828527676569, 0.373732478156148, -0.932604323001898, -0.645527461493891,
      -0.015439317414874, -0.231845345791096, 0.243437385763629}},
    {"SGD(lr=0.5), clip_grad_norm_(0.1)",
     sgd_clip_norm,
     {0.536262055450261, 0.517047528209631, 0.496296985054695, 0.47404755449039, 0.45040557029261},
     {0.79379414355996, 0.889168665513322, 0.158006197648859, -0.762628905202389, -0.848346904787845,
      -0.104440613425294, -0.0463337746274263, 0.120210435692386}},
    {"SGD(lr=0.5), clip_grad_value_(0.05)",
     sgd_clip_value,
     {0.536262055450261, 0.515870542717449, 0.494188843929276, 0.471295982508461, 0.447325282962523},
     {0.716470984807896, 0.830606431298955, 0.224426725686263, -0.784876390083936, -0.833924274663138,
      -0.154415498198926, -0.125, 0.125}},
    {"SGD(lr=0.5), clip_grad_value_(0.05)",
     sgd_clip_value_by_hand,
     {0.536262055450261, 0.515870542717449, 0.494188843929276, 0.471295982508461, 0.447325282962523},
     {0.716470984807896, 0.830606431298955, 0.224426725686263, -0.784876390083936, -0.833924274663138,
      -0.154415498198926, -0.125, 0.125}},
    {"RMSprop(lr=0.05)",
     rmsprop_plain,
     {0.536262055450262, 0.176250423920856, 0.148761340008806, 0.141558647620067, 0.136311696800506},
     {0.428446006544632, 0.473117821382188, 0.68825298442833, -2.00506365752859, -0.387342113391618, 0.377546208166602,
      -0.170872689771724, 0.374676950392525}},
    {"RMSprop(lr=0.02, alpha=0.9, eps=1e-3, weight_decay=0.1, momentum=0.5, centered=True)",
     rmsprop_all,
     {0.536262055450262, 0.480177694421499, 0.397815270598337, 0.311136056535305, 0.243659141997479},
     {0.47468033316444, 0.557904755109181, 0.431407852746461, -0.550767311872084, -0.552125848004086, 0.145146196818474,
      -0.226402662477128, 0.37949731172839}},
    {"Adagrad(lr=0.1)",
     adagrad_plain,
     {0.536262055450262, 0.444328672196887, 0.363250245300707, 0.296493043482745, 0.246022339495877},
     {0.553061823689202, 0.657656372602398, 0.470001516804306, -1.05233959697136, -0.613394152590769,
      0.0655924332010165, -0.240787058187348, 0.348937230843559}},
    {"Adagrad(lr=0.1, lr_decay=0.2, weight_decay=0.1, initial_accumulator_value=0.3)",
     adagrad_all,
     {0.536262055450262, 0.506686262745652, 0.479901215302997, 0.455969595539573, 0.434803495514441},
     {0.742035566696763, 0.832174409730558, 0.152935195818964, -0.715410252541185, -0.809745872465255,
      -0.116033826064793, -0.0485859371062642, 0.117829511224743}},
    {"Adadelta()",
     adadelta_plain,
     {0.536262055450262, 0.533657683652706, 0.530952738922764, 0.528162703117168, 0.525294284613211},
     {0.82498730994223, 0.893002747546491, 0.157767684389621, -0.772166587402945, -0.942284237399292,
      -0.262798924091112, -0.0164222635050041, 0.0167070631227602}},
    {"Adadelta(lr=0.5, rho=0.8, eps=1e-3, weight_decay=0.1)",
     adadelta_all,
     {0.536262055450262, 0.509618455094542, 0.478592904841382, 0.443132493788706, 0.403675807240855},
     {0.670422044681014, 0.756474322452845, 0.1961352950561, -0.65101133685664, -0.76437823833664, -0.0765242780754489,
      -0.116078935333431, 0.190532952046108}},
    {"Lion(lr=0.02), by the paper's formulas",
     lion_plain,
     {0.536262055450262, 0.519412568481206, 0.501734192284984, 0.483277589943473, 0.464112403663874},
     {0.741470984807896, 0.809297426825682, 0.241120008059867, -0.856802495307928, -0.858924274663138,
      -0.179415498198926, -0.1, 0.1}},
    {"Lion(lr=0.02, betas=(0.8, 0.95), weight_decay=0.2), by the paper's formulas",
     lion_all,
     {0.536262055450262, 0.518091172316807, 0.499048484009831, 0.479210057320946, 0.458675272374144},
     {0.725572469398979, 0.792053191484957, 0.237523290568763, -0.840990244020474, -0.840695410963607,
      -0.174668522640986, -0.09920319360512, 0.09920319360512}},
    {"SGD(lr=0.5), clip_grad_norm_(each, 0.05)",
     sgd_clip_each,
     {0.536262055450262, 0.523257826748534, 0.509521584166161, 0.495058378580238, 0.479888747425147},
     {0.812820254484487, 0.897214192011364, 0.151287202893567, -0.761191425577086, -0.894990907764074,
      -0.177228695570684, -0.0471237019901516, 0.115698490457026}},
    {"SGD(lr=0.1, momentum=0.9), ExponentialLR(0.5)",
     sgd_schedule,
     {0.536262055450261, 0.522228916106041, 0.507656494087074, 0.496423557127621, 0.48887294138249},
     {0.814847125573638, 0.897636437302282, 0.149906233828168, -0.760309497705696, -0.90293184192633,
      -0.190257746349557, -0.0263436525274213, 0.059789280721662}},
    {"Adam(lr=0.1), ExponentialLR(0.5)",
     adam_schedule,
     {0.536262055450261, 0.444328680642178, 0.393121135768799, 0.366996563257675, 0.353936210300705},
     {0.648024696608051, 0.718522618269444, 0.334458157600253, -0.933974717657884, -0.765135794420955,
      -0.0855431580968877, -0.19170936147554, 0.193502972456108}},
    {"AdamW(lr=0.1), ExponentialLR(0.5)",
     adamw_schedule,
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
                expect_close(element(rg_data(plan, p.loss), dtype, 0), trajectories[r].loss[k], tolerance,
                             trajectories[r].torch, k);
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
    static const double loss[5] = {0.5362620554502614, 0.5270055851288742, 0.5078917699871539, 0.4767571347301893,
                                   0.4298340559669124};
    static const double parameter[8] = {0.7519634980548233,   0.862294188600105,   0.1587273757451326,
                                        -0.7585040888439203,  -0.7893616350707233, -0.018336584367745348,
                                        -0.08178437783663112, 0.16076453931411253};
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
        rg_node *step = rg_adam(
            p[i].loss, &(rg_adam_opts){.lr = 0.1, .weight_decay = 0.1, .clip_norm = 0.05, .accumulate = i ? 3 : 0});
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
        "optim.w.momentum_buffer", "optim.b.momentum_buffer", "optim2.step",
        "optim2.c.exp_avg",        "optim2.c.exp_avg_sq",     "optim3.step",
        "optim3.accumulated",      "optim3.b.grad_sum",       "optim3.b.exp_avg",
        "phase.optim.step",        "phase.optim.c.exp_avg",
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
    rg_node *seen = rg_buffer(g, "seen", RG_F32, RG_SCALAR, NULL),
            *again = rg_buffer(g, "again", RG_F32, RG_SCALAR, NULL);
    rg_node *far = rg_buffer(g, "far", RG_F32, RG_SCALAR, NULL), *one = rg_scalar(g, RG_F32, 1);
    rg_attach(h, rg_assign(seen, rg_add(seen, one)));
    rg_attach(seen, rg_assign(again, rg_add(again, one)));  /* reached only through the first effect */
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

/* torch.optim.swa_utils' kind of average with decay 0.9, over SGD(lr=0.5, momentum=0.9). */
Test(nn_optimisers, average_of_the_weights)
{
    static const double expected[8] = {0.731389977069218,  0.870231682296532,  0.191442756811402,   -0.790103977664074,
                                       -0.741753851146874, 0.0860881876285768, -0.0947549310510283, 0.207595867628271};
    struct problem p = problem_new(RG_F64);
    rg_tensor x = wave(RG_F64, RG_SHAPE(4, 3), 0.7, 0.1);
    rg_scope_push(p.g, "phase");
    rg_node *step = rg_ema(rg_sgd(p.loss, &(rg_sgd_opts){.lr = 0.5, .momentum = 0.9}), 0.9, (rg_nodes){NULL, 0});
    rg_scope_pop(p.g);
    rg_plan *plan = compile(p.g, RG_NODES(step), 0);
    cr_assert_eq(rg_bind(plan, p.x, x.data), RG_OK);
    for (int k = 0; k < 5; k++)
        run(plan);
    const double w0 = value_of(p.w, 0), b1 = value_of(p.b, 1);
    cr_assert_eq(rg_ema_swap(p.g), RG_OK, "%s", rg_last_error());
    expect_parameters(&p, expected, 1e-11, "average");
    expect_close(value_of(rg_find(p.g, "phase.ema.w"), 0), w0, 0, "w", 0);
    cr_assert_eq(rg_ema_swap(p.g), RG_OK);
    cr_assert(value_of(p.w, 0) == w0 && value_of(p.b, 1) == b1);
    expect_close(value_of(rg_find(p.g, "phase.ema.b"), 1), expected[7], 1e-11, "average", 7);
    cr_assert_null(rg_ema(step, 1, (rg_nodes){NULL, 0}));
    cr_assert(strstr(rg_graph_error(p.g), "rg_ema: decay is 1"), "%s", rg_graph_error(p.g));
    rg_plan_free(plan);
    rg_graph_free(p.g);
    rg_tensor_free(&x);
}

Test(nn_optimisers, options_outside_of_their_domain)
{
    static const struct {
        int which;
        double value;
        const char *message;
    } rows[] = {
        {0, 1, "rg_rmsprop: alpha is 1"},    {0, -2, "rg_rmsprop: alpha is -2"}, {1, -3, "rg_adagrad: lr_decay is -3"},
        {2, 1.5, "rg_adadelta: rho is 1.5"}, {3, 1, "rg_lion: beta2 is 1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct problem p = problem_new(RG_F32);
        const double v = rows[i].value;
        rg_node *step = rows[i].which == 0   ? rg_rmsprop(p.loss, &(rg_rmsprop_opts){.lr = 1, .alpha = v})
                        : rows[i].which == 1 ? rg_adagrad(p.loss, &(rg_adagrad_opts){.lr = 1, .lr_decay = v})
                        : rows[i].which == 2 ? rg_adadelta(p.loss, &(rg_adadelta_opts){.rho = v})
                                             : rg_lion(p.loss, &(rg_lion_opts){.lr = 1, .beta2 = v});
        cr_assert(!step && strstr(rg_graph_error(p.g), rows[i].message), "%s", rg_graph_error(p.g));
        rg_graph_free(p.g);
    }
}
