#include <dataflow/api/explain_silence.hpp>
#include <dataflow/time/iso8601.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace dataflow {

namespace {

using std::chrono::milliseconds;
/// Shorter gaps are no silence: a periodic watermark may be that late.
constexpr milliseconds quiet_after{1000};

timestamp time_of(std::int64_t watermark) { return timestamp{milliseconds{watermark}}; }
milliseconds since(steady_time then, steady_time now) {
  return std::max(milliseconds{0}, std::chrono::duration_cast<milliseconds>(now - then));
}
std::string duration_text(milliseconds d) {
  if (d < milliseconds{10'000}) return std::to_string(d.count()) + " ms";
  return std::to_string(d.count() / 1000) + " s";
}
std::string with_subtask(const std::string& name, const task_event_time& t) {
  return name + " (" + std::to_string(t.scope.subtask + 1) + "/" + std::to_string(t.parallelism) + ")";
}

class explainer {
public:
  explicit explainer(const job_report& report) {
    for (auto& t : report.event_times)
      if (!t.finished && !t.operators.empty()) tasks_[{t.scope.vertex, t.scope.subtask}] = &t;
  }

  std::vector<silence> explain() {
    std::set<std::pair<std::int64_t, std::int64_t>> read;
    for (auto& [place, t] : tasks_)
      for (auto& c : t->channels)
        read.insert({c.vertex, c.subtask});
    for (auto& [place, t] : tasks_)
      if (!read.contains(place)) trace(*t, with_subtask(t->operators.back().name, *t), "(chained)", 0);
    for (auto& [place, t] : tasks_)
      for (auto& o : t->operators)
        if (o.waits_for) add_waiting(*t, o);
    return std::move(found_);
  }

private:
  void add(silence s, const task_event_time& t) {
    if (!said_.insert({t.scope.vertex, t.scope.subtask, s.operator_name + '\n' + s.split + '\n' + s.channel}).second)
      return;
    const auto state = s.watermark == min_timestamp ? std::string{"has no watermark yet"}
                                                    : "stands at " + describe_watermark(s.watermark);
    s.text = s.waiting + " is held back by " + s.operator_name +
             (s.split.empty() ? std::string{} : ", split \"" + s.split + "\"") + ", on channel " + s.channel +
             ": event time there " + state + ", for " + duration_text(s.standing) + " now. " + s.text;
    found_.push_back(std::move(s));
  }

  /// The input that holds `t` back; null: all are idle or have ended.
  static const channel_event_time* least_channel(const task_event_time& t) {
    const channel_event_time* least = nullptr;
    for (auto& c : t.channels)
      if (!c.ended && !c.idle && (!least || c.watermark < least->watermark)) least = &c;
    return least;
  }
  static const split_event_time* least_split(const task_event_time& t) {
    const split_event_time* least = nullptr;
    for (auto& s : t.splits)
      if (!s.idle && (!least || s.watermark < least->watermark)) least = &s;
    return least;
  }
  const task_event_time* writer_of(const channel_event_time& c) const {
    const auto found = tasks_.find({c.vertex, c.subtask});
    return found == tasks_.end() ? nullptr : found->second;
  }
  /// The split that the event time of `t` comes from.
  std::string origin_of(const task_event_time& t) const {
    const auto* at = &t;
    for (int depth = 0; at && depth < 1000; ++depth) {
      if (at->source) {
        const auto* split = least_split(*at);
        return split ? split->split : at->splits.empty() ? std::string{} : at->splits.front().split;
      }
      const auto* channel = least_channel(*at);
      at = channel ? writer_of(*channel) : nullptr;
    }
    return {};
  }

  /// What holds `t` back, for `waiting`, which it reaches on `channel`.
  void trace(const task_event_time& t, const std::string& waiting, const std::string& channel, int depth) {
    if (depth > 1000) return; // loops have no event time of their own
    for (auto o = t.operators.rbegin(); o != t.operators.rend(); ++o) {
      if (o->makes_watermarks) return assigner(t, *o, waiting, channel);
      if (o->output < o->input && since(o->advanced, t.at) >= quiet_after) return held(t, *o, waiting, channel);
    }
    if (t.source) return source(t, waiting, channel);
    if (const auto* least = least_channel(t)) {
      if (const auto* next = writer_of(*least)) trace(*next, waiting, least->name, depth + 1);
    } else if (std::any_of(t.channels.begin(), t.channels.end(), [](auto& c) { return !c.ended; })) {
      all_idle(t, waiting, channel);
    }
  }

  void held(const task_event_time& t, const operator_event_time& o, const std::string& waiting,
            const std::string& channel) {
    silence s;
    s.cause = silence_cause::held;
    s.waiting = waiting;
    s.operator_name = with_subtask(o.name, t);
    s.channel = channel;
    s.split = origin_of(t);
    s.watermark = time_of(o.output);
    s.standing = since(o.advanced, t.at);
    s.text = "It has got " + describe_watermark(time_of(o.input)) +
             " and not sent it on: it still works on what that causes, or waits for answers from outside. Idleness "
             "would not help.";
    add(std::move(s), t);
  }

  void all_idle(const task_event_time& t, const std::string& waiting, const std::string& channel) {
    silence s;
    s.cause = silence_cause::all_idle;
    s.waiting = waiting;
    s.operator_name = with_subtask(t.operators.front().name, t);
    s.channel = channel;
    for (auto& c : t.channels) {
      if (c.ended) continue;
      s.channel = c.name;
      if (const auto* writer = writer_of(c)) s.split = origin_of(*writer);
      s.watermark = time_of(c.watermark);
      s.standing = since(c.advanced, t.at);
    }
    s.text = "All its inputs are idle: event time goes on with the next record.";
    add(std::move(s), t);
  }

  void assigner(const task_event_time& t, const operator_event_time& o, const std::string& waiting,
                const std::string& channel) {
    silence s;
    s.waiting = waiting;
    s.operator_name = with_subtask(o.name, t);
    s.channel = channel;
    s.split = origin_of(t);
    s.watermark = time_of(o.output);
    s.standing = since(o.advanced, t.at);
    tell(s, since(o.last_record, t.at), false);
    add(std::move(s), t);
  }

  void source(const task_event_time& t, const std::string& waiting, const std::string& channel) {
    silence s;
    s.waiting = waiting;
    s.operator_name = with_subtask(t.operators.front().name, t);
    s.channel = channel;
    if (!t.strategy) {
      s.cause = silence_cause::no_strategy;
      s.standing = since(t.operators.front().advanced, t.at);
      s.split = origin_of(t);
      s.text = "The source has no watermark strategy, so event time moves only at its end: give env.from() one, or "
               "call assign_timestamps_and_watermarks() behind it.";
      return add(std::move(s), t);
    }
    const auto* least = least_split(t);
    if (!least) {
      s.cause = silence_cause::all_idle;
      s.split = origin_of(t);
      s.watermark = time_of(t.operators.front().output);
      s.standing = since(t.operators.front().advanced, t.at);
      s.text = t.splits.empty() ? "It has no split to read." : "All its splits are idle.";
      return add(std::move(s), t);
    }
    s.split = least->split;
    s.watermark = time_of(least->watermark);
    s.standing = since(least->advanced, t.at);
    if (least->paused || t.must_wait) {
      s.cause = silence_cause::aligned;
      s.text = "It is paused: its alignment group \"" + t.alignment_group + "\" allows event time up to " +
               describe_watermark(time_of(t.limit.value_or(no_watermark_yet))) + slowest_of(t.alignment_group) +
               " Idleness there would help, if it is silent.";
      return add(std::move(s), t);
    }
    tell(s, since(least->last_record, t.at), t.idle_timeout.count() > 0);
    add(std::move(s), t);
  }

  /// Records or none: is it slow, or silent?
  static void tell(silence& s, milliseconds without_records, bool has_idleness) {
    if (without_records < quiet_after) {
      s.cause = silence_cause::behind;
      s.text = "Records come from there, but their time is behind; idleness would not help.";
      return;
    }
    s.cause = silence_cause::no_records;
    s.idleness_would_help = true;
    s.text = "No record has come from there for " + duration_text(without_records) +
             (has_idleness ? ": it becomes idle after its time-out and is then left out."
                           : "; with_idleness() in its watermark strategy would leave it out until one comes.");
  }

  std::string slowest_of(const std::string& group) const {
    const task_event_time* slowest = nullptr;
    auto watermark = [](const task_event_time& t) { return t.operators.front().output; };
    for (auto& [place, t] : tasks_)
      if (t->alignment_group == group && !t->idle && (!slowest || watermark(*t) < watermark(*slowest))) slowest = t;
    if (!slowest) return ".";
    return ", and waits for its slowest member, " + with_subtask(slowest->operators.front().name, *slowest) + ", at " +
           describe_watermark(time_of(watermark(*slowest))) + ".";
  }

  void add_waiting(const task_event_time& t, const operator_event_time& o) {
    silence s;
    s.cause = silence_cause::waiting;
    s.waiting = s.operator_name = with_subtask(o.name, t);
    s.channel = "(chained)";
    if (const auto* least = least_channel(t)) s.channel = least->name;
    s.split = origin_of(t);
    s.watermark = time_of(o.input);
    s.standing = since(o.advanced, t.at);
    s.text = s.waiting + " waits for event time " + describe_watermark(time_of(*o.waits_for)) +
             (o.waiting.empty() ? std::string{} : ": " + o.waiting) + ". Its watermark, on channel " + s.channel +
             (s.split.empty() ? std::string{} : " from split \"" + s.split + "\"") + ", is " +
             describe_watermark(s.watermark) + ".";
    found_.push_back(std::move(s));
  }

  std::map<std::pair<std::int64_t, std::int64_t>, const task_event_time*> tasks_;
  std::set<std::tuple<std::int64_t, std::int64_t, std::string>> said_;
  std::vector<silence> found_;
};

} // namespace

std::string_view to_string(silence_cause cause) noexcept {
  switch (cause) {
  case silence_cause::no_records:
    return "no records";
  case silence_cause::behind:
    return "behind";
  case silence_cause::no_strategy:
    return "no watermark strategy";
  case silence_cause::aligned:
    return "aligned";
  case silence_cause::all_idle:
    return "all idle";
  case silence_cause::held:
    return "held";
  case silence_cause::waiting:
    return "waiting";
  }
  return "unknown";
}

std::vector<silence> explain_silence(const job_report& report) { return explainer{report}.explain(); }

std::vector<std::pair<std::string, std::uint64_t>> late_records_dropped(const job_report& report) {
  std::map<std::string, std::uint64_t> sums;
  for (auto& g : report.metrics.groups)
    if (!g.scope.operator_name.empty())
      if (const auto n = g.value("numLateRecordsDropped"); n > 0)
        sums[g.scope.operator_name] += static_cast<std::uint64_t>(n);
  return {sums.begin(), sums.end()};
}

} // namespace dataflow
