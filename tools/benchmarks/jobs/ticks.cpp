// The job of `tools/bench --cluster`: keyed counts at a steady rate, each printed by the task manager that made it.
#include <dataflow/dataflow.hpp>

struct tick {
  std::int64_t key = 0, count = 0;
};
DATAFLOW_RECORD(tick, key, count);

DATAFLOW_JOB(ticks) {
  using namespace dataflow;
  env.enable_checkpointing(args.get("checkpoint-interval", std::chrono::milliseconds{100}));
  if (const auto dir = args.get("checkpoints", std::string{}); !dir.empty())
    env.configure("execution.checkpointing.dir", dir);
  env.generate(
         [keys = args.get("keys", std::int64_t{64})](std::int64_t i) {
           return tick{i % keys, 1};
         },
         {.count = args.get("records", std::uint64_t{1'000'000'000}), .records_per_second = args.get("rate", 1000.0)})
      .uid("numbers")
      .key_by(&tick::key)
      .sum(&tick::count)
      .uid("counts")
      .print("tick");
}
