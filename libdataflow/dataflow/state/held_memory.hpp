/// How much a snapshot in progress holds, and who waits until it is less.
///
/// Threading: what the task calls, on its thread; the rest on the thread of who writes the snapshot.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace dataflow::detail {

class held_memory {
public:
  std::size_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }
  /// Nothing is wanted any more.
  bool over() const noexcept { return over_.load(std::memory_order_acquire); }

  // The task.
  void add(std::size_t bytes) noexcept { bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  /// Whether more than `most` bytes are held; then `wake` is called, from any thread, as soon as it is half of that.
  bool is_more_than(std::size_t most, const std::function<void()>& wake) {
    if (bytes() <= most || over()) return false;
    if (!wake_) wake_ = wake; // nobody looks at it yet
    wake_below_.store(most / 2 + 1);
    if (bytes_.load() > most / 2 && !over_.load()) return true;
    return wake_below_.exchange(0) == 0; // else nobody has called it, and nobody will
  }

  // The writer, and the task for what it takes back.
  void remove(std::size_t bytes) noexcept {
    if (bytes > 0) wake_if_enough(bytes_.fetch_sub(bytes) - bytes);
  }
  void end() noexcept {
    over_.store(true);
    wake_if_enough(0);
  }

private:
  void wake_if_enough(std::size_t bytes) noexcept {
    const auto below = wake_below_.load();
    if (below != 0 && bytes < below && wake_below_.exchange(0) != 0) wake_();
  }
  std::function<void()> wake_;
  std::atomic<bool> over_{false};
  alignas(64) std::atomic<std::size_t> bytes_{0};
  std::atomic<std::size_t> wake_below_{0}; // bytes + 1; 0: nobody waits
};

/// The snapshots in progress of one table, or of an operator: Snapshot has a memory(), or is one. Threading: the
/// task's.
template <class Snapshot>
class snapshots_in_progress {
public:
  void add(std::shared_ptr<Snapshot> s) { live_.push_back(std::move(s)); }
  bool any() noexcept { return !live_.empty() && some_live(); }
  /// Of each.
  void save(std::size_t position) {
    for (auto& s : live_)
      s->save(position);
  }
  /// So many bytes more stay because of each.
  void count(std::size_t bytes) noexcept {
    for (auto& s : live_)
      memory_of(*s).add(bytes);
  }
  /// Those that there are have the memory of before to themselves.
  void clear() noexcept { live_.clear(); }
  /// Whether one of them does: see held_memory::is_more_than.
  bool hold_more_than(std::size_t bytes, const std::function<void()>& wake) {
    return std::any_of(live_.begin(), live_.end(), [&](auto& s) { return memory_of(*s).is_more_than(bytes, wake); });
  }

private:
  static held_memory& memory_of(Snapshot& s) noexcept {
    if constexpr (std::is_same_v<Snapshot, held_memory>)
      return s;
    else
      return s.memory();
  }
  [[gnu::noinline]] bool some_live() noexcept {
    std::erase_if(live_, [](auto& s) { return memory_of(*s).over(); });
    return !live_.empty();
  }
  std::vector<std::shared_ptr<Snapshot>> live_;
};

} // namespace dataflow::detail
