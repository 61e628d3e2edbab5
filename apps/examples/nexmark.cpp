// Nexmark-shaped queries over generated auctions, persons and bids.
//   dataflow run nexmark [--query q0|q1|q2|q3|q5|q7|q8] [--events N]
// Counts what the query puts out, and adds it up: see "Accumulator Results" at the end.
#include <apps/examples/nexmark/queries.hpp>

using namespace dataflow;

namespace {

/// Adds up and counts what arrives, in accumulators of the job's result.
class checksum {
public:
  void open(runtime_context& context) {
    outputs_ = &context.accumulator_of("outputs");
    sum_ = &context.accumulator_of("checksum");
  }
  void operator()(std::int64_t value) {
    outputs_->add();
    sum_->add(value);
  }

private:
  accumulator *outputs_ = nullptr, *sum_ = nullptr;
};

} // namespace

DATAFLOW_JOB(nexmark) {
  const auto query = args.get("query", "q5");
  const auto events = args.get("events", std::uint64_t{1'000'000});
  using pipeline = data_stream<std::int64_t> (*)(environment&, std::uint64_t);
  static constexpr std::pair<std::string_view, pipeline> queries[] = {
      {"q0", nexmark::q0}, {"q1", nexmark::q1}, {"q2", nexmark::q2}, {"q3", nexmark::q3},
      {"q5", nexmark::q5}, {"q7", nexmark::q7}, {"q8", nexmark::q8}};
  for (auto [name, build] : queries)
    if (name == query) return (void)build(env, events).sink_to(checksum{}).name("checksum");
  throw error{errc::invalid_argument, "there is no query \"" + query + "\"", "use one of q0, q1, q2, q3, q5, q7, q8"};
}
