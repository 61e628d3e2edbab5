/// How much a snapshot in progress holds, and who waits until it is less.
///
/// Threading: what the task calls, on its thread; the rest on the thread of who writes the snapshot.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
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

/// Those of an operator's snapshots in progress. Threading: the task's.
class held_memories {
public:
  void add(std::shared_ptr<held_memory> of_snapshot) { live_.push_back(std::move(of_snapshot)); }
  bool any() noexcept { return !live_.empty() && some_live(); }
  /// So many bytes more stay because of each of them.
  void count(std::size_t bytes) noexcept {
    for (auto& memory : live_)
      memory->add(bytes);
  }
  /// See held_memory.
  bool are_more_than(std::size_t most, const std::function<void()>& wake) {
    return any() && std::any_of(live_.begin(), live_.end(), [&](auto& m) { return m->is_more_than(most, wake); });
  }

private:
  [[gnu::noinline]] bool some_live() noexcept {
    std::erase_if(live_, [](auto& memory) { return memory->over(); });
    return !live_.empty();
  }
  std::vector<std::shared_ptr<held_memory>> live_;
};

} // namespace dataflow::detail
