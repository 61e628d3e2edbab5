/// A queue that is empty most of the time: an empty one that was never used has allocated nothing (std::deque has, some
/// 600 bytes), and one in use keeps its memory.
///
/// Threading: not shared. Ownership: owns its values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace dataflow {

template <class T>
class fifo {
public:
  bool empty() const noexcept { return head_ == values_.size(); }
  std::size_t size() const noexcept { return values_.size() - head_; }
  /// REQUIRES: not empty.
  T& front() noexcept { return values_[head_]; }
  const T& front() const noexcept { return values_[head_]; }
  void push_back(T value) {
    if (head_ >= least_move && head_ * 2 >= values_.size()) { // so each value is moved once at most, on average
      values_.erase(values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
    values_.push_back(std::move(value));
  }
  /// From the front on.
  auto begin() noexcept { return values_.begin() + static_cast<std::ptrdiff_t>(head_); }
  auto end() noexcept { return values_.end(); }
  auto begin() const noexcept { return values_.begin() + static_cast<std::ptrdiff_t>(head_); }
  auto end() const noexcept { return values_.end(); }
  /// Drops the values for which `which` holds; returns how many.
  template <class Which>
  std::size_t erase_if(Which&& which) {
    const auto before = size();
    values_.erase(std::remove_if(begin(), end(), which), end());
    const auto dropped = before - size();
    if (empty()) {
      values_.clear();
      head_ = 0;
    }
    return dropped;
  }
  /// REQUIRES: not empty.
  void pop_front() {
    values_[head_] = T{}; // what it holds goes now
    if (++head_ < values_.size()) return;
    values_.clear();
    head_ = 0;
  }

private:
  static constexpr std::size_t least_move = 16;
  std::vector<T> values_; // from head_ on
  std::size_t head_ = 0;
};

} // namespace dataflow
