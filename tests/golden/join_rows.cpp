// The interval joins of the operator table.
#include <dataflow/api/interval_join.hpp>

#include <chrono>

#include "operator_table.hpp"

namespace dataflow::test::golden {

namespace {

using namespace std::chrono_literals;

class id_pairs final : public process_join_function<event, event, std::string> {
public:
  void process(const event& l, const event& r, context& ctx, collector<std::string>& out) override {
    out.collect(json{{"k", l.k},
                     {"pair", l.id + "+" + r.id},
                     {"left_ts", ms(ctx.left_timestamp())},
                     {"right_ts", ms(ctx.right_timestamp())}}
                    .dump());
  }
};

auto joined(const events& a, const events& b) {
  return a.key_by(&event::k).interval_join(b.key_by(&event::k)).between(-2s, 1s);
}

} // namespace

void add_interval_join_rows(std::vector<row>& table) {
  auto inclusive = two_inputs("join-interval-inclusive", "interval_join_operator",
                              [](const events& a, const events& b) { return joined(a, b).process<id_pairs>(); });
  inclusive.pipelines = played::at_once; // none of its records can come too late
  table.push_back(inclusive);
  inclusive.pipelines = played::line_by_line;
  table.push_back(inclusive);
  const output_tag<event> late_left{"late-left"}, late_right{"late-right"};
  table.push_back(two_inputs(
      "join-interval-late", "interval_join_operator",
      [=](const events& a, const events& b) {
        return joined(a, b).side_output_left_late(late_left).side_output_right_late(late_right).process<id_pairs>();
      },
      {late_left, late_right}));
}

} // namespace dataflow::test::golden
