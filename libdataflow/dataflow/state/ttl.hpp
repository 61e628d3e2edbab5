/// Time to live of state: how long after its last access a value is forgotten.
///
///   value_state<timestamp> last_seen_ = state("last-seen", ttl{24h}.update_on_read());
/// Lists and maps forget each entry by itself. Time is wall time, through the task's clock; a value whose last access
/// was exactly the time to live ago has expired. Expired values are removed when they are met, and in the background: a
/// few rows are looked at with every batch of records.
/// Threading: a value. Errors: errc::invalid_argument for a time that is not positive.
/// Source: Flink's StateTtlConfig, TtlUtils.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace dataflow {

class ttl {
public:
  explicit ttl(std::chrono::milliseconds time) : time_(checked(time)) {}

  /// Reading prolongs a value's life, too. Otherwise only creating and writing do.
  ttl update_on_read() const { return with(&ttl::on_read_, true); }
  /// A value that has expired is shown until something removes it; reading it does. Otherwise it is never shown.
  ttl return_if_not_cleaned_up() const { return with(&ttl::shows_, true); }
  /// Snapshots do not contain what has expired; what incremental checkpoints have stored before does.
  ttl clean_up_in_snapshots() const { return with(&ttl::cleans_snapshots_, true); }
  /// Expired values are removed only when they are met.
  ttl without_background_clean_up() const { return with(&ttl::cleans_, false); }

  std::chrono::milliseconds time() const noexcept { return time_; }
  bool updates_on_read() const noexcept { return on_read_; }
  bool shows_expired() const noexcept { return shows_; }
  bool cleans_up() const noexcept { return cleans_; }
  bool cleans_snapshots() const noexcept { return cleans_snapshots_; }
  /// Both in milliseconds of wall time.
  bool expired(std::int64_t last_access, std::int64_t now) const noexcept {
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    const std::int64_t life = time_.count();
    return (last_access > 0 && life > most - last_access ? most : last_access + life) <= now;
  }

private:
  static std::chrono::milliseconds checked(std::chrono::milliseconds time);
  ttl with(bool ttl::*what, bool value) const {
    auto t = *this;
    t.*what = value;
    return t;
  }
  std::chrono::milliseconds time_;
  bool on_read_ = false, shows_ = false, cleans_ = true, cleans_snapshots_ = false;
};

} // namespace dataflow
