// Running sums of generated numbers by key: the load of the benchmarks as a job to watch.
//   dataflow run running_sum [--records N] [--keys N] [--rate RECORDS_PER_SECOND]
#include <dataflow/dataflow.hpp>

using namespace dataflow;

namespace {

struct amount {
  std::int64_t key;
  std::int64_t value;
};

} // namespace
DATAFLOW_RECORD(amount, key, value);

DATAFLOW_JOB(running_sum) {
  const auto records = args.get("records", std::int64_t{100'000'000});
  const auto keys = args.get("keys", std::int64_t{10'000});
  const auto rate = args.get("rate", 0.0);
  env.sequence(1, records, rate)
      .map([keys](std::int64_t n) {
        return amount{n % keys, n};
      })
      .key_by(&amount::key)
      .sum(&amount::value)
      .discard();
}
