// onednn_gemm.cc - matrix products with oneDNN: operands as they come, and B packed beforehand.
#include "../gemm.h"
#include "onednn.hpp"

#include <dnnl.h>

#include <omp.h>

#include <cstdlib>

using dnnl::memory;

namespace
{

struct Product {
    const gemm_row *row;
    int threads;
    float *a, *b, *c;
};

double run(void *state, int64_t steps)
{
    const Product &p = *static_cast<Product *>(state);
    const gemm_row &r = *p.row;
    omp_set_num_threads(p.threads);
    const double start = seconds_now();
    for (int64_t i = 0; i < steps; i++)
        if (dnnl_sgemm(r.ta ? 'T' : 'N', r.tb ? 'T' : 'N', r.m, r.n, r.k, 1, p.a, r.ta ? r.m : r.k, p.b,
                       r.tb ? r.k : r.n, 0, p.c, r.n) != dnnl_success)
            return -1;
    return seconds_now() - start;
}

void finish(void *state)
{
    Product *p = static_cast<Product *>(state);
    std::free(p->a);
    std::free(p->b);
    std::free(p->c);
    delete p;
}

} // namespace

const char *gemm_onednn(const void *row, int threads, contestant *out)
{
    const gemm_row &r = *static_cast<const gemm_row *>(row);
    Product *p = new Product{&r, threads, bench_floats(int64_t(r.m) * r.k, -0.5f, 0.5f),
                             bench_floats(int64_t(r.k) * r.n, -0.5f, 0.5f), bench_floats(int64_t(r.m) * r.n, 0, 0)};
    if (!p->a || !p->b || !p->c) {
        finish(p);
        return "oneDNN: out of memory";
    }
    *out = contestant{run, finish, p};
    return nullptr;
}

const char *gemm_onednn_packed(const void *row, int threads, contestant *out)
{
    const gemm_row &r = *static_cast<const gemm_row *>(row);
    return onednn::start(threads, out, [&] {
        using tag = memory::format_tag;
        const auto f32 = memory::data_type::f32;
        const memory::desc a({r.m, r.k}, f32, r.ta ? tag::ba : tag::ab), any({r.k, r.n}, f32, tag::any),
            b({r.k, r.n}, f32, r.tb ? tag::ba : tag::ab), c({r.m, r.n}, f32, tag::ab);
        const dnnl::matmul::primitive_desc product(dnnl::matmul::desc(a, any, c), onednn::engine());
        return onednn::Work{{dnnl::matmul(product),
                             {{DNNL_ARG_SRC, onednn::filled(a)},
                              {DNNL_ARG_WEIGHTS, onednn::reordered(onednn::filled(b), product.weights_desc())},
                              {DNNL_ARG_DST, onednn::filled(c)}}}};
    });
}
