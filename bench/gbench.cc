// gbench.cc - the cases as benchmarks of Google Benchmark, whose times the cases take themselves.
#include "gbench.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace
{

// Keeps the time of a step of every round.
class Rounds : public benchmark::BenchmarkReporter
{
  public:
    std::map<std::string, std::vector<double>> seconds;

    bool ReportContext(const Context &) override
    {
        return true;
    }

    void ReportRuns(const std::vector<Run> &runs) override
    {
        for (const Run &run : runs)
            if (run.run_type == Run::RT_Iteration && !run.error_occurred)
                seconds[run.run_name.function_name].push_back(run.real_accumulated_time / double(run.iterations));
    }
};

void perform(benchmark::State &state, const gbench_case *c)
{
    const auto steps = int64_t(state.max_iterations);
    while (state.KeepRunningBatch(steps)) {
        const double seconds = c->run(c->state, steps);
        if (seconds < 0)
            state.SkipWithError("failed");
        state.SetIterationTime(seconds);
    }
}

void initialize()
{
    char name[] = "bench", in_turns[] = "--benchmark_enable_random_interleaving=true";
    char *arguments[] = {name, in_turns, nullptr};
    int count = 2;
    benchmark::Initialize(&count, arguments);
}

} // namespace

void gbench_measure(gbench_case *cases, size_t n, int rounds, double round_seconds)
{
    static const bool initialized = (initialize(), true);
    (void)initialized;
    benchmark::ClearRegisteredBenchmarks();
    for (size_t i = 0; i < n; i++)
        benchmark::RegisterBenchmark(cases[i].name, perform, &cases[i])
            ->UseManualTime()
            ->MinTime(round_seconds)
            ->Repetitions(rounds);
    Rounds reporter;
    benchmark::RunSpecifiedBenchmarks(&reporter);
    for (size_t i = 0; i < n; i++) {
        std::vector<double> &times = reporter.seconds[cases[i].name];
        std::sort(times.begin(), times.end());
        const bool complete = times.size() == size_t(rounds);
        cases[i].lowest = complete ? times.front() : -1;
        cases[i].seconds = complete ? times[times.size() / 2] : -1;
    }
}
