// What depends on the clock, as whole pipelines: in the simulation, where events come at chosen moments of virtual
// time. The golden cases of these operators put events on the very millisecond of a boundary, which only the operator
// alone can be given (operator_table_test.cpp); here every event stands clear of the boundaries.
#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/dataflow.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <tests/support/effort.hpp>

#include "script.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace dataflow::test::golden;
using namespace std::chrono_literals;

namespace {

/// A minute after the simulation's first moment; a multiple of all window sizes here.
constexpr std::int64_t clock_zero = 1'704'067'260'000;

using texts = std::vector<std::string>;
using job_of_streams = std::function<data_stream<std::string>(const std::vector<events>&)>;

script_line at_clock(std::int64_t ms, event e) { return {std::move(e), 0, clock_zero + ms}; }

std::string in_one_line(const texts& all) {
  std::string line;
  for (auto& t : all)
    line += t + "; ";
  return line;
}

/// The sorted results under a schedule, at a parallelism, chained or not, with single records or whole batches.
void check_under_schedules(const std::vector<std::vector<script_line>>& scripts, const job_of_streams& build,
                           texts expected) {
  std::sort(expected.begin(), expected.end());
  for (std::uint64_t seed = 1; seed <= rounds(20); ++seed) {
    const std::int64_t parallelism = std::int64_t{1} << seed % 3;
    CAPTURE(seed);
    simulated_cluster cluster{seed};
    environment_options o;
    o.runner = std::shared_ptr<executor>{std::shared_ptr<void>{}, &cluster};
    environment env{o};
    env.set_parallelism(parallelism);
    env.set_buffer_timeout(0ms);
    if (seed % 2 == 0) env.disable_operator_chaining();
    if (seed % 4 < 2) env.configure("taskmanager.batch.records", "1");
    std::vector<events> streams;
    for (auto& script : scripts)
      streams.push_back(env.from_collection(script)
                            .transform<event>("script", [] { return std::make_unique<script_operator>(); })
                            .set_parallelism(1));
    auto got = build(streams).collect();
    std::sort(got.begin(), got.end());
    CHECK(in_one_line(got) == in_one_line(expected));
  }
}

std::string list_of_ids(std::span<const event> elements) {
  std::string text;
  for (auto& e : elements)
    text += (text.empty() ? "" : " ") + e.id;
  return text;
}
template <class W>
auto listed_by_clock() {
  return
      [](const std::string& key, window_context<W>& ctx, std::span<const event> elements, collector<std::string>& out) {
        out.collect(key + " " + std::to_string(ms(ctx.window().start) - clock_zero) + ".." +
                    std::to_string(ms(ctx.window().end) - clock_zero) + ": " + list_of_ids(elements));
      };
}

/// Reads and writes a value that lives for a second.
class forgetting : public keyed_process_function<std::string, event, std::string> {
  value_state<std::int64_t> value_ = state("value", ttl{1s});

public:
  void process(const event& e, context& ctx, collector<std::string>& out) override {
    out.collect(e.id + " " + ctx.key() + " " + std::to_string(value_.value_or(-1)));
    if (e.v > 0) value_ = e.v;
  }
};

/// Counts a key's events until a clock timer, two seconds after the first one.
class counting_down : public keyed_process_function<std::string, event, std::string> {
  value_state<std::int64_t> count_ = state("count");

public:
  void process(const event&, context& ctx, collector<std::string>&) override {
    if (!count_.has_value()) ctx.timers().register_processing_time(ctx.timers().current_processing_time() + 2s);
    ++count_.edit();
  }
  void on_timer(timestamp, timer_context& ctx, collector<std::string>& out) override {
    out.collect(ctx.key() + " " + std::to_string(*count_));
    count_.clear();
  }
};

} // namespace

TEST_CASE("processing-time windows in pipelines go by the clock and leave out what is open at the end") {
  const std::vector<script_line> script{
      at_clock(3000, {"e1", "a", {}, 99999, 1}), at_clock(3000, {"e2", "a", {}, 1, 2}),
      at_clock(11000, {"e3", "b", {}, 5, 1}),    at_clock(11500, {"e4", "a", {}, 2, 4}),
      at_clock(12500, {"e5", "a", {}, 4, 8}),    at_clock(35000, {"e6", "a", {}, 5, 16})};
  check_under_schedules({script},
                        [](const std::vector<events>& in) {
                          return in[0]
                              .key_by(&event::k)
                              .window(tumbling_processing_time_windows{10s, 2s})
                              .process(listed_by_clock<time_window>());
                        },
                        {"a 2000..12000: e1 e2 e4", "b 2000..12000: e3", "a 12000..22000: e5"});
  check_under_schedules({script},
                        [](const std::vector<events>& in) {
                          return in[0]
                              .key_by(&event::k)
                              .window(sliding_processing_time_windows{10s, 5s})
                              .process(listed_by_clock<time_window>());
                        },
                        {"a -5000..5000: e1 e2", "a 0..10000: e1 e2", "a 5000..15000: e4 e5", "a 10000..20000: e4 e5",
                         "b 5000..15000: e3", "b 10000..20000: e3"});
  check_under_schedules(
      {script},
      [](const std::vector<events>& in) {
        return in[0]
            .key_by(&event::k)
            .window(processing_time_session_windows{5s})
            .process([](const std::string& key, window_context<time_window>&, std::span<const event> elements,
                        collector<std::string>& out) { out.collect(key + ": " + list_of_ids(elements)); });
      },
      {"a: e1 e2", "b: e3", "a: e4 e5"});
}

TEST_CASE("processing-time timers and the time to live of state in pipelines go by the clock") {
  const std::vector<script_line> script{at_clock(1000, {"w1", "a", {}, 0, 7}), at_clock(1500, {"r2", "a", {}, 0, 0}),
                                        at_clock(1600, {"r3", "b", {}, 0, 0}), at_clock(2500, {"r4", "a", {}, 0, 0}),
                                        at_clock(2600, {"w5", "a", {}, 0, 8}), at_clock(3400, {"w6", "a", {}, 0, 9}),
                                        at_clock(4200, {"r7", "a", {}, 0, 0}), at_clock(9000, {"r8", "a", {}, 0, 0})};
  check_under_schedules({script},
                        [](const std::vector<events>& in) { return in[0].key_by(&event::k).process<forgetting>(); },
                        {"w1 a -1", "r2 a 7", "r3 b -1", "r4 a -1", "w5 a -1", "w6 a 8", "r7 a 9", "r8 a -1"});
  // The last event's timer is not due when the input ends.
  check_under_schedules({script},
                        [](const std::vector<events>& in) { return in[0].key_by(&event::k).process<counting_down>(); },
                        {"a 4", "b 1", "a 2"});
}

TEST_CASE("an idle stream is left out of the watermark of a pipeline, and comes back") {
  const std::vector<script_line> busy{at_clock(1000, {"b1", "k", {}, 1000, 0}),
                                      at_clock(2000, {"b2", "k", {}, 5000, 0}),
                                      at_clock(12000, {"b3", "k", {}, 1500, 0}), // too late, as the other is idle
                                      at_clock(40000, {"b4", "k", {}, 9000, 0}),
                                      // Stays until the other one has ended: an end is the largest watermark.
                                      {{}, 0, clock_zero + 50000}};
  const std::vector<script_line> quiet{at_clock(1000, {"q1", "k", {}, 1000, 0}),
                                       at_clock(20000, {"q2", "k", {}, 4500, 0}), // behind its own window's end only
                                       at_clock(45000, {"q3", "k", {}, 9500, 0})};
  check_under_schedules(
      {busy, quiet},
      [](const std::vector<events>& in) {
        const auto strategy =
            watermark_strategy<event>::bounded_out_of_orderness(100ms).with_timestamp(&event::ts).with_idleness(3s);
        // One assigner for each: which of several has gone idle would depend on who got the records. And a chain of its
        // own: while the script waits for its next line, its task counts as held up, which is nobody's idleness.
        auto timed = [&](const events& stream) {
          return stream.assign_timestamps_and_watermarks(strategy).set_parallelism(1).start_new_chain();
        };
        auto windows = timed(in[0])
                           .union_with(timed(in[1]))
                           .key_by(&event::k)
                           .window(tumbling_event_time_windows{2s})
                           .side_output_late(late_tag())
                           .process([](const std::string&, window_context<time_window>& ctx,
                                       std::span<const event> elements, collector<std::string>& out) {
                             texts ids;
                             for (auto& e : elements)
                               ids.push_back(e.id);
                             std::sort(ids.begin(), ids.end());
                             std::string text = std::to_string(ms(ctx.window().start)) + ":";
                             for (auto& id : ids)
                               text += " " + id;
                             out.collect(text);
                           });
        return windows.union_with(windows.side_output(late_tag()).map([](const event& e) { return "late " + e.id; }));
      },
      {"0: b1 q1", "4000: b2 q2", "8000: b4 q3", "late b3"});
}
