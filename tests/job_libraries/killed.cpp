// A job that is killed and started again: counts, each published to a file once, and how far it is said as it goes.
#include <dataflow/connectors/file_sink.hpp>
#include <dataflow/dataflow.hpp>

#include <cstdio>

struct counted {
  std::int64_t key = 0, count = 0;
};
DATAFLOW_RECORD(counted, key, count);

DATAFLOW_JOB(counts_to_files) {
  using namespace dataflow;
  env.enable_checkpointing(std::chrono::milliseconds{20});
  env.configure("execution.checkpointing.dir", args.require("checkpoints"));
  env.generate(
         [](std::int64_t i) {
           return counted{i % 7, 1};
         },
         {.count = args.get("records", std::uint64_t{30'000}), .records_per_second = args.get("rate", 20'000.0)})
      .uid("numbers")
      .key_by(&counted::key)
      .sum(&counted::count)
      .uid("counts")
      .map([n = 0](const counted& s) mutable {
        if (++n % 500 == 0) std::fprintf(stderr, "%d records in this run\n", n);
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
