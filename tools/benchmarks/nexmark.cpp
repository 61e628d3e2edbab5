#include <dataflow/actors/client/embedded_cluster.hpp>

#include <apps/examples/nexmark/queries.hpp>
#include <functional>

#include "measure.hpp"
#include "nexmark_hand.hpp"
#include "sum_of_job.hpp"

namespace bench {

using namespace dataflow;

namespace {

struct query {
  const char* name;
  query_result (*hand)(std::uint64_t);
  data_stream<std::int64_t> (*pipeline)(environment&, std::uint64_t);
};

} // namespace

/// At parallelism 2 two generators share the events, so that the checksums differ from the loop's.
std::vector<figure> nexmark_queries(const options& o) {
  static constexpr query queries[] = {
      {"Nexmark q0 bids through", hand_q0, nexmark::q0},
      {"Nexmark q1 price converted", hand_q1, nexmark::q1},
      {"Nexmark q2 some auctions", hand_q2, nexmark::q2},
      {"Nexmark q3 incremental join", hand_q3, nexmark::q3},
      {"Nexmark q5 hot auctions, sliding 10 s / 2 s", hand_q5, nexmark::q5},
      {"Nexmark q7 highest bid, tumbling 10 s", hand_q7, nexmark::q7},
      {"Nexmark q8 new sellers, window join", hand_q8, nexmark::q8},
  };
  auto cluster = std::make_shared<actors::embedded_cluster>(o.settings);
  const auto events = static_cast<std::uint64_t>(25e6 * o.scale);
  std::vector<figure> figures;
  for (std::uint32_t p : {1u, 2u})
    for (auto& q : queries) {
      if (std::string{q.name}.find(o.only) == std::string::npos) continue;
      figures.push_back(measure_pairs(
          o, q.name, p, events, p == 1, [&] { return q.hand(events).checksum; },
          [&] {
            return sum_of_job(cluster, p, std::identity{}, [&](environment& env) { return q.pipeline(env, events); });
          }));
      print(figures.back());
    }
  return figures;
}

} // namespace bench
