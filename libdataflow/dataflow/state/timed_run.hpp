/// Records of one key in the order of their timestamps, of equal ones in the order of arrival: a join's buffer.
///
/// Records mostly come at the end and leave at the front. The memory comes from a store that all runs of an operator
/// share, so that steady traffic allocates nothing.
/// Threading: not shared. Ownership: a run's memory belongs to its store, which must outlive it; release() gives it
/// back.
#pragma once

#include <dataflow/time/timestamp.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace dataflow {

template <class T>
struct timed_record {
  timestamp at;
  T record;
};

/// Arrays of 2^k timed records, kept for reuse when they are small.
template <class T>
class run_store {
public:
  using entry = timed_record<T>;
  run_store() = default;
  run_store(const run_store&) = delete;
  run_store& operator=(const run_store&) = delete;
  ~run_store() {
    for (auto& size : free_)
      for (auto* p : size)
        release(p);
  }
  entry* take(unsigned bits) {
    if (bits < kept && !free_[bits].empty()) {
      auto* p = free_[bits].back();
      free_[bits].pop_back();
      return p;
    }
    return static_cast<entry*>(::operator new(sizeof(entry) << bits, alignment));
  }
  void give_back(entry* p, unsigned bits) {
    if (bits < kept)
      free_[bits].push_back(p);
    else
      release(p);
  }

private:
  static constexpr unsigned kept = 8; // larger arrays go back to the system
  static constexpr std::align_val_t alignment{alignof(entry)};
  static void release(entry* p) noexcept { ::operator delete(static_cast<void*>(p), alignment); }
  std::array<std::vector<entry*>, kept> free_;
};

template <class T>
class timed_run {
public:
  using entry = timed_record<T>;
  using store = run_store<T>;
  timed_run() = default;
  timed_run(timed_run&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), begin_(std::exchange(other.begin_, 0)),
        end_(std::exchange(other.end_, 0)), bits_(other.bits_) {}
  timed_run& operator=(timed_run&&) = delete;

  bool empty() const noexcept { return begin_ == end_; }
  std::size_t size() const noexcept { return end_ - begin_; }
  const entry* begin() const noexcept { return data_ + begin_; }
  const entry* end() const noexcept { return data_ + end_; }
  /// REQUIRES: not empty.
  timestamp last() const noexcept { return data_[end_ - 1].at; }
  /// The first one at or after t.
  const entry* from(timestamp t) const noexcept {
    return std::partition_point(begin(), end(), [t](const entry& e) { return e.at < t; });
  }
  /// The first one after t.
  const entry* after(timestamp t) const noexcept {
    return std::partition_point(begin(), end(), [t](const entry& e) { return e.at <= t; });
  }

  void insert(timestamp at, T record, store& memory) {
    if (!data_ || end_ == std::uint32_t{1} << bits_) make_room(memory);
    if (empty() || last() <= at) {
      std::construct_at(data_ + end_, entry{at, std::move(record)});
      ++end_;
      return;
    }
    auto* place = data_ + (after(at) - data_);
    std::construct_at(data_ + end_, std::move(data_[end_ - 1]));
    std::move_backward(place, data_ + end_ - 1, data_ + end_);
    ++end_;
    *place = entry{at, std::move(record)};
  }
  /// Drops what is at or before t; gives the memory back when nothing is left.
  void drop_until(timestamp t, store& memory) {
    while (begin_ != end_ && data_[begin_].at <= t)
      std::destroy_at(data_ + begin_++);
    if (begin_ == end_) release(memory);
  }
  void release(store& memory) {
    if (!data_) return;
    std::destroy(data_ + begin_, data_ + end_);
    memory.give_back(std::exchange(data_, nullptr), bits_);
    begin_ = end_ = 0;
  }

private:
  /// Moves the records to the front when that frees half of the array, else into one of twice the size.
  void make_room(store& memory) {
    if (!data_) {
      bits_ = 1;
      data_ = memory.take(bits_);
      return;
    }
    const auto n = size();
    if (begin_ >= n && begin_ > 0) {
      for (std::size_t i = 0; i < n; ++i) { // the places in front are free, and as many
        std::construct_at(data_ + i, std::move(data_[begin_ + i]));
        std::destroy_at(data_ + begin_ + i);
      }
    } else {
      auto* fresh = memory.take(bits_ + 1u);
      std::uninitialized_move(data_ + begin_, data_ + end_, fresh);
      std::destroy(data_ + begin_, data_ + end_);
      memory.give_back(data_, bits_);
      data_ = fresh;
      ++bits_;
    }
    begin_ = 0;
    end_ = static_cast<std::uint32_t>(n);
  }

  entry* data_ = nullptr;
  std::uint32_t begin_ = 0, end_ = 0;
  std::uint8_t bits_ = 0; // the array has 2^bits places
};

} // namespace dataflow
