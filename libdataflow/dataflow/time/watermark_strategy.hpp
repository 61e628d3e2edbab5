/// watermark_strategy<T>: where a record's timestamp is, and how watermarks follow from the timestamps.
///
///   watermark_strategy<reading>::bounded_out_of_orderness(5s).with_timestamp(&reading::time).with_idleness(1min)
///
/// A strategy is a description: sources and assign_timestamps_and_watermarks() make generators from it, one per subtask
/// or per split. Work per record is a loop without calls; generators are called once per batch.
/// Threading: a value, copied into the graph. Ownership: copies of the user's functions.
/// Errors: errc::invalid_argument for a negative bound, an idle time-out that is not positive, a negative drift, an
/// update interval that is not positive, and an empty group.
/// Source: Flink's WatermarkStrategy.
#pragma once

#include <dataflow/record/codec.hpp>
#include <dataflow/time/watermark_alignment.hpp>
#include <dataflow/time/watermark_generators.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

namespace dataflow {

namespace detail {
void check_bound(std::chrono::milliseconds bound);
void check_idleness(std::chrono::milliseconds timeout);
void check_alignment(const watermark_alignment& alignment);

/// What a timestamp function may return: a time, or milliseconds since 1970.
template <class V>
timestamp to_timestamp(const V& v) noexcept {
  if constexpr (std::is_integral_v<V>)
    return timestamp{std::chrono::milliseconds{static_cast<std::int64_t>(v)}};
  else if constexpr (std::is_same_v<V, timestamp>)
    return v;
  else
    return std::chrono::floor<std::chrono::milliseconds>(v);
}
template <class V>
concept timestamp_value = (std::is_integral_v<V> && !std::is_same_v<V, bool>) || requires(const V& v) {
  { std::chrono::floor<std::chrono::milliseconds>(v) } -> std::same_as<timestamp>;
};

/// Finds the timestamps of a batch's records.
template <class T>
class timestamp_loop {
public:
  virtual ~timestamp_loop() = default;
  /// Stamps the records from `at` to `end`; `at` says how far it got, also when a function throws. `times` holds what
  /// the records had before. `now`: wall time.
  virtual void stamp(const T* records, timestamp* times, std::size_t& at, std::size_t end, timestamp now) = 0;
  /// Whether it reads what the records had before.
  virtual bool uses_previous() const noexcept { return false; }
};

/// A generator, whatever its records are.
class generator_base {
public:
  virtual ~generator_base() = default;
  virtual void on_periodic_emit(watermark_output& out, timestamp now) = 0;
  virtual void snapshot(byte_writer&) const {}
  virtual void restore(byte_reader&) {}
  /// Equal for generators whose snapshots fit each other; the same in every build and every library.
  virtual std::string kind() const = 0;
};

/// One generator, a batch at a time.
template <class T>
class generator_loop : public generator_base {
public:
  /// The records [begin, end) have been stamped. While the generator talks to `out`, `at` is the number of the record
  /// that follows.
  virtual void on_batch(const T* records, const timestamp* times, std::size_t begin, std::size_t end,
                        watermark_output& out, std::size_t& at) = 0;
};

template <class T, class F>
class function_timestamps final : public timestamp_loop<T> {
public:
  explicit function_timestamps(F f) : f_(std::move(f)) {}
  static constexpr bool with_previous = std::is_invocable_v<F&, const T&, timestamp>;
  void stamp(const T* records, timestamp* times, std::size_t& at, std::size_t end, timestamp) override {
    struct progress {
      std::size_t& kept;
      std::size_t i;
      ~progress() { kept = i; }
    } p{at, at};
    for (; p.i < end; ++p.i)
      if constexpr (with_previous)
        times[p.i] = to_timestamp(std::invoke(f_, records[p.i], times[p.i]));
      else
        times[p.i] = to_timestamp(std::invoke(f_, records[p.i]));
  }
  bool uses_previous() const noexcept override { return with_previous; }

private:
  F f_;
};

template <class T>
class ingestion_timestamps final : public timestamp_loop<T> {
public:
  void stamp(const T*, timestamp* times, std::size_t& at, std::size_t end, timestamp now) override {
    std::fill(times + at, times + end, now);
    at = end;
  }
};

template <class T, class G>
class generator_loop_of final : public generator_loop<T> {
public:
  explicit generator_loop_of(G g) : g_(std::move(g)) {}
  static constexpr bool periodic = requires(G & g, watermark_output& out) { g.on_periodic_emit(out); };
  static constexpr bool only_times = requires(G & g, const timestamp* t, std::size_t n) { g.on_events(t, n); };
  static constexpr bool stored = requires(G & g, const G& c, byte_writer& out, byte_reader& in) {
    c.snapshot(out);
    g.restore(in);
  };

  void on_batch(const T* records, const timestamp* times, std::size_t begin, std::size_t end, watermark_output& out,
                std::size_t& at) override {
    if constexpr (only_times) {
      g_.on_events(times + begin, end - begin);
    } else if constexpr (!std::is_same_v<G, no_watermarks_generator>) {
      for (at = begin; at < end;) {
        const auto i = at++;
        g_.on_event(records[i], times[i], out);
      }
    }
    at = end;
  }
  void on_periodic_emit(watermark_output& out, timestamp) override {
    if constexpr (periodic) g_.on_periodic_emit(out);
  }
  void snapshot(byte_writer& out) const override {
    if constexpr (stored) g_.snapshot(out);
  }
  void restore(byte_reader& in) override {
    if constexpr (stored) g_.restore(in);
  }
  std::string kind() const override {
    if constexpr (requires { std::string{G::name}; })
      return G::name;
    else if constexpr (has_codec<T>)
      return "generator of " + to_string(codec<T>::describe());
    else
      return "generator";
  }

private:
  G g_;
};

/// Event time is the time of arrival: the watermark follows the clock.
template <class T>
class ingestion_watermarks final : public generator_loop<T> {
public:
  void on_batch(const T*, const timestamp*, std::size_t, std::size_t end, watermark_output&, std::size_t& at) override {
    at = end;
  }
  void on_periodic_emit(watermark_output& out, timestamp now) override {
    out.emit_watermark(saturating_subtract(now, std::chrono::milliseconds{1}));
  }
  std::string kind() const override { return "ingestion"; }
};

} // namespace detail

template <class T>
class watermark_strategy {
public:
  using record = T;

  /// Records come out of order by at most `bound`. The watermark is the largest timestamp - bound - 1 ms, at the
  /// interval.
  static watermark_strategy bounded_out_of_orderness(std::chrono::milliseconds bound) {
    detail::check_bound(bound);
    return custom(bounded_out_of_orderness_generator{bound});
  }
  /// Timestamps of a subtask (of a split, in a source) never go back.
  static watermark_strategy monotonous_timestamps() { return bounded_out_of_orderness(std::chrono::milliseconds{0}); }
  /// f(record, timestamp) -> std::optional<timestamp>: a watermark that some records carry; sent at once.
  template <class F>
  static watermark_strategy punctuated(F f) {
    static_assert(std::is_invocable_r_v<std::optional<timestamp>, F&, const T&, timestamp>,
                  "punctuated: the function must take (const T&, timestamp) and return std::optional<timestamp>");
    return custom(punctuated_generator<F>{std::move(f)});
  }
  /// A generator of one's own; see watermark_generators.hpp. Each subtask or split gets a copy.
  template <class G>
  static watermark_strategy custom(G generator) {
    static_assert(watermark_generator<G, T>, "custom: the generator must be copyable and have "
                                             "on_event(const T&, timestamp, watermark_output&)");
    watermark_strategy s;
    using loop = detail::generator_loop_of<T, G>;
    s.periodic_ = loop::periodic;
    s.make_generator_ = [generator = std::move(generator)] { return std::make_unique<loop>(generator); };
    return s;
  }
  /// Only timestamps.
  static watermark_strategy no_watermarks() { return custom(no_watermarks_generator{}); }
  /// Timestamps are the wall time at which a record gets here, and watermarks follow it.
  static watermark_strategy ingestion_time() {
    watermark_strategy s;
    s.periodic_ = true;
    s.make_generator_ = [] { return std::make_unique<detail::ingestion_watermarks<T>>(); };
    s.make_timestamps_ = [] { return std::make_unique<detail::ingestion_timestamps<T>>(); };
    return s;
  }

  /// Where the timestamp is: a member, f(record), or f(record, timestamp that it had before). A time, or a number of
  /// milliseconds since 1970. Without this, records keep the timestamps that they have (from Kafka, for example).
  template <class F>
  watermark_strategy with_timestamp(F f) const {
    constexpr bool fits = std::is_invocable_v<F&, const T&> || std::is_invocable_v<F&, const T&, timestamp>;
    static_assert(fits, "with_timestamp: needs a member of the record, or a function of the record");
    if constexpr (fits) check_result<F>();
    auto s = *this;
    s.make_timestamps_ = [f = std::move(f)] { return std::make_unique<detail::function_timestamps<T, F>>(f); };
    return s;
  }
  /// Leave this input out of the minimum when it has brought nothing for longer than `timeout`.
  watermark_strategy with_idleness(std::chrono::milliseconds timeout) const {
    detail::check_idleness(timeout);
    auto s = *this;
    s.idle_timeout_ = timeout;
    return s;
  }
  /// Of sources: wait for the others of the group when ahead of the slowest by more than `max_drift`.
  watermark_strategy with_alignment(std::string group, std::chrono::milliseconds max_drift,
                                    std::chrono::milliseconds update_interval = std::chrono::seconds{1}) const {
    watermark_alignment alignment{std::move(group), max_drift, update_interval};
    detail::check_alignment(alignment);
    auto s = *this;
    s.alignment_ = std::move(alignment);
    return s;
  }

  // The engine's side.

  std::unique_ptr<detail::generator_loop<T>> make_generator() const { return make_generator_(); }
  /// Null: records keep the timestamps that they have.
  std::unique_ptr<detail::timestamp_loop<T>> make_timestamps() const {
    return make_timestamps_ ? make_timestamps_() : nullptr;
  }
  const std::optional<std::chrono::milliseconds>& idle_timeout() const noexcept { return idle_timeout_; }
  const std::optional<watermark_alignment>& alignment() const noexcept { return alignment_; }
  /// There is something to do at the interval.
  bool periodic() const noexcept { return periodic_ || idle_timeout_; }

private:
  watermark_strategy() = default;
  template <class F>
  static constexpr void check_result() {
    if constexpr (std::is_invocable_v<F&, const T&, timestamp>)
      check_value<std::decay_t<std::invoke_result_t<F&, const T&, timestamp>>>();
    else
      check_value<std::decay_t<std::invoke_result_t<F&, const T&>>>();
  }
  template <class V>
  static constexpr void check_value() {
    static_assert(detail::timestamp_value<V>,
                  "with_timestamp: the timestamp must be a time of the system's clock or a number of milliseconds");
  }

  std::function<std::unique_ptr<detail::generator_loop<T>>()> make_generator_;
  std::function<std::unique_ptr<detail::timestamp_loop<T>>()> make_timestamps_;
  std::optional<std::chrono::milliseconds> idle_timeout_;
  std::optional<watermark_alignment> alignment_;
  bool periodic_ = false;
};

} // namespace dataflow
