/// Triggers: when a window is evaluated, and whether it is emptied then.
///
/// A trigger is a value; what it remembers is its `state`, one per key and window, value-initialised with the window,
/// kept when the window is purged and gone with it. One of your own has
///   using state = ...;                                            // optional; needs a codec
///   trigger_result on_element(const T&, timestamp, const W&, auto& context);
///   trigger_result on_event_time(timestamp, const W&, auto& context);        // optional: continue
///   trigger_result on_processing_time(timestamp, const W&, auto& context);   // optional: continue
///   void on_merge(const W& merged, auto& context);                // makes it fit for sessions
///   void clear(const W&, auto& context);                          // optional: delete timers that were registered
/// The context offers state(), current_watermark(), current_processing_time(), register_event_time(t),
/// delete_event_time(t), register_processing_time(t), delete_processing_time(t) and, within on_merge, merged_states().
/// Setting a trigger replaces the default one of the windows: a count trigger on a time window does not fire at its
/// end. Threading: a copy per subtask. Units: milliseconds. Source: Flink's Trigger and its implementations.
#pragma once

#include <dataflow/windows/window.hpp>

#include <concepts>
#include <cstdint>
#include <optional>
#include <utility>

namespace dataflow {

enum class trigger_result : std::uint8_t {
  continue_ = 0,
  fire = 1,           ///< evaluate the window, keep its contents
  purge = 2,          ///< drop its contents
  fire_and_purge = 3, ///< both, in this order
};
constexpr bool fires(trigger_result r) noexcept { return (static_cast<unsigned>(r) & 1) != 0; }
constexpr bool purges(trigger_result r) noexcept { return (static_cast<unsigned>(r) & 2) != 0; }

namespace detail {
std::int64_t checked_count(const char* what, std::int64_t n);
std::int64_t checked_interval(const char* what, std::chrono::milliseconds interval);

struct no_trigger_state {};
template <class Trigger>
struct trigger_state_of {
  using type = no_trigger_state;
};
template <class Trigger>
requires requires { typename Trigger::state; }
struct trigger_state_of<Trigger> {
  using type = typename Trigger::state;
};
/// What a trigger remembers; no_trigger_state: nothing.
template <class Trigger>
using trigger_state = typename trigger_state_of<Trigger>::type;

// The optional members.
template <class Trigger, class W, class Context>
trigger_result trigger_on_event_time(Trigger& trigger, timestamp t, const W& window, Context& context) {
  if constexpr (requires { trigger.on_event_time(t, window, context); })
    return trigger.on_event_time(t, window, context);
  else
    return trigger_result::continue_;
}
template <class Trigger, class W, class Context>
trigger_result trigger_on_processing_time(Trigger& trigger, timestamp t, const W& window, Context& context) {
  if constexpr (requires { trigger.on_processing_time(t, window, context); })
    return trigger.on_processing_time(t, window, context);
  else
    return trigger_result::continue_;
}
template <class Trigger, class W, class Context>
void trigger_clear(Trigger& trigger, const W& window, Context& context) {
  if constexpr (requires { trigger.clear(window, context); }) trigger.clear(window, context);
}
} // namespace detail

/// Default of event-time windows: fires when the watermark passes the end, and again at once for each late record.
struct event_time_trigger {
  template <class T, class W, class Context>
  trigger_result on_element(const T&, timestamp, const W& window, Context& context) {
    if (window.max_timestamp() <= context.current_watermark()) return trigger_result::fire;
    context.register_event_time(window.max_timestamp());
    return trigger_result::continue_;
  }
  template <class W, class Context>
  trigger_result on_event_time(timestamp t, const W& window, Context&) {
    return t == window.max_timestamp() ? trigger_result::fire : trigger_result::continue_;
  }
  template <class W, class Context>
  void on_merge(const W& merged, Context& context) {
    if (merged.max_timestamp() > context.current_watermark()) context.register_event_time(merged.max_timestamp());
  }
  template <class W, class Context>
  void clear(const W& window, Context& context) {
    context.delete_event_time(window.max_timestamp());
  }
};

/// Default of processing-time windows: fires when the clock reaches the window's last millisecond.
struct processing_time_trigger {
  template <class T, class W, class Context>
  trigger_result on_element(const T&, timestamp, const W& window, Context& context) {
    context.register_processing_time(window.max_timestamp());
    return trigger_result::continue_;
  }
  template <class W, class Context>
  trigger_result on_processing_time(timestamp, const W&, Context&) {
    return trigger_result::fire;
  }
  template <class W, class Context>
  void on_merge(const W& merged, Context& context) {
    if (merged.max_timestamp() > context.current_processing_time())
      context.register_processing_time(merged.max_timestamp());
  }
  template <class W, class Context>
  void clear(const W& window, Context& context) {
    context.delete_processing_time(window.max_timestamp());
  }
};

/// Default of global windows.
struct never_trigger {
  template <class T, class W, class Context>
  trigger_result on_element(const T&, timestamp, const W&, Context&) {
    return trigger_result::continue_;
  }
  template <class W, class Context>
  void on_merge(const W&, Context&) {}
};

/// Fires at every n-th record of a window.
class count_trigger {
public:
  using state = std::int64_t;
  explicit count_trigger(std::int64_t n) : n_(detail::checked_count("a count trigger", n)) {}
  template <class T, class W, class Context>
  trigger_result on_element(const T&, timestamp, const W&, Context& context) {
    if (++context.state() < n_) return trigger_result::continue_;
    context.state() = 0;
    return trigger_result::fire;
  }
  template <class W, class Context>
  void on_merge(const W&, Context& context) {
    for (auto& merged : context.merged_states())
      context.state() += merged;
  }

private:
  std::int64_t n_;
};

/// Fires at multiples of the interval, counted from the epoch, once a record has come; and at the window's end.
class continuous_event_time_trigger {
public:
  using state = std::optional<timestamp>; ///< when it fires next
  explicit continuous_event_time_trigger(std::chrono::milliseconds interval)
      : interval_(detail::checked_interval("a continuous trigger", interval)) {}
  template <class T, class W, class Context>
  trigger_result on_element(const T&, timestamp t, const W& window, Context& context) {
    if (window.max_timestamp() <= context.current_watermark()) return trigger_result::fire;
    context.register_event_time(window.max_timestamp());
    const auto ms = t.time_since_epoch().count();
    if (!context.state()) arm(timestamp{std::chrono::milliseconds{ms - ms % interval_}}, window, context);
    return trigger_result::continue_;
  }
  template <class W, class Context>
  trigger_result on_event_time(timestamp t, const W& window, Context& context) {
    if (t == window.max_timestamp()) return trigger_result::fire;
    if (context.state() != t) return trigger_result::continue_;
    arm(t, window, context);
    return trigger_result::fire;
  }
  template <class W, class Context>
  void on_merge(const W&, Context& context) {
    for (auto& merged : context.merged_states())
      if (merged && (!context.state() || *merged < *context.state())) context.state() = merged;
    if (context.state()) context.register_event_time(*context.state());
  }
  template <class W, class Context>
  void clear(const W& window, Context& context) {
    if (context.state()) context.delete_event_time(*context.state());
    context.state().reset();
    context.delete_event_time(window.max_timestamp());
  }

private:
  template <class W, class Context>
  void arm(timestamp from, const W& window, Context& context) {
    const auto next = std::min(saturating_add(from, std::chrono::milliseconds{interval_}), window.max_timestamp());
    context.state() = next;
    context.register_event_time(next);
  }
  std::int64_t interval_;
};

/// Fires at multiples of the interval of the clock, once a record has come.
class continuous_processing_time_trigger {
public:
  using state = std::optional<timestamp>;
  explicit continuous_processing_time_trigger(std::chrono::milliseconds interval)
      : interval_(detail::checked_interval("a continuous trigger", interval)) {}
  template <class T, class W, class Context>
  trigger_result on_element(const T&, timestamp, const W& window, Context& context) {
    const auto now = context.current_processing_time().time_since_epoch().count();
    if (!context.state()) arm(timestamp{std::chrono::milliseconds{now - now % interval_}}, window, context);
    return trigger_result::continue_;
  }
  template <class W, class Context>
  trigger_result on_processing_time(timestamp t, const W& window, Context& context) {
    if (context.state() != t) return trigger_result::continue_;
    if (t < window.max_timestamp()) // an event-time window may have ended long before
      arm(t, window, context);
    else
      context.state().reset();
    return trigger_result::fire;
  }
  template <class W, class Context>
  void on_merge(const W&, Context& context) {
    for (auto& merged : context.merged_states())
      if (merged && (!context.state() || *merged < *context.state())) context.state() = merged;
    if (context.state()) context.register_processing_time(*context.state());
  }
  template <class W, class Context>
  void clear(const W&, Context& context) {
    if (context.state()) context.delete_processing_time(*context.state());
    context.state().reset();
  }

private:
  template <class W, class Context>
  void arm(timestamp from, const W& window, Context& context) {
    const auto next = std::min(saturating_add(from, std::chrono::milliseconds{interval_}), window.max_timestamp());
    context.state() = next;
    context.register_processing_time(next);
  }
  std::int64_t interval_;
};

/// Empties the window whenever the trigger inside fires.
template <class Trigger>
class purging_trigger {
public:
  using state = detail::trigger_state<Trigger>;
  explicit purging_trigger(Trigger inner) : inner_(std::move(inner)) {}
  template <class T, class W, class Context>
  trigger_result on_element(const T& record, timestamp t, const W& window, Context& context) {
    return purged(inner_.on_element(record, t, window, context));
  }
  template <class W, class Context>
  trigger_result on_event_time(timestamp t, const W& window, Context& context) {
    return purged(detail::trigger_on_event_time(inner_, t, window, context));
  }
  template <class W, class Context>
  trigger_result on_processing_time(timestamp t, const W& window, Context& context) {
    return purged(detail::trigger_on_processing_time(inner_, t, window, context));
  }
  template <class W, class Context>
  void on_merge(const W& merged, Context& context) requires requires(Trigger& t) {
    t.on_merge(merged, context);
  }
  { inner_.on_merge(merged, context); }
  template <class W, class Context>
  void clear(const W& window, Context& context) {
    detail::trigger_clear(inner_, window, context);
  }

private:
  static trigger_result purged(trigger_result r) noexcept { return fires(r) ? trigger_result::fire_and_purge : r; }
  Trigger inner_;
};

namespace detail {
template <class T, class F>
class delta_trigger_of {
public:
  using state = std::optional<T>; ///< the record of the last firing
  delta_trigger_of(double threshold, F delta) : threshold_(threshold), delta_(std::move(delta)) {}
  template <class W, class Context>
  trigger_result on_element(const T& record, timestamp, const W&, Context& context) {
    auto& last = context.state();
    if (last && !(delta_(*last, record) > threshold_)) return trigger_result::continue_;
    const bool first = !last;
    last = record;
    return first ? trigger_result::continue_ : trigger_result::fire;
  }

private:
  double threshold_;
  F delta_;
};
} // namespace detail

/// delta_trigger<T>(threshold, f): fires when f(const T& last, const T& now) -> double exceeds the threshold; `last` is
/// the record of the last firing, at first the first one. Not for sessions.
template <class T, class F>
detail::delta_trigger_of<T, F> delta_trigger(double threshold, F delta) {
  return {threshold, std::move(delta)};
}

} // namespace dataflow
