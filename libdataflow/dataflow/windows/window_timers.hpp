/// The timers of windows in one time domain: ordered by time, then by registration; one per window and time.
///
/// An indexed heap: a timer can be deleted where it is, so windows that grow and merge leave nothing behind. Each
/// window has a list of its timers, too (window_entries.hpp). Threading: not shared. Source: Flink's
/// InternalTimerServiceImpl.
#pragma once

#include <dataflow/time/timestamp.hpp>
#include <dataflow/windows/window_entries.hpp>

#include <cstdint>
#include <utility>
#include <vector>

namespace dataflow::detail {

/// Window: what timers belong to; has a member `std::vector<window_timer_mark> timers[2]`, one per domain.
template <class Owner, class Window>
class window_timers {
public:
  struct timer {
    timestamp time;
    std::uint64_t order = 0;
    Owner* owner = nullptr;
    Window* window = nullptr;
    std::uint32_t place = 0; // in the heap
  };
  /// domain: which of a window's lists is this one's.
  explicit window_timers(unsigned domain) noexcept : domain_(domain) {}

  bool empty() const noexcept { return heap_.empty(); }
  const timer& next() const noexcept { return timers_[heap_[0]]; }
  /// False: there is one for this time. `order` 0: after all others.
  bool add(timestamp t, Owner& owner, Window& w, std::uint64_t order = 0) {
    for (auto& mark : w.timers[domain_])
      if (mark.time == t) return false;
    last_order_ = std::max(last_order_ + (order == 0), order);
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(timers_.size()));
      timers_.emplace_back();
    }
    const auto id = free_.back();
    if (order == 0) order = last_order_;
    w.timers[domain_].push_back({t, order, id});
    heap_.push_back(id);
    free_.pop_back();
    timers_[id] = {t, order, &owner, &w, static_cast<std::uint32_t>(heap_.size() - 1)};
    up(heap_.size() - 1);
    return true;
  }
  void remove(timestamp t, Window& w) noexcept {
    for (auto& mark : w.timers[domain_])
      if (mark.time == t) return remove_id(mark.id);
  }
  void remove_all(Window& w) noexcept {
    while (!w.timers[domain_].empty())
      remove_id(w.timers[domain_].back().id);
  }
  /// The earliest one. REQUIRES: not empty.
  timer pop() noexcept {
    const auto t = timers_[heap_[0]];
    remove_id(heap_[0]);
    return t;
  }

private:
  void remove_id(std::uint32_t id) noexcept {
    std::erase_if(timers_[id].window->timers[domain_], [id](auto& mark) { return mark.id == id; });
    const auto place = timers_[id].place;
    const auto last = heap_.back();
    heap_.pop_back();
    if (last != id) {
      heap_[place] = last;
      timers_[last].place = place;
      up(place);
      down(timers_[last].place);
    }
    free_.push_back(id); // has room: it held the id before, or grows with timers_
  }
  bool earlier(std::size_t a, std::size_t b) const noexcept {
    const auto &x = timers_[heap_[a]], &y = timers_[heap_[b]];
    return x.time != y.time ? x.time < y.time : x.order < y.order;
  }
  void swap(std::size_t a, std::size_t b) noexcept {
    std::swap(heap_[a], heap_[b]);
    timers_[heap_[a]].place = static_cast<std::uint32_t>(a);
    timers_[heap_[b]].place = static_cast<std::uint32_t>(b);
  }
  void up(std::size_t i) noexcept {
    for (; i > 0 && earlier(i, (i - 1) / 2); i = (i - 1) / 2)
      swap(i, (i - 1) / 2);
  }
  void down(std::size_t i) noexcept {
    for (;;) {
      auto least = i;
      for (auto child = 2 * i + 1; child <= 2 * i + 2 && child < heap_.size(); ++child)
        if (earlier(child, least)) least = child;
      if (least == i) return;
      swap(i, least);
      i = least;
    }
  }

  const unsigned domain_;
  std::vector<timer> timers_;
  std::vector<std::uint32_t> heap_, free_;
  std::uint64_t last_order_ = 0;
};

} // namespace dataflow::detail
