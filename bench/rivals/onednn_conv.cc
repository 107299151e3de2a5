// onednn_conv.cc - convolutions and their gradients with oneDNN, in three layouts.
#include "../conv.h"
#include "onednn.hpp"

using dnnl::memory;
using tag = memory::format_tag;

namespace
{

constexpr auto f32 = memory::data_type::f32;
constexpr auto direct = dnnl::algorithm::convolution_direct;

// Numbers in a layout that may be opaque: made in a plain one and brought there.
memory numbers(const memory::dims &dims, tag plain, const memory::desc &layout)
{
    return onednn::reordered(onednn::filled(memory::desc(dims, f32, plain)), layout);
}

const char *start(const void *row, int threads, contestant *out, tag images, bool weights_too)
{
    const conv_row &r = *static_cast<const conv_row *>(row);
    return onednn::start(threads, out, [&]() -> onednn::Work {
        const int size = conv_size(&r);
        const bool grouped = r.groups > 1;
        const memory::dims xs{r.batch, r.channels, r.size, r.size}, ys{r.batch, r.outputs, size, size};
        const memory::dims ws =
            grouped ? memory::dims{r.groups, r.outputs / r.groups, r.channels / r.groups, r.kernel, r.kernel}
                    : memory::dims{r.outputs, r.channels, r.kernel, r.kernel};
        const tag plain = grouped ? tag::goihw : tag::oihw;
        const memory::dims stride{r.stride, r.stride}, pad{r.pad, r.pad};
        const memory::desc x(xs, f32, images), y(ys, f32, images), w(ws, f32, weights_too ? plain : tag::any);
        const dnnl::convolution_forward::primitive_desc forward(
            {dnnl::prop_kind::forward_training, direct, x, w, y, stride, pad, pad}, onednn::engine());
        if (r.pass == FORWARD)
            return {{dnnl::convolution_forward(forward),
                     {{DNNL_ARG_SRC, numbers(xs, tag::nchw, forward.src_desc())},
                      {DNNL_ARG_WEIGHTS, numbers(ws, plain, forward.weights_desc())},
                      {DNNL_ARG_DST, memory(forward.dst_desc(), onednn::engine())}}}};
        if (r.pass == BACKWARD_DATA) {
            const dnnl::convolution_backward_data::primitive_desc data({direct, x, w, y, stride, pad, pad},
                                                                       onednn::engine(), forward);
            return {{dnnl::convolution_backward_data(data),
                     {{DNNL_ARG_DIFF_DST, numbers(ys, tag::nchw, data.diff_dst_desc())},
                      {DNNL_ARG_WEIGHTS, numbers(ws, plain, data.weights_desc())},
                      {DNNL_ARG_DIFF_SRC, memory(data.diff_src_desc(), onednn::engine())}}}};
        }
        const dnnl::convolution_backward_weights::primitive_desc weights({direct, x, w, y, stride, pad, pad},
                                                                         onednn::engine(), forward);
        return {{dnnl::convolution_backward_weights(weights),
                 {{DNNL_ARG_SRC, numbers(xs, tag::nchw, weights.src_desc())},
                  {DNNL_ARG_DIFF_DST, numbers(ys, tag::nchw, weights.diff_dst_desc())},
                  {DNNL_ARG_DIFF_WEIGHTS, memory(weights.diff_weights_desc(), onednn::engine())}}}};
    });
}

} // namespace

const char *conv_onednn_any(const void *row, int threads, contestant *out)
{
    return start(row, threads, out, tag::any, false);
}

const char *conv_onednn_pixels(const void *row, int threads, contestant *out)
{
    return start(row, threads, out, tag::nhwc, false);
}

const char *conv_onednn_planes(const void *row, int threads, contestant *out)
{
    return start(row, threads, out, tag::nchw, true);
}
