// The windows of the operator table.
#include <dataflow/api/window_joins.hpp>

#include <algorithm>
#include <chrono>

#include "operator_table.hpp"

namespace dataflow::test::golden {

namespace {

using namespace std::chrono_literals;

constexpr auto general = "window_operator";
constexpr auto sliced = "sliced_window_operator";

json contents(std::span<const event> elements, bool sorted) {
  std::int64_t sum = 0;
  std::vector<std::string> ids;
  for (auto& e : elements) {
    sum += e.v;
    ids.push_back(e.id);
  }
  if (sorted)
    std::sort(ids.begin(), ids.end(), [](auto& a, auto& b) { return std::stoi(a.substr(1)) < std::stoi(b.substr(1)); });
  return {{"sum", sum}, {"ids", ids}};
}
template <class W>
void list_into(const std::string& key, const W& window, std::span<const event> elements, bool sorted,
               collector<std::string>& out) {
  auto line = contents(elements, sorted);
  line["k"] = key;
  if constexpr (std::is_same_v<W, time_window>) {
    line["start"] = ms(window.start);
    line["end"] = ms(window.end);
  }
  out.collect(line.dump());
}
template <class W>
auto list(bool sorted = false) {
  return [sorted](const std::string& key, window_context<W>& ctx, std::span<const event> elements,
                  collector<std::string>& out) { list_into(key, ctx.window(), elements, sorted, out); };
}
/// The same as a function class, which slices do not take.
class lister : public process_window_function<std::string, event, std::string> {
public:
  void process(const std::string& key, context& ctx, std::span<const event> elements,
               collector<std::string>& out) override {
    list_into(key, ctx.window(), elements, false, out);
  }
};

/// Counts the firings per window and per key.
class firings : public process_window_function<std::string, event, std::string> {
  value_state<std::int64_t> of_window_ = window_state("firings of the window"), of_key_ = state("firings of the key");

public:
  void process(const std::string& key, context& ctx, std::span<const event> elements,
               collector<std::string>& out) override {
    out.collect(json{{"k", key},
                     {"start", ms(ctx.window().start)},
                     {"sum", contents(elements, false)["sum"]},
                     {"firing_of_window", ++of_window_.edit()},
                     {"firing_of_key", ++of_key_.edit()},
                     {"wm", ms(ctx.current_watermark())}}
                    .dump());
  }
  void clear(const std::string&, context&) override { of_window_.clear(); }
};

json bounds_of(const std::string& key, const time_window& w) {
  return {{"k", key}, {"start", ms(w.start)}, {"end", ms(w.end)}};
}

struct count_and_sum {
  struct accumulator {
    std::int64_t n = 0, sum = 0;
  };
  accumulator create_accumulator() const { return {}; }
  void add(const event& e, accumulator& a) const {
    ++a.n;
    a.sum += e.v;
  }
  std::string get_result(const accumulator& a) const {
    return "n=" + std::to_string(a.n) + " sum=" + std::to_string(a.sum);
  }
  accumulator merge(accumulator a, const accumulator& b) const { return {a.n + b.n, a.sum + b.sum}; }
};

/// Fires at each record, and at the end fires and purges.
struct each_and_end {
  trigger_result on_element(const event&, timestamp, const time_window& w, auto& context) {
    if (w.max_timestamp() > context.current_watermark()) context.register_event_time(w.max_timestamp());
    return trigger_result::fire;
  }
  trigger_result on_event_time(timestamp t, const time_window& w, auto&) {
    return t == w.max_timestamp() ? trigger_result::fire_and_purge : trigger_result::continue_;
  }
};

} // namespace

void add_window_rows(std::vector<row>& table) {
  auto add = [&](const char* data, const char* source, auto build) {
    table.push_back(one_input(data, source, [build](events in) { return build(in.key_by(&event::k)); }));
  };
  const auto in_time = list<time_window>();
  const auto in_all = list<global_window>();
  const tumbling_event_time_windows ten_seconds{10s};
  const event_time_session_windows sessions{10s};

  add("window-tumbling-boundaries", sliced,
      [=](auto s) { return s.window(ten_seconds).side_output_late(late_tag()).process(in_time); });
  add("window-tumbling-boundaries", general,
      [=](auto s) { return s.window(ten_seconds).side_output_late(late_tag()).template process<lister>(); });
  add("window-tumbling-offset", sliced, [=](auto s) {
    return s.window(tumbling_event_time_windows{1h, 15min}).process(in_time);
  });
  add("window-tumbling-offset", general, [=](auto s) {
    return s.window(tumbling_event_time_windows{1h, 15min}).template process<lister>();
  });
  add("window-allowed-lateness", sliced,
      [=](auto s) { return s.window(ten_seconds).allowed_lateness(5s).side_output_late(late_tag()).process(in_time); });
  add("window-allowed-lateness", general, [=](auto s) {
    return s.window(ten_seconds).allowed_lateness(5s).side_output_late(late_tag()).template process<lister>();
  });
  add("window-sliding-uneven", general, [=](auto s) {
    return s.window(sliding_event_time_windows{10s, 4s, 1s}).side_output_late(late_tag()).process(in_time);
  });
  add("window-reduce", sliced, [=](auto s) {
    return s.window(ten_seconds)
        .allowed_lateness(5s)
        .reduce(
            [](const event& a, const event& b) { return event{a.id, a.k, {}, a.ts, a.v + b.v, 0}; },
            [](const std::string& key, window_context<time_window>& ctx, const event& e, collector<std::string>& out) {
              auto line = bounds_of(key, ctx.window());
              line["elements"] = json::array({to_json(e)});
              out.collect(line.dump());
            });
  });
  add("window-session-aggregate", general, [=](auto s) {
    return s.window(sessions).aggregate(count_and_sum{},
                                        [](const std::string& key, window_context<time_window>& ctx,
                                           std::span<const std::string> results, collector<std::string>& out) {
                                          auto line = bounds_of(key, ctx.window());
                                          line["elements"] = std::vector<std::string>(results.begin(), results.end());
                                          out.collect(line.dump());
                                        });
  });
  add("window-session-bridge", general, [=](auto s) { return s.window(sessions).process(list<time_window>(true)); });
  add("window-session-dynamic-gap", general, [=](auto s) {
    return s.window(dynamic_event_time_session_windows{&event::gap}).process(list<time_window>(true));
  });
  add("window-session-late", general,
      [=](auto s) { return s.window(sessions).side_output_late(late_tag()).process(list<time_window>(true)); });
  add("window-continuous-event-time", general,
      [=](auto s) { return s.window(ten_seconds).trigger(continuous_event_time_trigger{4s}).process(in_time); });
  add("window-custom-trigger", general,
      [=](auto s) { return s.window(ten_seconds).trigger(each_and_end{}).allowed_lateness(5s).process(in_time); });
  add("window-count", general, [=](auto s) { return s.count_window(3).process(in_all); });
  add("window-count-sliding", general, [=](auto s) { return s.count_window(4, 2).process(in_all); });
  add("window-global-count", general,
      [=](auto s) { return s.window(global_windows{}).trigger(count_trigger{3}).process(in_all); });
  add("window-evictor-count-before", general, [=](auto s) {
    return s.window(global_windows{}).trigger(count_trigger{3}).evictor(count_evictor{2}).process(in_all);
  });
  add("window-evictor-time", general,
      [=](auto s) { return s.window(ten_seconds).allowed_lateness(5s).evictor(time_evictor{3s}).process(in_time); });
  add("window-process-state", general,
      [=](auto s) { return s.window(ten_seconds).allowed_lateness(5s).template process<firings>(); });
  add("window-processing-time", general, [=](auto s) {
    return s.window(tumbling_processing_time_windows{10s, 2s}).process(in_time);
  });
  table.back().pipelines = played::never;
  table.push_back(one_input("window-all", sliced, [=](events in) {
    return in.window_all(ten_seconds)
        .process([](window_context<time_window>& ctx, std::span<const event> elements, collector<std::string>& out) {
          list_into("", ctx.window(), elements, false, out);
        });
  }));
}

void add_window_join_rows(std::vector<row>& table) {
  using pair = dataflow::detail::either<event, event>;
  // Both streams come to the operator as one, tagged.
  auto add = [&](const char* data, auto build) {
    auto r = two_inputs(data, sliced, build);
    r.two_inputs = false;
    r.push = [](operator_runner& runner, const std::vector<json>& lines) {
      std::vector<std::pair<pair, std::int64_t>> records;
      for (auto& line : lines)
        records.emplace_back(line.at("in") == 1 ? pair{std::in_place_index<0>, event_of(line)}
                                                : pair{std::in_place_index<1>, event_of(line)},
                             line.at("ts"));
      runner.push_timed(records);
    };
    table.push_back(std::move(r));
  };
  add("join-window-tumbling", [](events a, events b) {
    return a.join(b)
        .where(&event::k)
        .equal_to(&event::k)
        .window(tumbling_event_time_windows{10s})
        .apply([](const event& x, const event& y) {
          return json{{"k", x.k}, {"pair", x.id + "+" + y.id}}.dump();
        });
  });
  add("join-cogroup", [](events a, events b) {
    return a.co_group(b)
        .where(&event::k)
        .equal_to(&event::k)
        .window(tumbling_event_time_windows{10s})
        .allowed_lateness(5s)
        .apply([](std::span<const event> left, std::span<const event> right, collector<std::string>& out) {
          auto ids = [](std::span<const event> side) {
            auto all = json::array();
            for (auto& e : side)
              all.push_back(e.id);
            return all;
          };
          out.collect(
              json{{"k", (left.empty() ? right : left)[0].k}, {"left", ids(left)}, {"right", ids(right)}}.dump());
        });
  });
}

} // namespace dataflow::test::golden
