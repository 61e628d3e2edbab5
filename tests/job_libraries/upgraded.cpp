// Versions of one job, for upgrades: counts, each published to a file once.
//   1, 2: the second one has another field in its state
//   3: its state does not fit
//   4: fails of every record, before it makes a checkpoint
#include <dataflow/connectors/file_sink.hpp>
#include <dataflow/dataflow.hpp>

#include <cstdio>
#include <stdexcept>

namespace {
#if VERSION == 3
using number = std::int32_t;
#else
using number = std::int64_t;
#endif
} // namespace

struct counted {
  std::int64_t key = 0;
#if VERSION == 2
  std::int64_t added = 0;
#endif
  number count = 0;
};
#if VERSION == 2
DATAFLOW_RECORD(counted, key, added, count);
#else
DATAFLOW_RECORD(counted, key, count);
#endif

DATAFLOW_JOB(upgraded) {
  using namespace dataflow;
  env.configure("pipeline.name", "version " + std::to_string(VERSION));
  env.enable_checkpointing(VERSION == 4 ? std::chrono::milliseconds{3'600'000} : std::chrono::milliseconds{20});
  env.configure("execution.checkpointing.dir", args.require("checkpoints"));
  env.generate(
         [](std::int64_t i) {
           counted c;
           c.key = i % 7;
           c.count = 1;
           return c;
         },
         {.count = args.get("records", std::uint64_t{30'000}), .records_per_second = args.get("rate", 20'000.0)})
      .uid("numbers")
      .key_by(&counted::key)
      .sum(&counted::count)
      .uid("counts")
      .map([n = 0](const counted& s) mutable {
        if (VERSION == 4) throw std::runtime_error{"this version is broken"};
        if (++n % 500 == 0) std::fprintf(stderr, "version %d: %d records\n", VERSION, n);
        return s;
      })
      .sink_to(file_sink<counted>::row_format(args.require("output"),
                                              [](const counted& s, std::string& out) {
                                                out += std::to_string(s.key) + "," + std::to_string(s.count) + "\n";
                                              })
                   .without_buckets()
                   .part_file("counts", ".csv")
                   .deliver(delivery_guarantee::exactly_once))
      .uid("files");
}
