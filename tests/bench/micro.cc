// The small benchmarks' main program; --help lists what can be chosen.

#include <benchmark/benchmark.h>

#include "common/tensor/device.h"
#include "tests/bench/startup.h"

int main(int argc, char** argv) {
  mdgan::bench::start_like_the_programs(argv);
  mdgan::set_compute_threads(1);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
