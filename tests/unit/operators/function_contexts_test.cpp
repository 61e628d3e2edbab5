// What each kind of process function sees of its context: timestamp, key, timers, watermark, clock, side outputs.
#include <dataflow/api/broadcast_stream.hpp>
#include <dataflow/api/environment.hpp>
#include <dataflow/api/environment_state.hpp>
#include <dataflow/api/interval_join.hpp>
#include <dataflow/api/windowed_stream.hpp>

#include <doctest/doctest.h>

#include <tests/support/operator_runner.hpp>

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

using amount = std::int64_t;
using purchase = std::pair<std::string, amount>;
using lines = std::vector<std::string>;
timestamp moment(amount t) { return timestamp{std::chrono::milliseconds{t}}; }
std::string ms_of(timestamp t) { return t == min_timestamp ? "none" : std::to_string(t.time_since_epoch().count()); }
const output_tag<std::string> aside{"aside"};
const map_state_descriptor<std::string, amount> limits_of_users{"limits"};

/// The part of a context that all kinds have.
template <class Context>
std::string seen_by(Context& ctx) {
  ctx.output(aside, "aside of " + ctx.runtime().operator_name());
  return " wm " + ms_of(ctx.current_watermark());
}
/// With the record's timestamp and the clock.
template <class Context>
std::string seen_with_record(Context& ctx) {
  return (ctx.record_timestamp() ? " ts " + ms_of(*ctx.record_timestamp()) : std::string{" no ts"}) + seen_by(ctx) +
         " clock " + std::to_string(ctx.processing_time().count());
}
/// With key and timers.
template <class Context>
std::string seen_with_key(Context& ctx) {
  const auto& timers = ctx.timers();
  CHECK(timers.current_watermark() == ctx.current_watermark());
  CHECK(timers.current_processing_time() == timestamp{ctx.processing_time()});
  return " key " + ctx.key() + seen_with_record(ctx);
}
template <class Context>
std::string seen_at_timer(timestamp t, Context& ctx) {
  CHECK(ctx.record_timestamp() == t);
  return (ctx.domain() == time_domain::event ? "event timer " : "clock timer ") + ms_of(t) + seen_with_key(ctx);
}
template <class Context>
void set_timers(amount t, Context& ctx) {
  ctx.timers().register_event_time(moment(t));
  ctx.timers().register_event_time(moment(t + 1));
  ctx.timers().delete_event_time(moment(t + 1));
  ctx.timers().register_processing_time(moment(t + 1000));
}

struct plain_function : process_function<purchase, std::string> {
  void process(const purchase& p, context& ctx, collector<std::string>& out) override {
    out.collect(p.first + seen_with_record(ctx));
  }
};
struct keyed_function : keyed_process_function<std::string, purchase, std::string> {
  void process(const purchase& p, context& ctx, collector<std::string>& out) override {
    set_timers(p.second, ctx);
    out.collect(p.first + seen_with_key(ctx));
  }
  void on_timer(timestamp t, timer_context& ctx, collector<std::string>& out) override {
    out.collect(seen_at_timer(t, ctx));
  }
};
struct co_function : co_process_function<purchase, purchase, std::string> {
  void process1(const purchase& p, context& ctx, collector<std::string>& out) override {
    out.collect("1 " + p.first + seen_with_record(ctx));
  }
  void process2(const purchase& p, context& ctx, collector<std::string>& out) override {
    out.collect("2 " + p.first + seen_with_record(ctx));
  }
};
struct keyed_co_function : keyed_co_process_function<std::string, purchase, purchase, std::string> {
  void process1(const purchase& p, context& ctx, collector<std::string>& out) override {
    set_timers(p.second, ctx);
    out.collect("1 " + p.first + seen_with_key(ctx));
  }
  void process2(const purchase& p, context& ctx, collector<std::string>& out) override {
    out.collect("2 " + p.first + seen_with_key(ctx));
  }
  void on_timer(timestamp t, timer_context& ctx, collector<std::string>& out) override {
    out.collect(seen_at_timer(t, ctx));
  }
};
struct broadcast_function : broadcast_process_function<purchase, purchase, std::string> {
  void process(const purchase& p, read_only_context& ctx, collector<std::string>& out) override {
    out.collect(p.first + " limit " + std::to_string(ctx.state(limits_of_users).value_or(p.first, -1)) +
                seen_with_record(ctx));
  }
  void process_broadcast(const purchase& p, context& ctx, collector<std::string>& out) override {
    ctx.state(limits_of_users).put(p.first, p.second);
    out.collect("limit of " + p.first + seen_with_record(ctx));
  }
};
struct keyed_broadcast_function : keyed_broadcast_process_function<std::string, purchase, purchase, std::string> {
  void process(const purchase& p, read_only_context& ctx, collector<std::string>& out) override {
    set_timers(p.second, ctx);
    out.collect(p.first + " limit " + std::to_string(ctx.state(limits_of_users).value_or(p.first, -1)) +
                seen_with_key(ctx));
  }
  void process_broadcast(const purchase& p, context& ctx, collector<std::string>& out) override {
    ctx.state(limits_of_users).put(p.first, p.second);
    out.collect("limit of " + p.first + seen_with_record(ctx));
  }
  void on_timer(timestamp t, timer_context& ctx, collector<std::string>& out) override {
    CHECK(ctx.state(limits_of_users).size() == 1);
    out.collect(seen_at_timer(t, ctx));
  }
};
struct join_function : process_join_function<purchase, purchase, std::string> {
  void process(const purchase& l, const purchase& r, context& ctx, collector<std::string>& out) override {
    out.collect(l.first + std::to_string(l.second) + "+" + std::to_string(r.second) + " left " +
                ms_of(ctx.left_timestamp()) + " right " + ms_of(ctx.right_timestamp()) + " both " +
                ms_of(ctx.result_timestamp()) + seen_by(ctx));
  }
};
struct window_function : process_window_function<std::string, purchase, std::string> {
  void process(const std::string& key, context& ctx, std::span<const purchase> elements,
               collector<std::string>& out) override {
    out.collect("key " + key + " window " + ms_of(ctx.window().start) + ".." + ms_of(ctx.window().end) + " of " +
                std::to_string(elements.size()) + seen_by(ctx) + " clock " +
                std::to_string(ctx.processing_time().count()));
  }
};
struct all_window_function : process_all_window_function<purchase, std::string> {
  void process(context& ctx, std::span<const purchase> elements, collector<std::string>& out) override {
    out.collect("window " + ms_of(ctx.window().start) + ".." + ms_of(ctx.window().end) + " of " +
                std::to_string(elements.size()) + seen_by(ctx) + " clock " +
                std::to_string(ctx.processing_time().count()));
  }
};

/// The operator that build(stream, stream) puts behind them, fed with a record, a watermark, a second record (on the
/// second input where there is one), a watermark and a time.
struct story {
  lines main, aside;
  std::vector<std::optional<amount>> times, aside_times;
};
template <class Build>
story told_by(unsigned inputs, Build build) {
  environment env;
  auto in = env.from_collection<purchase>({});
  const auto s = build(in, in);
  const auto make = s.state()->graph.node(s.node()).make_operator;
  operator_runner::options o;
  o.inputs = inputs;
  operator_runner r{make, o};
  auto& out = r.capture<std::string>();
  auto& more = r.capture(aside);
  r.set_time(70);
  r.push_timed<purchase>({{{"ann", 40}, 10}});
  r.watermark(5);
  r.push_timed<purchase>({{{"ann", 60}, 20}}, inputs - 1);
  r.watermark(99);
  r.set_time(2000);
  story told;
  for (auto& d : out)
    told.main.push_back(d.value), told.times.push_back(d.time);
  for (auto& d : more)
    told.aside.push_back(d.value), told.aside_times.push_back(d.time);
  CHECK(told.aside_times.size() == told.times.size()); // one beside each result
  return told;
}
using times = std::vector<std::optional<amount>>;

} // namespace

TEST_CASE("contexts: process functions see timestamp, watermark, clock and side outputs") {
  const auto told = told_by(1, [](auto a, auto) { return a.template process<plain_function>(); });
  CHECK(told.main == lines{"ann ts 10 wm none clock 70", "ann ts 20 wm 5 clock 70"});
  CHECK(told.times == times{10, 20});
  CHECK(told.aside == lines{"aside of op", "aside of op"});
  CHECK(told.aside_times == times{10, 20});
}

TEST_CASE("contexts: keyed process functions see the key and its timers, too") {
  const auto told =
      told_by(1, [](auto a, auto) { return a.key_by(&purchase::first).template process<keyed_function>(); });
  CHECK(told.main == lines{"ann key ann ts 10 wm none clock 70", "ann key ann ts 20 wm 5 clock 70",
                           "event timer 40 key ann ts 40 wm 99 clock 70", "event timer 60 key ann ts 60 wm 99 clock 70",
                           "clock timer 1040 key ann ts 1040 wm 99 clock 2000",
                           "clock timer 1060 key ann ts 1060 wm 99 clock 2000"});
  CHECK(told.times == times{10, 20, 40, 60, {}, {}});
  CHECK(told.aside_times == times{10, 20, 40, 60, 1040, 1060});
}

TEST_CASE("contexts: co-process functions, with and without keys") {
  const auto plain = told_by(2, [](auto a, auto b) { return a.connect(b).template process<co_function>(); });
  CHECK(plain.main == lines{"1 ann ts 10 wm none clock 70", "2 ann ts 20 wm 5 clock 70"});
  CHECK(plain.aside_times == times{10, 20});
  const auto keyed = told_by(2, [](auto a, auto b) {
    return a.connect(b).key_by(&purchase::first, &purchase::first).template process<keyed_co_function>();
  });
  CHECK(keyed.main == lines{"1 ann key ann ts 10 wm none clock 70", "2 ann key ann ts 20 wm 5 clock 70",
                            "event timer 40 key ann ts 40 wm 99 clock 70",
                            "clock timer 1040 key ann ts 1040 wm 99 clock 2000"});
  CHECK(keyed.aside_times == times{10, 20, 40, 1040});
}

TEST_CASE("contexts: broadcast functions, with and without keys") {
  const auto plain = told_by(
      2, [](auto a, auto b) { return a.connect(b.broadcast(limits_of_users)).template process<broadcast_function>(); });
  CHECK(plain.main == lines{"ann limit -1 ts 10 wm none clock 70", "limit of ann ts 20 wm 5 clock 70"});
  CHECK(plain.aside_times == times{10, 20});
  const auto keyed = told_by(2, [](auto a, auto b) {
    return a.key_by(&purchase::first)
        .connect(b.broadcast(limits_of_users))
        .template process<keyed_broadcast_function>();
  });
  CHECK(keyed.main == lines{"ann limit -1 key ann ts 10 wm none clock 70", "limit of ann ts 20 wm 5 clock 70",
                            "event timer 40 key ann ts 40 wm 99 clock 70",
                            "clock timer 1040 key ann ts 1040 wm 99 clock 2000"});
  CHECK(keyed.aside_times == times{10, 20, 40, 1040});
}

TEST_CASE("contexts: join functions see both timestamps and the later one") {
  const auto told = told_by(2, [](auto a, auto b) {
    return a.key_by(&purchase::first)
        .interval_join(b.key_by(&purchase::first))
        .between(-1s, 1s)
        .template process<join_function>();
  });
  CHECK(told.main == lines{"ann40+60 left 10 right 20 both 20 wm 5"});
  CHECK(told.times == times{20});
  CHECK(told.aside_times == times{20});
}

TEST_CASE("contexts: window functions see the window and the watermark that fired it") {
  const auto keyed = told_by(1, [](auto a, auto) {
    return a.key_by(&purchase::first).window(tumbling_event_time_windows{100ms}).template process<window_function>();
  });
  CHECK(keyed.main == lines{"key ann window 0..100 of 2 wm 99 clock 70"});
  CHECK(keyed.times == times{99});
  CHECK(keyed.aside_times == times{99});
  const auto all = told_by(1, [](auto a, auto) {
    return a.window_all(tumbling_event_time_windows{100ms}).template process<all_window_function>();
  });
  CHECK(all.main == lines{"window 0..100 of 2 wm 99 clock 70"});
  CHECK(all.aside == lines{"aside of op"});
  CHECK(all.aside_times == times{99});
}
