// onednn_elementwise.cc - functions of elements and of rows with oneDNN.
#include "../elementwise.h"
#include "onednn.hpp"

#include <cstring>

using dnnl::algorithm;
using dnnl::memory;

const char *elementwise_onednn(const void *row, int threads, contestant *out)
{
    static const struct {
        const char *name;
        algorithm what;
    } functions[] = {{"exp", algorithm::eltwise_exp},
                     {"tanh", algorithm::eltwise_tanh},
                     {"sigmoid", algorithm::eltwise_logistic},
                     {"log", algorithm::eltwise_log},
                     {"gelu", algorithm::eltwise_gelu_erf}};
    const elementwise_row &r = *static_cast<const elementwise_row *>(row);
    for (const auto &f : functions)
        if (std::strcmp(f.name, r.function) == 0)
            return onednn::start(threads, out, [&] {
                const memory::desc layout({r.n}, memory::data_type::f32, memory::format_tag::a);
                const dnnl::eltwise_forward::primitive_desc d(
                    {dnnl::prop_kind::forward_inference, f.what, layout, 0, 0}, onednn::engine());
                return onednn::Work{
                    {dnnl::eltwise_forward(d),
                     {{DNNL_ARG_SRC, onednn::filled(layout, f.what == algorithm::eltwise_log ? 0.1f : -2, 2)},
                      {DNNL_ARG_DST, onednn::filled(layout)}}}};
            });
    return BENCH_NOT_MEANT;
}

const char *rows_onednn(const void *row, int threads, contestant *out)
{
    const rows_row &r = *static_cast<const rows_row *>(row);
    return onednn::start(threads, out, [&] {
        const memory::desc layout({r.rows, r.cols}, memory::data_type::f32, memory::format_tag::ab),
            line({r.cols}, memory::data_type::f32, memory::format_tag::a);
        onednn::Arguments arguments = {{DNNL_ARG_SRC, onednn::filled(layout, -2, 2)},
                                       {DNNL_ARG_DST, onednn::filled(layout)}};
        if (std::strcmp(r.function, "softmax") == 0) {
            const dnnl::softmax_forward::primitive_desc d({dnnl::prop_kind::forward_inference, layout, 1},
                                                          onednn::engine());
            return onednn::Work{{dnnl::softmax_forward(d), arguments}};
        }
        using dnnl::normalization_flags;
        const dnnl::layer_normalization_forward::primitive_desc d(
            {dnnl::prop_kind::forward_inference, layout, 1e-5f,
             normalization_flags::use_scale | normalization_flags::use_shift},
            onednn::engine());
        arguments[DNNL_ARG_SCALE] = onednn::filled(line);
        arguments[DNNL_ARG_SHIFT] = onednn::filled(line);
        return onednn::Work{{dnnl::layer_normalization_forward(d), arguments}};
    });
}
