// SPDX-License-Identifier: Apache-2.0
// bench.cc: the C side of Google Benchmark; see bench.h.
#include "perf/bench.h"

#include <benchmark/benchmark.h>

static benchmark::State *of(struct bench_state *state)
{
	return reinterpret_cast<benchmark::State *>(state);
}

static const benchmark::State *of(const struct bench_state *state)
{
	return reinterpret_cast<const benchmark::State *>(state);
}

extern "C" void bench_register(const char *name, void (*fn)(struct bench_state *),
			       const int64_t *args, uint32_t arg_count)
{
	auto *b = benchmark::RegisterBenchmark(name, [fn](benchmark::State &state) {
		fn(reinterpret_cast<struct bench_state *>(&state));
	});

	for (uint32_t i = 0; i < arg_count; i++)
		b->Arg(args[i]);
}

extern "C" int bench_run_all(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 1;
	benchmark::RunSpecifiedBenchmarks();
	benchmark::Shutdown();
	return 0;
}

extern "C" bool bench_keep_running(struct bench_state *state)
{
	return of(state)->KeepRunning();
}

// The library refuses range(0) of a benchmark without arguments only in its debug build.
extern "C" int64_t bench_arg(const struct bench_state *state)
{
	return of(state)->range(0);
}

extern "C" uint64_t bench_iterations(const struct bench_state *state)
{
	return static_cast<uint64_t>(of(state)->iterations());
}

extern "C" void bench_bytes(struct bench_state *state, uint64_t bytes)
{
	of(state)->SetBytesProcessed(static_cast<int64_t>(bytes));
}

extern "C" void bench_items(struct bench_state *state, uint64_t items)
{
	of(state)->SetItemsProcessed(static_cast<int64_t>(items));
}

extern "C" void bench_counter(struct bench_state *state, const char *name, double per_iteration)
{
	of(state)->counters[name] = benchmark::Counter(per_iteration);
}

extern "C" void bench_label(struct bench_state *state, const char *label)
{
	of(state)->SetLabel(label);
}

extern "C" void bench_pause(struct bench_state *state)
{
	of(state)->PauseTiming();
}

extern "C" void bench_resume(struct bench_state *state)
{
	of(state)->ResumeTiming();
}

extern "C" void bench_skip(struct bench_state *state, const char *why)
{
	of(state)->SkipWithError(why);
}
