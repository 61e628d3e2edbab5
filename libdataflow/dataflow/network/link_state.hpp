/// The life of the connection between two task managers: when to connect, when to try again, when those who wait for it
/// have waited too long.
///
/// Of each pair the one with the smaller id connects, and the other one waits for it: two connections at once could not
/// both be used, and their ends would not agree on which broke. A connection that broke is made anew when somebody
/// wants to use the link again, at once for the first time, then after growing delays.
/// A pure state machine in virtual time. Threading: one thread at a time. Times are those of any monotonic clock.
#pragma once

#include <dataflow/util/clock.hpp>
#include <dataflow/util/random.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace dataflow {

struct link_settings {
  using milliseconds = std::chrono::milliseconds;
  milliseconds first_delay{50}, longest_delay{5'000}; ///< between attempts to connect; doubled each time
  milliseconds patience{10'000};                      ///< how long who wants the link waits for it
};

class link_state {
public:
  enum class phase : std::uint8_t {
    idle,        ///< nobody wants it
    waiting,     ///< the other side is to connect
    connecting,  ///< an attempt is being made
    backing_off, ///< the next attempt has its time
    up,
  };
  /// `connects`: this side does.
  link_state(link_settings settings, bool connects, std::uint64_t seed)
      : settings_(settings), connects_(connects), random_(seed) {}

  phase now_in() const noexcept { return phase_; }
  bool is_up() const noexcept { return phase_ == phase::up; }

  /// Somebody wants to use it.
  void want(steady_time now);
  /// Nobody does any more. A connection that is up stays.
  void unwant() noexcept;
  /// An attempt is due: the caller makes it now, and says what has become of it with connected() or failed().
  bool start_attempt(steady_time now);
  void failed(steady_time now);
  void connected() noexcept;
  /// The connection broke.
  void lost(steady_time now);
  /// Who waits has waited too long: true once, and nobody wants the link until the next want().
  bool give_up(steady_time now);
  /// When to ask start_attempt() and give_up() again; none: after the next event.
  std::optional<steady_time> next() const noexcept;

private:
  void seek(steady_time now);

  link_settings settings_;
  bool connects_;
  random_source random_;
  phase phase_ = phase::idle;
  bool wanted_ = false;
  std::uint32_t failures_ = 0; // in a row
  steady_time attempt_at_{0}, patient_until_{0};
};

} // namespace dataflow
