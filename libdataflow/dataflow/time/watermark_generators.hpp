/// Watermark generators: from the timestamps of the records to the promise that nothing older will come.
///
/// A generator is any copyable class with
///   void on_event(const T& record, timestamp t, watermark_output& out);   // after the record has gone on
///   void on_periodic_emit(watermark_output& out);                         // optional: at the interval
/// on_event may emit at once (punctuated), on_periodic_emit at pipeline.auto-watermark-interval. Where one has
///   void snapshot(byte_writer& out) const;
///   void restore(byte_reader& in);
/// it goes on from a checkpoint; else it begins anew there, as all of Flink's do. What was stored goes to a generator
/// of the same name: `static constexpr const char* name`, which one of your own needs when a strategy's generator is
/// ever exchanged for another with a snapshot; without it all generators of one record type have one name. Threading:
/// one call at a time; each subtask, or each split of a source, has a copy of its own. Units: milliseconds. Source:
/// Flink's WatermarkGenerator, BoundedOutOfOrdernessWatermarks, WatermarksWithIdleness.
#pragma once

#include <dataflow/time/saturating.hpp>
#include <dataflow/time/timestamp.hpp>
#include <dataflow/util/bytes.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <optional>
#include <utility>

namespace dataflow {

/// What a generator can say. A watermark that does not advance is ignored; one that does ends idleness.
class watermark_output {
public:
  virtual void emit_watermark(timestamp t) = 0;
  virtual void mark_idle() = 0;
  virtual void mark_active() = 0;

protected:
  ~watermark_output() = default;
};

template <class G, class T>
concept watermark_generator = std::copy_constructible<G> &&
    requires(G& g, const T& record, timestamp t, watermark_output& out) {
  g.on_event(record, t, out);
};

/// The largest timestamp, less the bound, less one millisecond. Nothing before the first record.
class bounded_out_of_orderness_generator {
public:
  static constexpr const char* name = "bounded out-of-orderness";
  /// REQUIRES: bound >= 0.
  explicit bounded_out_of_orderness_generator(std::chrono::milliseconds bound) noexcept
      : bound_(bound), largest_(saturating_add(min_timestamp + std::chrono::milliseconds{1}, bound)) {}
  void on_event(timestamp t) noexcept { largest_ = std::max(largest_, t); }
  void on_events(const timestamp* t, std::size_t n) noexcept {
    auto largest = largest_;
    for (std::size_t i = 0; i < n; ++i)
      largest = std::max(largest, t[i]);
    largest_ = largest;
  }
  template <class T>
  void on_event(const T&, timestamp t, watermark_output&) noexcept {
    on_event(t);
  }
  /// Cannot overflow: `largest_` begins that far from the limit.
  timestamp watermark() const noexcept { return largest_ - bound_ - std::chrono::milliseconds{1}; }
  void on_periodic_emit(watermark_output& out) const { out.emit_watermark(watermark()); }
  void snapshot(byte_writer& out) const { out.fixed(largest_); }
  /// Another bound than before is fine.
  void restore(byte_reader& in) { largest_ = std::max(largest_, in.fixed<timestamp>()); }

private:
  std::chrono::milliseconds bound_;
  timestamp largest_;
};

/// A watermark whenever f(record, timestamp) gives one, at once.
template <class F>
class punctuated_generator {
public:
  static constexpr const char* name = "punctuated";
  explicit punctuated_generator(F f) : f_(std::move(f)) {}
  template <class T>
  void on_event(const T& record, timestamp t, watermark_output& out) {
    if (const std::optional<timestamp> mark = f_(record, t)) out.emit_watermark(*mark);
  }

private:
  F f_;
};

/// Says nothing; only the end of the input moves event time.
struct no_watermarks_generator {
  static constexpr const char* name = "none";
  template <class T>
  void on_event(const T&, timestamp, watermark_output&) noexcept {}
};

/// Whether records have come lately. Judged on the periodic tick: idle when more than the time-out has passed since
/// the first tick without a record.
class idleness_timer {
public:
  explicit idleness_timer(std::chrono::milliseconds timeout) noexcept
      : timeout_(std::min(timeout, std::chrono::floor<std::chrono::milliseconds>(std::chrono::nanoseconds::max()))) {}
  void activity() noexcept {
    active_ = true;
    idle_ = false;
  }
  enum class verdict : std::uint8_t {
    active,     ///< ask the generator
    idle_now,   ///< say so
    still_idle, ///< that has been said
  };
  /// `now`: any clock that does not go back.
  verdict check(std::chrono::nanoseconds now) noexcept {
    if (std::exchange(active_, false)) {
      since_.reset();
      return verdict::active;
    }
    if (!since_) {
      since_ = now;
      return verdict::active;
    }
    if (now - *since_ <= timeout_) return verdict::active;
    return std::exchange(idle_, true) ? verdict::still_idle : verdict::idle_now;
  }
  /// What has been said is not kept: those behind are told again after a restart.
  void snapshot(byte_writer& out, std::chrono::nanoseconds now) const {
    out.fixed<std::uint8_t>(static_cast<std::uint8_t>((active_ ? 1 : 0) | (since_ ? 2 : 0)));
    out.fixed<std::int64_t>(since_ ? (now - *since_).count() : 0);
  }
  void restore(byte_reader& in, std::chrono::nanoseconds now) {
    const auto flags = in.fixed<std::uint8_t>();
    const std::chrono::nanoseconds inactive{in.fixed<std::int64_t>()};
    active_ = (flags & 1) != 0;
    if ((flags & 2) != 0) since_ = now - inactive;
  }

private:
  std::chrono::nanoseconds timeout_;
  std::optional<std::chrono::nanoseconds> since_; // the first tick without a record
  bool active_ = false, idle_ = false;
};

} // namespace dataflow
