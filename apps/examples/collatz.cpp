// A loop: numbers go round until they are 1, halved when they are even, tripled and increased when they are odd.
//   dataflow run collatz [--numbers N]
// Prints how many steps each number took that took more than all that arrived before it.
#include <dataflow/dataflow.hpp>

using namespace dataflow;

namespace {

struct walk {
  std::int64_t start, now, steps;
};

} // namespace
DATAFLOW_RECORD(walk, start, now, steps);

namespace {

walk step(const walk& w) {
  if (w.now == 1) return w;
  return {w.start, w.now % 2 == 0 ? w.now / 2 : 3 * w.now + 1, w.steps + 1};
}

} // namespace

DATAFLOW_JOB(collatz) {
  const auto walks = env.sequence(1, args.get("numbers", std::int64_t{10'000})).map([](std::int64_t n) {
    return walk{n, n, 0};
  });
  const auto ended = walks.iterate([](const auto& loop) {
    auto stepped = loop.map(step);
    return std::pair{stepped.filter([](const walk& w) { return w.now != 1; }),
                     stepped.filter([](const walk& w) { return w.now == 1; })};
  });
  ended.global()
      .flat_map([most = std::int64_t{-1}](const walk& w, collector<std::string>& out) mutable {
        if (w.steps <= most) return;
        most = w.steps;
        out.collect(std::to_string(w.start) + " takes " + std::to_string(w.steps) + " steps");
      })
      .set_parallelism(1)
      .print()
      .set_parallelism(1);
}
