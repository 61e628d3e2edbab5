// Operators that go on from the files of their databases with other record types: the results are those of one whose
// types were so from the start, on the disk and in memory, at the same parallelism and at another one.
#include <dataflow/api/environment_state.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/operators/salted_reduce.hpp>
#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <tests/support/error_of.hpp>
#include <tests/support/operator_runner.hpp>
#include <tests/support/places.hpp>

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace changed_types_test {

namespace before {
struct item {
  std::int32_t count = 0;
  std::int64_t key = 0;
  std::string name;
  double gone = 0;
};
struct plain { // in memory, a table without pointers has them
  std::int32_t count = 0;
  std::int64_t key = 0;
};
} // namespace before
namespace after {
struct item {
  std::int64_t key = 0;
  std::string name;
  std::int64_t rank = 7, count = 0;
};
struct plain {
  std::int64_t key = 0, rank = 7, count = 0;
};
} // namespace after
struct other_key {
  std::int32_t count = 0, key = 0;
};

} // namespace changed_types_test
using namespace changed_types_test;
DATAFLOW_RECORD(before::item, count, key, name, gone);
DATAFLOW_RECORD(before::plain, count, key);
DATAFLOW_RECORD(after::item, key, name, rank, count);
DATAFLOW_RECORD(after::plain, key, rank, count);
DATAFLOW_RECORD(other_key, count, key);

namespace changed_types_test {

template <class R>
R item_of(std::int64_t i) {
  R r;
  r.key = static_cast<decltype(r.key)>(i % 23);
  r.count = static_cast<decltype(r.count)>(i % 10 + 1);
  if constexpr (requires { r.name; }) r.name = "name " + std::to_string(i % 23) + std::string(i % 7, '.');
  return r;
}
template <class R>
std::string text_of(const R& r) {
  std::string text = std::to_string(r.key) + " " + std::to_string(r.count);
  if constexpr (requires { r.name; }) text += " " + r.name;
  if constexpr (requires { r.rank; }) text += " " + std::to_string(r.rank);
  return text;
}
template <class R>
std::string text_of(const salted_part<R>& p) {
  return text_of(p.record.value);
}
template <class R>
std::string text_of(const salted<R>& p) {
  return std::to_string(p.salt) + ": " + text_of(p.value);
}
std::string text_of(const std::string& s) { return s; }

/// One operator, and what comes out of it.
template <class In, class Out>
struct run {
  run(operator_factory make, operator_runner::options o) : inputs(o.inputs), r(std::move(make), std::move(o)) {}
  /// Of the records from..to those of these key groups.
  void feed(std::int64_t from, std::int64_t to, key_group_range groups = {0, 127}) {
    for (auto i = from; i < to; i += 10) {
      std::vector<std::pair<In, std::int64_t>> batch;
      for (auto n = i; n < i + 10; ++n)
        if (auto record = unsalted<In>::made(n); groups.contains(key_group_of(hash_of(record), 128)))
          batch.push_back({std::move(record), n});
      if (!batch.empty()) r.push_timed(batch, static_cast<unsigned>(i / 10 % inputs));
      if (i % 40 == 0) r.watermark(i - 30);
    }
  }
  /// Those that came since the last call.
  std::vector<std::string> results() {
    std::vector<std::string> texts;
    for (; seen < out.size(); ++seen)
      texts.push_back(text_of(out[seen].value) + " at " + std::to_string(out[seen].time.value_or(-1)));
    return texts;
  }
  template <class T>
  struct unsalted {
    static T made(std::int64_t n) { return item_of<T>(n); }
  };
  template <class T>
  struct unsalted<salted<T>> {
    static salted<T> made(std::int64_t n) { return {static_cast<std::uint32_t>(n % 3), item_of<T>(n)}; }
  };
  /// Of the key under which the operator keeps the record.
  static std::uint64_t hash_of(const In& record) {
    if constexpr (std::is_same_v<In, Out> && requires { record.salt; })
      return key_hash(std::pair{record.value.key, record.salt});
    else if constexpr (requires { record.salt; })
      return key_hash(record.value.key);
    else
      return key_hash(record.key);
  }

  unsigned inputs;
  operator_runner r;
  std::vector<delivered<Out>>& out = r.template capture<Out>();
  std::size_t seen = 0;
};

constexpr std::int64_t half = 400, all = 800;

/// Kind<R>: in, out, and make().
template <template <class> class Kind, class Before, class After>
void goes_on(const char* what, unsigned inputs = 1) {
  INFO(std::string{what});
  log_capture log;
  using old_run = run<typename Kind<Before>::in, typename Kind<Before>::out>;
  using new_run = run<typename Kind<After>::in, typename Kind<After>::out>;
  places where;
  new_run same{Kind<After>::make(), {.inputs = inputs}};
  same.feed(0, half);
  same.results();
  same.feed(half, all);
  same.r.watermark(10'000);
  auto expected = same.results();
  std::sort(expected.begin(), expected.end());
  REQUIRE(expected.size() > 20);

  old_run old{Kind<Before>::make(), {.inputs = inputs, .place = where.next(true)}};
  old.feed(0, half);
  fetched_databases files{std::make_shared<operator_snapshot>(old.r.freeze())};
  struct way {
    bool go_on, on_disk;
    std::uint32_t parallelism;
  };
  for (const auto& w : {way{true, true, 1}, way{false, true, 1}, way{false, false, 1}, way{true, true, 2},
                        way{false, true, 2}, way{false, false, 2}}) {
    CAPTURE(w.go_on);
    CAPTURE(w.on_disk);
    CAPTURE(w.parallelism);
    std::vector<std::string> got;
    for (std::uint32_t subtask = 0; subtask < w.parallelism; ++subtask) {
      const auto groups = range_of(subtask, w.parallelism, 128);
      operator_runner::options o{.inputs = inputs, .subtask = subtask, .parallelism = w.parallelism};
      if (w.on_disk) o.place = where.next(true);
      o.restored = files.copy(groups, w.go_on);
      new_run fresh{Kind<After>::make(), std::move(o)};
      fresh.feed(half, half + 40, groups);
      // And once more from files of its own: they have the new types.
      if (w.on_disk) fresh.r.restart_from_files(true, where.next(true));
      fresh.feed(half + 40, all, groups);
      fresh.r.watermark(10'000);
      for (auto& text : fresh.results())
        got.push_back(std::move(text));
    }
    std::sort(got.begin(), got.end());
    CHECK(got == expected);
  }
  CHECK(log.contains("was stored with another record type"));
}

/// What a call of the API puts behind a keyed stream.
template <class R, class Build>
operator_factory built(Build build) {
  return [build] {
    environment env;
    auto s = build(env.from_collection<R>({}).key_by(&R::key));
    return s.state()->graph.node(s.node()).make_operator();
  };
}

template <class R>
struct summed {
  using in = R;
  using out = R;
  static operator_factory make() {
    return built<R>([](auto s) { return s.sum(&R::count); });
  }
};
template <class R>
struct added {
  R operator()(const R& a, const R& b) const {
    auto sum = a;
    sum.count += b.count;
    return sum;
  }
};
template <class R>
struct reduced { // its keys stand beside the records
  using in = R;
  using out = R;
  static operator_factory make() {
    return built<R>([](auto s) { return s.reduce(added<R>{}); });
  }
};
template <class R>
struct parts {
  using in = salted<R>;
  using out = salted<R>;
  static operator_factory make() {
    return [] {
      return std::make_unique<reduce_parts_operator<R, std::int64_t R::*, reduce_merge<added<R>>>>(
          &R::key, reduce_merge<added<R>>{});
    };
  }
};
template <class R>
struct merged_parts {
  using in = salted<R>;
  using out = R;
  static operator_factory make() {
    return [] {
      return std::make_unique<merge_parts_operator<R, std::int64_t R::*, reduce_merge<added<R>>>>(
          &R::key, reduce_merge<added<R>>{}, 3);
    };
  }
};

template <class R>
struct with_window {
  void operator()(const std::int64_t&, window_context<time_window>& ctx, std::span<const R> records,
                  collector<std::string>& out) const {
    std::string text = std::to_string(ctx.window().start.time_since_epoch().count()) + ":";
    for (auto& r : records)
      text += " " + text_of(r);
    out.collect(text);
  }
};
template <class R>
struct tumbling_reduced {
  using in = R;
  using out = std::string;
  static operator_factory make() {
    return built<R>(
        [](auto s) { return s.window(tumbling_event_time_windows{100ms}).reduce(added<R>{}, with_window<R>{}); });
  }
};
template <class R>
struct sliding_summed {
  using in = R;
  using out = R;
  static operator_factory make() {
    return built<R>([](auto s) {
      return s.window(sliding_event_time_windows{100ms, 30ms}).allowed_lateness(50ms).sum(&R::count);
    });
  }
};
template <class R>
struct listed {
  using in = R;
  using out = std::string;
  static operator_factory make() {
    return built<R>([](auto s) { return s.window(tumbling_event_time_windows{150ms}).process(with_window<R>{}); });
  }
};
template <class R>
struct evicting {
  using in = R;
  using out = std::string;
  static operator_factory make() {
    return built<R>([](auto s) {
      return s.window(sliding_event_time_windows{200ms, 100ms}).evictor(count_evictor{5}).process(with_window<R>{});
    });
  }
};
template <class R>
struct sessions { // merging, with a trigger that remembers something
  using in = R;
  using out = std::string;
  static operator_factory make() {
    return built<R>([](auto s) {
      return s.window(event_time_session_windows{60ms}).trigger(count_trigger{4}).process(with_window<R>{});
    });
  }
};
template <class R>
struct global_counted {
  using in = R;
  using out = R;
  static operator_factory make() {
    return built<R>([](auto s) { return s.count_window(6).sum(&R::count); });
  }
};

/// Keeps records per key, and per key and window.
template <class R>
class window_keeper : public process_window_function<std::int64_t, R, std::string> {
  using base = process_window_function<std::int64_t, R, std::string>;
  value_state<R> first_ = this->state("first");
  map_state<std::int64_t, R> of_window_ = this->window_state("of window");

public:
  void process(const std::int64_t& key, typename base::context&, std::span<const R> elements,
               collector<std::string>& out) override {
    if (!first_.has_value()) first_ = elements.front();
    for (auto& e : elements)
      of_window_.put(e.count, e);
    std::string text = std::to_string(key) + " first " + text_of(first_.value()) + " now";
    auto keys = of_window_.keys();
    std::sort(keys.begin(), keys.end());
    for (auto k : keys)
      text += " " + text_of(of_window_.at(k));
    out.collect(text);
  }
};
template <class R>
struct keeping_windows {
  using in = R;
  using out = std::string;
  static operator_factory make() {
    return built<R>([](auto s) {
      return s.window(tumbling_event_time_windows{100ms})
          .trigger(count_trigger{2})
          .template process<window_keeper<R>>();
    });
  }
};

template <class R>
struct average_of {
  R create_accumulator() const { return {}; }
  void add(const R& r, R& so_far) const {
    so_far.key = r.key;
    so_far.count += r.count;
  }
  std::string get_result(const R& r) const { return text_of(r); }
};
/// Every kind of state, with and without a time to live, and timers.
template <class R>
class keeper : public keyed_process_function<std::int64_t, R, std::string> {
  using base = keyed_process_function<std::int64_t, R, std::string>;
  value_state<R> last_ = this->state("last"), mortal_ = this->state("mortal", ttl{1h});
  list_state<R> list_ = this->state("list"), mortal_list_ = this->state("mortal list", ttl{1h});
  map_state<std::int64_t, R> map_ = this->state("map");
  map_state<std::string, std::vector<R>> mortal_map_ = this->state("mortal map", ttl{1h});
  reducing_state<R, added<R>> sum_{this->state("sum")};
  aggregating_state<R, R, std::string, average_of<R>> average_{this->state("average")};
  value_state<std::int64_t> same_ = this->state("same");

public:
  void process(const R& r, typename base::context& ctx, collector<std::string>& out) override {
    out.collect(all_of());
    last_ = r;
    mortal_ = r;
    if (r.count % 2 == 0) list_.add(r);
    if (r.count % 3 == 0) mortal_list_.add(r);
    if (list_.get().size() > 6) list_.clear();
    map_.put(r.count, r);
    mortal_map_[r.count % 2 == 0 ? "even" : "odd"].push_back(r);
    if (mortal_map_.at(r.count % 2 == 0 ? "even" : "odd").size() > 5) mortal_map_.clear();
    sum_.add(r);
    average_.add(r);
    ++same_.edit();
    ctx.timers().register_event_time(*ctx.record_timestamp() + 100ms);
  }
  void on_timer(timestamp t, typename base::timer_context& ctx, collector<std::string>& out) override {
    out.collect("timer " + std::to_string(t.time_since_epoch().count()) + " of " + std::to_string(ctx.key()) + ": " +
                all_of());
  }

private:
  std::string all_of() {
    std::string text;
    if (last_.has_value()) text += text_of(*last_);
    if (mortal_.has_value()) text += ", " + text_of(*mortal_);
    for (auto* list : {&list_, &mortal_list_}) {
      text += ", list";
      for (auto& r : list->get())
        text += " " + text_of(r);
    }
    text += ", map";
    auto entries = map_.entries();
    std::sort(entries.begin(), entries.end(), [](auto& a, auto& b) { return a.first < b.first; });
    for (auto& [k, r] : entries)
      text += " " + std::to_string(k) + "=" + text_of(r);
    for (const char* k : {"even", "odd"})
      for (auto& r : mortal_map_.value_or(k, {}))
        text += std::string{" "} + k + " " + text_of(r);
    if (sum_.has_value()) text += ", sum " + text_of(sum_.get()) + ", " + average_.get();
    return text + ", " + std::to_string(same_.value_or(0));
  }
};
template <class R>
struct kept {
  using in = R;
  using out = std::string;
  static operator_factory make() {
    return built<R>([](auto s) { return s.template process<keeper<R>>(); });
  }
};

template <class R>
struct joined {
  using in = R;
  using out = std::string;
  static operator_factory make() {
    return [] {
      environment env;
      auto left = env.from_collection<R>({}).key_by(&R::key), right = env.from_collection<R>({}).key_by(&R::key);
      auto s = left.interval_join(right)
                   .between(-50ms, 70ms)
                   .process([](const R& l, const R& r, collector<std::string>& out) {
                     out.collect(text_of(l) + " + " + text_of(r));
                   });
      return s.state()->graph.node(s.node()).make_operator();
    };
  }
};

} // namespace changed_types_test

TEST_CASE("rolling reductions go on from files of a database with changed record types") {
  goes_on<summed, before::item, after::item>("sum");
  goes_on<summed, before::plain, after::plain>("sum of plain records");
  goes_on<reduced, before::item, after::item>("reduce");
  goes_on<reduced, before::plain, after::plain>("reduce of plain records");
}

TEST_CASE("salted reductions go on from files of a database with changed record types") {
  goes_on<parts, before::item, after::item>("parts");
  goes_on<merged_parts, before::item, after::item>("merged parts");
}

TEST_CASE("windows go on from files of a database with changed record types") {
  goes_on<tumbling_reduced, before::item, after::item>("tumbling, reduced");
  goes_on<sliding_summed, before::item, after::item>("sliding, summed");
  goes_on<sliding_summed, before::plain, after::plain>("sliding, summed, plain records");
  goes_on<listed, before::item, after::item>("listed");
  goes_on<evicting, before::item, after::item>("with an evictor");
  goes_on<sessions, before::item, after::item>("sessions");
  goes_on<global_counted, before::item, after::item>("count windows");
  goes_on<keeping_windows, before::item, after::item>("with states per key and per window");
}

TEST_CASE("states of functions go on from files of a database with changed record types") {
  goes_on<kept, before::item, after::item>("every kind of state");
}

TEST_CASE("interval joins go on from files of a database with changed record types") {
  goes_on<joined, before::item, after::item>("interval join", 2);
}

TEST_CASE("in memory, rolling reductions go on from files of a database") {
  places where;
  run<after::plain, after::plain> r{summed<after::plain>::make(), {.place = where.next(true)}};
  r.feed(0, half);
  r.r.restart_from_files(false, {});
  r.results();
  r.r.push(std::vector{after::plain{3, 7, 1000}});
  std::int64_t sum = 1000;
  for (std::int64_t i = 0; i < half; ++i)
    if (i % 23 == 3) sum += item_of<after::plain>(i).count;
  CHECK(r.out.back().value.count == sum);
}

TEST_CASE("files whose keys had another type are refused, naming operator and state") {
  for (const bool on_disk : {true, false}) {
    places where;
    run<other_key, other_key> old{summed<other_key>::make(), {.place = where.next(true)}};
    old.feed(0, half);
    fetched_databases files{std::make_shared<operator_snapshot>(old.r.freeze())};
    operator_runner::options o{.name = "sums"};
    if (on_disk) o.place = where.next(true);
    o.restored = files.copy({0, 127}, on_disk);
    run<after::plain, after::plain> fresh{summed<after::plain>::make(), std::move(o)};
    const auto e = error_of([&] { fresh.feed(half, all); });
    CHECK(e.code() == errc::incompatible_state);
    for (const char* part : {"operator \"sums\"", "state \"_kept\"", "its key was int32 and is int64"})
      CHECK_MESSAGE(e.to_string().find(part) != std::string::npos, e.to_string());
  }
}
