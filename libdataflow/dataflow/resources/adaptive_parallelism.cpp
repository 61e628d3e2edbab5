#include <dataflow/resources/adaptive_parallelism.hpp>

#include <algorithm>
#include <utility>

namespace dataflow {

std::optional<adaptive_settings> adaptive_settings::from(const configuration& c) {
  if (c.text("jobmanager.scheduler") != "adaptive") return {};
  const auto time = [&](const char* key) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(c.duration(key));
  };
  return adaptive_settings{time("jobmanager.adaptive-scheduler.submission.resource-wait-timeout"),
                           time("jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout"),
                           time("jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling"),
                           time("jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout")};
}

adaptive_parallelism::adaptive_parallelism(adaptive_settings settings, std::vector<std::uint32_t> groups)
    : settings_(settings), groups_(std::move(groups)) {
  for (const auto parallelism : groups_)
    most_ = std::max(most_, parallelism);
}

std::uint32_t adaptive_parallelism::slots_for(std::uint32_t limit) const noexcept {
  std::uint32_t slots = 0;
  for (const auto parallelism : groups_)
    slots += std::min(parallelism, limit);
  return slots;
}

std::uint32_t adaptive_parallelism::fitting(std::uint32_t slots) const noexcept {
  std::uint32_t low = 0, high = most_;
  while (low < high) {
    const auto middle = high - (high - low) / 2;
    if (slots_for(middle) <= slots)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

void adaptive_parallelism::wait(milliseconds now) {
  if (waits_) return;
  waits_ = true;
  limit_ = 0;
  begin(now);
}

void adaptive_parallelism::run(std::uint32_t limit, milliseconds now) {
  waits_ = false;
  limit_ = limit;
  begin(now);
}

void adaptive_parallelism::begin(milliseconds now) {
  since_ = now;
  enough_since_.reset();
  slots(there_, now);
}

void adaptive_parallelism::slots(std::uint32_t there, milliseconds now) {
  there_ = there;
  if (!is_more())
    enough_since_.reset();
  else if (!enough_since_)
    enough_since_ = now;
}

std::optional<adaptive_parallelism::milliseconds> adaptive_parallelism::begins_at() const {
  if (!enough_since_ || (!waits_ && limit_ == 0)) return {};
  const bool all = fitting(there_) == most_;
  if (!waits_)
    return std::max(since_ + settings_.cooldown,
                    *enough_since_ + (all ? milliseconds{0} : settings_.rescale_stabilization));
  return all ? *enough_since_ : std::min(*enough_since_ + settings_.stabilization, since_ + settings_.wait);
}

adaptive_parallelism::decision adaptive_parallelism::decide(milliseconds now) const {
  using enum decision::kind;
  if (const auto at = begins_at()) return now >= *at ? decision{run, fitting(there_)} : decision{};
  if (waits_ && now >= since_ + settings_.wait) return {give_up, 0};
  return {};
}

std::optional<adaptive_parallelism::milliseconds> adaptive_parallelism::next_wake_up() const {
  if (const auto at = begins_at()) return at;
  if (waits_) return since_ + settings_.wait;
  return {};
}

} // namespace dataflow
