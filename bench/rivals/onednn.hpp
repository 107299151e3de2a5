// onednn.hpp - primitives of oneDNN as a contestant.
#ifndef BENCH_ONEDNN_HPP
#define BENCH_ONEDNN_HPP

#include "../bench.h"

#include <oneapi/dnnl/dnnl.hpp>

#include <functional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace onednn
{

using Arguments = std::unordered_map<int, dnnl::memory>;
using Work = std::vector<std::pair<dnnl::primitive, Arguments>>;

dnnl::engine &engine();
dnnl::stream &stream();

// Memory of a layout, filled with numbers from `low` to `high`.
dnnl::memory filled(const dnnl::memory::desc &layout, float low = -0.5f, float high = 0.5f);
// The same values in another layout; needed for opaque ones, which cannot be filled.
dnnl::memory reordered(dnnl::memory from, const dnnl::memory::desc &layout);

// The work that `make` returns, built with that number of threads, performed in order as a step.
const char *start(int threads, contestant *out, const std::function<Work()> &make);

} // namespace onednn

#endif
