// cxx_program.cc - the public headers in C++17: lists and shapes from initializer lists, options as named variables,
// builders inside of namespaces, templates and lambdas. Trains y = 2 x0 - x1 and checks what it learnt.
#include <retrograde/retrograde.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <memory>
#include <vector>

namespace
{

struct FreeGraph {
    void operator()(rg_graph *g) const
    {
        rg_graph_free(g);
    }
};
struct FreePlan {
    void operator()(rg_plan *p) const
    {
        rg_plan_free(p);
    }
};

template <typename... Terms> rg_node *sum_of(rg_node *first, Terms... rest)
{
    rg_node *total = first;
    for (rg_node *term : std::vector<rg_node *>{rest...})
        total = rg_add(total, term);
    return total;
}

int fail(const char *what, const char *why)
{
    std::fprintf(stderr, "cxx_program: %s: %s\n", what, why ? why : "no reason given");
    return 1;
}

} // namespace

int main()
{
    const std::unique_ptr<rg_graph, FreeGraph> graph(rg_graph_new(nullptr));
    rg_graph *g = graph.get();

    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "batch"), 2));
    rg_node *y = rg_input(g, "y", RG_F32, RG_SHAPE(rg_dim(g, "batch"), 1));
    rg_param_opts init = {};
    init.init = RG_ZEROS;
    rg_node *weight = rg_param(g, "weight", RG_F32, RG_SHAPE(2, 1), &init);
    rg_node *bias = rg_param(g, "bias", RG_F32, RG_SHAPE(1), &init);

    const std::function<rg_node *(rg_node *)> predict = [=](rg_node *in) {
        return sum_of(rg_matmul(in, weight), bias);
    };
    rg_node *error = rg_sub(predict(x), y);
    rg_node *loss = rg_mean(rg_square(error), RG_ALL_AXES, false);
    rg_node *spread = rg_sum(rg_transpose(error, RG_AXES(1, 0)), RG_AXES(0, -1), false);
    const rg_nodes gradients = rg_grad(loss, RG_NODES(weight, bias));

    rg_sgd_opts descent = {};
    descent.lr = 0.2;
    rg_node *step = rg_sgd(loss, &descent);

    /* A list that outlives its expression has a name: RG_NODES would dangle. */
    rg_node *const named[] = {spread, loss};
    rg_fit_opts fit = {};
    fit.metrics = rg_nodes{named, 2};
    if (fit.metrics.n != 2 || rg_at(fit.metrics, 1) != loss)
        return fail("a named list", "not what it was made of");

    rg_plan_opts options = {};
    options.threads = 1;
    const std::unique_ptr<rg_plan, FreePlan> plan(
        rg_compile(g, RG_NODES(loss, step, spread, rg_at(gradients, 0)), &options));
    if (!plan)
        return fail("compile", rg_graph_error(g));

    const std::array<float, 8> points = {1, 0, 0, 1, -1, 1, 1, 1};
    const std::array<float, 4> targets = {2, -1, -3, 1};
    if (rg_bind_shape(plan.get(), x, points.data(), RG_SHAPE(4, 2)) != RG_OK ||
        rg_bind_shape(plan.get(), y, targets.data(), RG_SHAPE(4, 1)) != RG_OK)
        return fail("bind", rg_last_error());
    for (int i = 0; i < 200; i++)
        if (rg_run(plan.get()) != RG_OK)
            return fail("run", rg_last_error());

    const rg_tensor learnt = rg_value(weight);
    const float *w = static_cast<const float *>(learnt.data);
    if (!w || std::fabs(w[0] - 2) > 1e-2f || std::fabs(w[1] + 1) > 1e-2f)
        return fail("weights", "not 2 and -1");
    if (!rg_shape_equal(rg_shape_of(spread), RG_SCALAR) || !rg_shape_equal(learnt.shape, RG_SHAPE(2, 1)))
        return fail("shapes", "not as written");

    rg_add(x, rg_input(g, "seven", RG_F32, RG_SHAPE(7))); /* [batch, 2] and [7] do not broadcast */
    if (!rg_graph_error(g))
        return fail("an addition that cannot be", "no error");
    rg_graph_clear_error(g);
    return 0;
}
