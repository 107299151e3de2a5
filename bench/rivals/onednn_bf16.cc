// onednn_bf16.cc - products of bf16 matrices with oneDNN: operands as they come, and B packed beforehand.
#include "../bf16.h"
#include "onednn.hpp"

using dnnl::memory;
using tag = memory::format_tag;

namespace
{

// The values in bf16; the frame fills memory of f32 alone.
memory rounded(const memory::desc &layout, const memory::dims &sizes, tag order)
{
    return onednn::reordered(onednn::filled({sizes, memory::data_type::f32, order}), layout);
}

const char *start(const bf16_row &r, bool packed, int threads, contestant *out)
{
    if (r.f32_rows)
        return BENCH_NOT_MEANT;
    return onednn::start(threads, out, [&] {
        const auto bf16 = memory::data_type::bf16;
        const tag order = r.tb ? tag::ba : tag::ab;
        const memory::desc a({r.m, r.k}, bf16, tag::ab), b({r.k, r.n}, bf16, packed ? tag::any : order),
            c({r.m, r.n}, memory::data_type::f32, tag::ab);
        const dnnl::matmul::primitive_desc product(dnnl::matmul::desc(a, b, c), onednn::engine());
        return onednn::Work{{dnnl::matmul(product),
                             {{DNNL_ARG_SRC, rounded(a, {r.m, r.k}, tag::ab)},
                              {DNNL_ARG_WEIGHTS, rounded(product.weights_desc(), {r.k, r.n}, order)},
                              {DNNL_ARG_DST, onednn::filled(c)}}}};
    });
}

} // namespace

const char *bf16_onednn(const void *row, int threads, contestant *out)
{
    return start(*static_cast<const bf16_row *>(row), false, threads, out);
}

const char *bf16_onednn_packed(const void *row, int threads, contestant *out)
{
    return start(*static_cast<const bf16_row *>(row), true, threads, out);
}
