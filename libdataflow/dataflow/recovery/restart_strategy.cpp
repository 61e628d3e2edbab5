#include <dataflow/config/configuration.hpp>
#include <dataflow/config/units.hpp>
#include <dataflow/recovery/restart_strategy.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>

namespace dataflow {

namespace {

using std::chrono::milliseconds;

class no_restart final : public restart_strategy {
public:
  restart_decision failed(milliseconds) override { return {}; }
  std::string describe() const override { return "no restarts"; }
};

class fixed_delay final : public restart_strategy {
public:
  explicit fixed_delay(const restart_settings& s) : settings_(s) {}
  restart_decision failed(milliseconds) override {
    ++failures_;
    return {failures_ <= settings_.attempts, settings_.delay};
  }
  std::string describe() const override {
    return "fixed delay of " + format_duration(settings_.delay) + ", at most " + std::to_string(settings_.attempts) +
           " restarts";
  }

private:
  restart_settings settings_;
  std::uint64_t failures_ = 0;
};

class failure_rate final : public restart_strategy {
public:
  explicit failure_rate(const restart_settings& s) : settings_(s) {}
  restart_decision failed(milliseconds now) override {
    recent_.push_back(now);
    if (recent_.size() > std::size_t{settings_.max_failures} + 1) recent_.pop_front();
    // The failure max_failures before this one must be older than the interval; exactly as old still counts.
    const bool too_many = recent_.size() > settings_.max_failures && now - recent_.front() <= settings_.interval;
    return {!too_many, settings_.delay};
  }
  std::string describe() const override {
    return "failure rate of at most " + std::to_string(settings_.max_failures) + " in " +
           format_duration(settings_.interval) + ", delay " + format_duration(settings_.delay);
  }

private:
  restart_settings settings_;
  std::deque<milliseconds> recent_; // at most max_failures + 1
};

class exponential_delay final : public restart_strategy {
public:
  exponential_delay(const restart_settings& s, std::uint64_t seed) : settings_(s), random_(seed) {}
  restart_decision failed(milliseconds now) override {
    if (next_ && now <= *next_) return {attempt_ <= settings_.attempts, *next_ - now, false};
    if (next_ && now - *next_ >= settings_.reset_after) attempt_ = 0;
    ++attempt_;
    next_ = now + backoff();
    return {attempt_ <= settings_.attempts, *next_ - now};
  }
  std::string describe() const override {
    return "exponential delay from " + format_duration(settings_.initial) + " to " + format_duration(settings_.maximum);
  }

private:
  milliseconds backoff() {
    constexpr double huge = 1e15; // keeps the arithmetic within 64 bits, far above any maximum that matters
    const auto initial = static_cast<double>(settings_.initial.count());
    const auto grown = std::min(huge, initial * std::pow(settings_.multiplier, static_cast<double>(attempt_ - 1)));
    const auto range = static_cast<std::int64_t>(grown * settings_.jitter);
    std::int64_t offset = 0;
    if (range > 0) offset = static_cast<std::int64_t>(random_.below(2 * static_cast<std::uint64_t>(range) + 1)) - range;
    const auto jittered = milliseconds{static_cast<std::int64_t>(grown) + offset};
    return std::max(settings_.initial, std::min(jittered, settings_.maximum));
  }

  restart_settings settings_;
  random_source random_;
  std::uint64_t attempt_ = 0;        // since the last reset
  std::optional<milliseconds> next_; // when the last failure's restart is due
};

void require(bool condition, const char* cause) {
  if (!condition) throw error{errc::invalid_option, cause, "see docs/configuration.md, restart-strategy"};
}

} // namespace

restart_settings restart_settings::fixed(std::uint32_t attempts, milliseconds delay) {
  restart_settings s;
  s.kind = restart_kind::fixed_delay;
  s.attempts = attempts;
  s.delay = delay;
  return s;
}

restart_settings restart_settings::rate(std::uint32_t max_failures, milliseconds interval, milliseconds delay) {
  restart_settings s;
  s.kind = restart_kind::failure_rate;
  s.max_failures = max_failures;
  s.interval = interval;
  s.delay = delay;
  return s;
}

restart_settings restart_settings::exponential(milliseconds initial, milliseconds maximum, double multiplier,
                                               double jitter, milliseconds reset_after, std::uint32_t attempts) {
  restart_settings s;
  s.kind = restart_kind::exponential_delay;
  s.initial = initial;
  s.maximum = maximum;
  s.multiplier = multiplier;
  s.jitter = jitter;
  s.reset_after = reset_after;
  s.attempts = attempts;
  return s;
}

restart_settings restart_settings::from(const configuration& config) {
  // A job with checkpoints is meant to go on, as in Flink.
  const bool unsaid = !config.is_set("restart-strategy.type") && config.is_set("execution.checkpointing.interval");
  const auto type = unsaid ? std::string{"exponential-delay"} : config.text("restart-strategy.type");
  const auto key = [&](const char* name) { return "restart-strategy." + type + "." + name; };
  const auto time = [&](const char* name) {
    return std::chrono::duration_cast<milliseconds>(config.duration(key(name)));
  };
  const auto number = [&](const char* name) { return static_cast<std::uint32_t>(config.integer(key(name))); };
  restart_settings s;
  if (type == "fixed-delay") {
    s = fixed(number("attempts"), time("delay"));
  } else if (type == "failure-rate") {
    s = rate(number("max-failures-per-interval"), time("failure-rate-interval"), time("delay"));
  } else if (type == "exponential-delay") {
    s = exponential(time("initial-backoff"), time("max-backoff"), config.real(key("backoff-multiplier")),
                    config.real(key("jitter-factor")), time("reset-backoff-threshold"),
                    number("attempts-before-reset-backoff"));
  }
  (void)make_restart_strategy(s, 0);
  return s;
}

std::unique_ptr<restart_strategy> make_restart_strategy(const restart_settings& s, std::uint64_t seed) {
  require(s.delay.count() >= 0, "a restart delay is negative");
  switch (s.kind) {
  case restart_kind::none:
    return std::make_unique<no_restart>();
  case restart_kind::fixed_delay:
    return std::make_unique<fixed_delay>(s);
  case restart_kind::failure_rate:
    require(s.interval.count() > 0, "the interval of the failure rate is not positive");
    return std::make_unique<failure_rate>(s);
  case restart_kind::exponential_delay:
    require(s.initial.count() >= 1, "the initial back-off is below 1 ms");
    require(s.maximum >= s.initial, "the maximum back-off is below the initial one");
    require(s.multiplier >= 1, "the back-off multiplier is below 1");
    require(s.jitter >= 0 && s.jitter <= 1, "the jitter factor is not between 0 and 1");
    require(s.reset_after.count() >= 1, "the reset threshold of the back-off is below 1 ms");
    return std::make_unique<exponential_delay>(s, seed);
  }
  throw error{errc::internal, "unknown kind of restart strategy"};
}

} // namespace dataflow
