// Process functions of the operator table: timers, keyed state with a time to live, two inputs, broadcast state.
#include <dataflow/dataflow.hpp>

#include <chrono>

#include "operator_table.hpp"

namespace dataflow::test::golden {

namespace {

using namespace std::chrono_literals;

/// Obeys the field `side`: reg, del, chain, back, preg, pdel, wm.
class timers_function : public keyed_process_function<std::string, event, std::string> {
  map_state<std::int64_t, std::int64_t> chains_ = state("chains"); // time -> how many are left
  map_state<std::int64_t, bool> backs_ = state("backs");

public:
  void process(const event& e, context& ctx, collector<std::string>& out) override {
    if (e.side == "reg" || e.side == "chain" || e.side == "back") ctx.timers().register_event_time(at_ms(e.v));
    if (e.side == "chain") chains_.put(e.v, 3);
    if (e.side == "back") backs_.put(e.v, true);
    if (e.side == "del") ctx.timers().delete_event_time(at_ms(e.v));
    if (e.side == "preg") ctx.timers().register_processing_time(at_ms(e.v));
    if (e.side == "pdel") ctx.timers().delete_processing_time(at_ms(e.v));
    if (e.side == "wm")
      out.collect(
          json{{"k", e.k}, {"element", e.id}, {"element_ts", e.ts}, {"wm", ms(ctx.current_watermark())}}.dump());
  }
  void on_timer(timestamp t, timer_context& ctx, collector<std::string>& out) override {
    out.collect(json{{"k", ctx.key()}, {"timer", ms(t)}, {"wm", ms(ctx.timers().current_watermark())}}.dump());
    if (const auto left = chains_.value_or(ms(t), 0); left > 0) {
      ctx.timers().register_event_time(t + 1s);
      chains_.remove(ms(t));
      chains_.put(ms(t) + 1000, left - 1);
    }
    if (backs_.contains(ms(t))) {
      backs_.remove(ms(t));
      ctx.timers().register_event_time(t - 500ms);
    }
  }
};

/// The first element of a key waits for one from the other input, or for its timer.
class match_function : public keyed_co_process_function<std::string, event, event, std::string> {
  value_state<std::string> left_ = state("left"), right_ = state("right");

public:
  void process1(const event& e, context& ctx, collector<std::string>& out) override {
    if (right_.has_value()) {
      out.collect(json{{"k", e.k}, {"match", e.id + "+" + *right_}, {"wm", ms(ctx.current_watermark())}}.dump());
      right_.clear();
    } else {
      left_ = e.id;
      ctx.timers().register_event_time(at_ms(e.ts) + 1s);
    }
  }
  void process2(const event& e, context& ctx, collector<std::string>& out) override {
    if (left_.has_value()) {
      out.collect(json{{"k", e.k}, {"match", *left_ + "+" + e.id}, {"wm", ms(ctx.current_watermark())}}.dump());
      left_.clear();
    } else {
      right_ = e.id;
      ctx.timers().register_event_time(at_ms(e.ts) + 1s);
    }
  }
  void on_timer(timestamp t, timer_context& ctx, collector<std::string>& out) override {
    auto text = [](value_state<std::string>& s) { return s.has_value() ? json(*s) : json(nullptr); };
    out.collect(json{{"k", ctx.key()},
                     {"timer", ms(t)},
                     {"unmatched_left", text(left_)},
                     {"unmatched_right", text(right_)},
                     {"wm", ms(ctx.current_watermark())}}
                    .dump());
    left_.clear();
    right_.clear();
  }
};

class ttl_function : public keyed_process_function<std::string, event, std::string> {
  value_state<std::int64_t> value_;

public:
  explicit ttl_function(ttl rules) : value_(state("value", rules)) {}
  void process(const event& e, context&, collector<std::string>& out) override {
    if (e.side == "value.update") value_ = e.v;
    if (e.side == "value.clear") value_.clear();
    if (e.side != "value.read") return;
    json read;
    if (value_.has_value()) read = *value_;
    out.collect(json{{"k", e.k}, {"value", read}}.dump());
  }
};

const map_state_descriptor<std::string, std::int64_t> limits{"limits"};

/// A rule sets the limit, or (by `side`) removes it, dumps or resets the counts of all keys.
class rules_function : public keyed_broadcast_process_function<std::string, event, event, std::string> {
  value_state<std::int64_t> count_ = state("count");

  template <class Context>
  static json limit(Context& ctx) {
    const auto* l = ctx.state(limits).find("limit");
    return l ? json(*l) : json(nullptr);
  }

public:
  void process(const event& e, read_only_context& ctx, collector<std::string>& out) override {
    const auto now = limit(ctx);
    count_ = count_.value_or(0) + 1;
    out.collect(json{{"k", ctx.key()},
                     {"id", e.id},
                     {"v", e.v},
                     {"limit", now},
                     {"above", !now.is_null() && e.v > now.get<std::int64_t>()},
                     {"count", *count_},
                     {"wm", ms(ctx.current_watermark())}}
                    .dump());
    if (e.side == "timer") ctx.timers().register_event_time(at_ms(e.ts) + 100ms);
  }
  void process_broadcast(const event& e, context& ctx, collector<std::string>& out) override {
    if (e.side == "remove")
      ctx.state(limits).remove("limit");
    else if (e.side == "dump")
      ctx.apply_to_keyed_state(count_, [&](const std::string& key, value_state<std::int64_t>& count) {
        out.collect(json{{"k", key}, {"dumped_count", *count}}.dump());
      });
    else if (e.side == "reset")
      ctx.apply_to_keyed_state(count_, [](const std::string&, value_state<std::int64_t>& count) { count.clear(); });
    else
      ctx.state(limits).put("limit", e.v);
  }
  void on_timer(timestamp t, timer_context& ctx, collector<std::string>& out) override {
    out.collect(json{{"k", ctx.key()}, {"timer", ms(t)}, {"limit", limit(ctx)}}.dump());
  }
};

} // namespace

void add_process_rows(std::vector<row>& table) {
  for (const char* data : {"time-timers", "time-timers-end-of-input"}) {
    table.push_back(
        one_input(data, "process_operator", [](events in) { return in.key_by(&event::k).process<timers_function>(); }));
    table.back().ordered = true;
  }
  for (const bool on_read : {false, true})
    for (const bool shown : {false, true}) {
      auto rules = ttl{1s}.without_background_clean_up();
      if (on_read) rules = rules.update_on_read();
      if (shown) rules = rules.return_if_not_cleaned_up();
      auto r = one_input("ttl-value", "process_operator",
                         [rules](events in) { return in.key_by(&event::k).process<ttl_function>(rules); });
      r.pick = {{"update", on_read ? "OnReadAndWrite" : "OnCreateAndWrite"},
                {"visibility", shown ? "ReturnExpiredIfNotCleanedUp" : "NeverReturnExpired"}};
      r.event_time = false;
      r.stamps = false;
      r.ordered = true;
      r.pipelines = played::never;
      table.push_back(std::move(r));
    }
  table.push_back(two_inputs("connect-co-process", "co_process_operator", [](const events& a, const events& b) {
    return a.connect(b).key_by(&event::k, &event::k).process<match_function>();
  }));
  table.back().ordered = true;
  table.push_back(two_inputs("broadcast-state", "broadcast_process_operator", [](const events& a, const events& b) {
    return a.key_by(&event::k).connect(b.broadcast(limits)).process<rules_function>();
  }));
}

} // namespace dataflow::test::golden
