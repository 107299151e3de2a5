// onednn.cc - primitives of oneDNN as a contestant.
#include "onednn.hpp"

#include <omp.h>

#include <cstdio>

namespace onednn
{

namespace
{

struct State {
    int threads;
    Work work;
};

double run(void *state, int64_t steps)
{
    const State &s = *static_cast<State *>(state);
    omp_set_num_threads(s.threads);
    try {
        const double start = seconds_now();
        for (int64_t i = 0; i < steps; i++)
            for (const auto &part : s.work)
                part.first.execute(stream(), part.second);
        stream().wait();
        return seconds_now() - start;
    } catch (const dnnl::error &) {
        return -1;
    }
}

void finish(void *state)
{
    delete static_cast<State *>(state);
}

} // namespace

dnnl::engine &engine()
{
    static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
    return cpu;
}

dnnl::stream &stream()
{
    static dnnl::stream s(engine());
    return s;
}

dnnl::memory filled(const dnnl::memory::desc &layout, float low, float high)
{
    dnnl::memory m(layout, engine());
    float *p = static_cast<float *>(m.get_data_handle());
    for (size_t i = 0; i < layout.get_size() / sizeof(float); i++)
        p[i] = low + (high - low) * (float(i * 7919 % 2003) / 2003.0f);
    return m;
}

dnnl::memory reordered(dnnl::memory from, const dnnl::memory::desc &layout)
{
    if (layout == from.get_desc())
        return from;
    dnnl::memory to(layout, engine());
    dnnl::reorder(from, to).execute(stream(), from, to);
    stream().wait();
    return to;
}

const char *start(int threads, contestant *out, const std::function<Work()> &make)
{
    omp_set_num_threads(threads);
    try {
        State *s = new State{threads, make()};
        if (run(s, 1) >= 0) {
            *out = contestant{run, finish, s};
            return nullptr;
        }
        delete s;
    } catch (const dnnl::error &e) {
        std::fprintf(stderr, "bench: oneDNN: %s\n", e.what());
    }
    return "oneDNN: an error, see above";
}

} // namespace onednn
