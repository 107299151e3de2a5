// onednn_recurrent.cc - LSTM and GRU with oneDNN: forward for training, then backward, weights in the layouts it likes
// best.
#include "../recurrent.h"
#include "onednn.hpp"

using dnnl::memory;
using tag = memory::format_tag;

namespace
{

memory weights(const memory::dims &sizes, const memory::desc &layout)
{
    return onednn::reordered(onednn::filled({sizes, memory::data_type::f32, tag::ldigo}, -0.05f, 0.05f), layout);
}

// What forward and backward share is one memory each; the backward pass adds its own.
template <typename Forward, typename Backward>
onednn::Work layer(const recurrent &r, int gates, const typename Forward::primitive_desc &fd,
                   const typename Backward::primitive_desc &bd, bool cell)
{
    const memory::dims in{1, 1, r.inputs, gates, r.hidden}, again{1, 1, r.hidden, gates, r.hidden};
    onednn::Arguments f{{DNNL_ARG_SRC_LAYER, onednn::filled(fd.src_layer_desc())},
                        {DNNL_ARG_SRC_ITER, onednn::filled(fd.src_iter_desc())},
                        {DNNL_ARG_WEIGHTS_LAYER, weights(in, fd.weights_layer_desc())},
                        {DNNL_ARG_WEIGHTS_ITER, weights(again, fd.weights_iter_desc())},
                        {DNNL_ARG_BIAS, onednn::filled(fd.bias_desc())},
                        {DNNL_ARG_DST_LAYER, onednn::filled(fd.dst_layer_desc())},
                        {DNNL_ARG_DST_ITER, onednn::filled(fd.dst_iter_desc())},
                        {DNNL_ARG_WORKSPACE, memory(fd.workspace_desc(), onednn::engine())}};
    onednn::Arguments state{{DNNL_ARG_SRC_ITER_C, onednn::filled(fd.src_iter_desc())},
                            {DNNL_ARG_DST_ITER_C, onednn::filled(fd.dst_iter_desc())}};
    if (cell)
        f.insert(state.begin(), state.end());
    onednn::Arguments b = f;
    b[DNNL_ARG_WEIGHTS_LAYER] = weights(in, bd.weights_layer_desc());
    b[DNNL_ARG_WEIGHTS_ITER] = weights(again, bd.weights_iter_desc());
    b[DNNL_ARG_DIFF_SRC_LAYER] = onednn::filled(bd.diff_src_layer_desc());
    b[DNNL_ARG_DIFF_SRC_ITER] = onednn::filled(bd.diff_src_iter_desc());
    b[DNNL_ARG_DIFF_WEIGHTS_LAYER] = memory(bd.diff_weights_layer_desc(), onednn::engine());
    b[DNNL_ARG_DIFF_WEIGHTS_ITER] = memory(bd.diff_weights_iter_desc(), onednn::engine());
    b[DNNL_ARG_DIFF_BIAS] = onednn::filled(bd.diff_bias_desc());
    b[DNNL_ARG_DIFF_DST_LAYER] = onednn::filled(bd.diff_dst_layer_desc());
    b[DNNL_ARG_DIFF_DST_ITER] = onednn::filled(bd.diff_dst_iter_desc());
    if (cell) {
        b[DNNL_ARG_DIFF_SRC_ITER_C] = onednn::filled(bd.diff_src_iter_desc());
        b[DNNL_ARG_DIFF_DST_ITER_C] = onednn::filled(bd.diff_dst_iter_desc());
    }
    return {{Forward(fd), f}, {Backward(bd), b}};
}

// GRU and its variant take the same arguments.
template <typename Forward, typename Backward> onednn::Work gru(const recurrent &r, int biases)
{
    const auto f32 = memory::data_type::f32;
    const memory::desc src({r.steps, r.batch, r.inputs}, f32, tag::tnc),
        dst({r.steps, r.batch, r.hidden}, f32, tag::tnc), iter({1, 1, r.batch, r.hidden}, f32, tag::ldnc),
        in({1, 1, r.inputs, 3, r.hidden}, f32, tag::any), again({1, 1, r.hidden, 3, r.hidden}, f32, tag::any),
        bias({1, 1, biases, r.hidden}, f32, tag::ldgo);
    const auto way = dnnl::rnn_direction::unidirectional_left2right;
    const typename Forward::primitive_desc fd(
        {dnnl::prop_kind::forward_training, way, src, iter, in, again, bias, dst, iter}, onednn::engine());
    const typename Backward::primitive_desc bd(
        {dnnl::prop_kind::backward, way, src, iter, in, again, bias, dst, iter, src, iter, in, again, bias, dst, iter},
        onednn::engine(), fd);
    return layer<Forward, Backward>(r, 3, fd, bd, false);
}

onednn::Work lstm(const recurrent &r)
{
    const auto f32 = memory::data_type::f32;
    const memory::desc src({r.steps, r.batch, r.inputs}, f32, tag::tnc),
        dst({r.steps, r.batch, r.hidden}, f32, tag::tnc), iter({1, 1, r.batch, r.hidden}, f32, tag::ldnc),
        in({1, 1, r.inputs, 4, r.hidden}, f32, tag::any), again({1, 1, r.hidden, 4, r.hidden}, f32, tag::any),
        bias({1, 1, 4, r.hidden}, f32, tag::ldgo);
    const auto way = dnnl::rnn_direction::unidirectional_left2right;
    const dnnl::lstm_forward::primitive_desc fd(
        {dnnl::prop_kind::forward_training, way, src, iter, iter, in, again, bias, dst, iter, iter}, onednn::engine());
    const dnnl::lstm_backward::primitive_desc bd({dnnl::prop_kind::backward,
                                                  way,
                                                  src,
                                                  iter,
                                                  iter,
                                                  in,
                                                  again,
                                                  bias,
                                                  dst,
                                                  iter,
                                                  iter,
                                                  src,
                                                  iter,
                                                  iter,
                                                  in,
                                                  again,
                                                  bias,
                                                  dst,
                                                  iter,
                                                  iter},
                                                 onednn::engine(), fd);
    return layer<dnnl::lstm_forward, dnnl::lstm_backward>(r, 4, fd, bd, true);
}

} // namespace

const char *recurrent_onednn(const void *row, int threads, contestant *out)
{
    const recurrent &r = *static_cast<const recurrent *>(row);
    return onednn::start(threads, out, [&] {
        return r.like == LSTM  ? lstm(r)
               : r.like == GRU ? gru<dnnl::gru_forward, dnnl::gru_backward>(r, 3)
                               : gru<dnnl::lbr_gru_forward, dnnl::lbr_gru_backward>(r, 4);
    });
}
