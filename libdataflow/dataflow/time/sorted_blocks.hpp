/// A sorted sequence in small blocks: the memory of a plain array, insertions and removals anywhere, and cheap removal
/// in front.
///
/// T has order(), a value that can be compared with < and ==; elements of equal order stay in the order of insertion.
/// A directory of the blocks' least orders is searched first, then one block. Blocks are counted: a copy shares them
/// all, and a shared block is copied before it is written to.
/// Threading: a sequence belongs to one thread; copies may be read and destroyed on others.
/// Ownership: owns its elements, together with its copies.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace dataflow {

template <class T>
class sorted_blocks {
public:
  using order_type = decltype(std::declval<const T&>().order());
  static constexpr std::uint32_t capacity = std::clamp<std::size_t>(1536 / sizeof(T), 8, 64);

  sorted_blocks() = default;
  sorted_blocks(const sorted_blocks& other)
      : directory_(other.directory_.begin() + static_cast<std::ptrdiff_t>(other.head_), other.directory_.end()),
        size_(other.size_) {
    for (auto& s : directory_)
      s.what->references.fetch_add(1, std::memory_order_relaxed);
  }
  sorted_blocks(sorted_blocks&& other) noexcept
      : directory_(std::move(other.directory_)), head_(std::exchange(other.head_, 0)),
        size_(std::exchange(other.size_, 0)) {
    other.directory_.clear();
  }
  sorted_blocks& operator=(sorted_blocks other) noexcept {
    directory_.swap(other.directory_);
    std::swap(head_, other.head_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~sorted_blocks() {
    for (auto i = head_; i < directory_.size(); ++i)
      release(directory_[i].what);
  }

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  /// REQUIRES: not empty.
  const T& front() const noexcept { return *directory_[head_].what->begin(); }

  /// False, and nothing changes, when an element equal to `value` is there.
  bool insert(T value) {
    const auto order = value.order();
    if (empty()) {
      directory_.push_back({order, new block});
      directory_.back().what->append(std::move(value));
      ++size_;
      return true;
    }
    auto at = find(value, order);
    if (at.found) return false;
    auto* b = writable(at.slot);
    if (b->size() == capacity) {
      if (at.slot + 1 == directory_.size() && at.position == b->size()) { // ever later times fill their blocks
        directory_.push_back({order, new block});
        directory_.back().what->append(std::move(value));
        ++size_;
        return true;
      }
      split(at.slot);
      const auto half = directory_[at.slot].what->size();
      if (at.position > half) {
        ++at.slot;
        at.position -= half;
      }
      b = directory_[at.slot].what;
    }
    b->insert(at.position, std::move(value));
    if (at.position == 0) directory_[at.slot].least = order;
    ++size_;
    return true;
  }
  /// Whether an element equal to `value` was there.
  bool erase(const T& value) {
    if (empty()) return false;
    const auto at = find(value, value.order());
    if (!at.found) return false;
    auto* b = writable(at.slot);
    b->erase(at.position);
    --size_;
    if (b->size() == 0)
      drop(at.slot);
    else if (b->size() < capacity / 4)
      merge(at.slot);
    return true;
  }
  /// REQUIRES: not empty.
  T pop_front() {
    auto* b = writable(head_);
    T value = b->take_front();
    --size_;
    if (b->size() == 0) drop(head_);
    return value;
  }
  template <class F>
  void for_each(F&& f) const {
    for (auto i = head_; i < directory_.size(); ++i)
      for (const T* e = directory_[i].what->begin(); e != directory_[i].what->end(); ++e)
        f(*e);
  }
  /// Bytes of blocks and directory.
  std::size_t memory_bytes() const noexcept {
    return (directory_.size() - head_) * sizeof(block) + directory_.capacity() * sizeof(slot);
  }

private:
  struct block {
    std::atomic<std::uint32_t> references{1};
    std::uint16_t first = 0, last = 0;
    alignas(T) std::byte memory[capacity * sizeof(T)];

    block() = default;
    block(const block&) = delete;
    ~block() { std::destroy(begin(), end()); }
    T* slot_at(std::size_t i) noexcept { return reinterpret_cast<T*>(memory) + i; }
    T* begin() noexcept { return slot_at(first); }
    T* end() noexcept { return slot_at(last); }
    std::uint32_t size() const noexcept { return last - first; }
    void append(T value) { ::new (static_cast<void*>(slot_at(last))) T(std::move(value)), ++last; }
    /// REQUIRES: not full.
    void insert(std::uint32_t position, T value) {
      if (first > 0 && (last == capacity || position < size() / 2)) { // make room in front
        if (position == 0) {
          ::new (static_cast<void*>(slot_at(first - 1u))) T(std::move(value));
          --first;
          return;
        }
        ::new (static_cast<void*>(slot_at(first - 1u))) T(std::move(*begin()));
        --first;
        std::move(slot_at(first + 2u), slot_at(first + 1u + position), slot_at(first + 1u));
        *slot_at(first + position) = std::move(value);
        return;
      }
      if (position == size()) return append(std::move(value));
      ::new (static_cast<void*>(end())) T(std::move(end()[-1]));
      ++last;
      std::move_backward(begin() + position, end() - 2, end() - 1);
      begin()[position] = std::move(value);
    }
    void erase(std::uint32_t position) {
      std::move(begin() + position + 1, end(), begin() + position);
      --last;
      std::destroy_at(end());
    }
    T take_front() {
      T value = std::move(*begin());
      std::destroy_at(begin());
      ++first;
      return value;
    }
  };
  struct slot {
    order_type least; // at most the order of the block's first element, at least that of the block before's last
    block* what;
  };
  struct place {
    std::size_t slot;
    std::uint32_t position;
    bool found;
  };

  /// Where an element equal to `value` is, or else where it belongs: behind the others of its order.
  place find(const T& value, const order_type& order) const {
    const auto begin = directory_.begin() + static_cast<std::ptrdiff_t>(head_);
    auto i = std::lower_bound(begin, directory_.end(), order,
                              [](const slot& s, const order_type& o) { return s.least < o; });
    auto at = static_cast<std::size_t>(i - directory_.begin());
    if (at > head_) --at;
    auto* b = directory_[at].what;
    auto position = static_cast<std::uint32_t>(
        std::lower_bound(b->begin(), b->end(), order, [](const T& e, const order_type& o) { return e.order() < o; }) -
        b->begin());
    place best{at, position, false};
    for (;;) {
      for (; position < b->size(); ++position) {
        const T& e = b->begin()[position];
        if (!(e.order() == order)) return best;
        if (e == value) return {at, position, true};
        best = {at, position + 1, false};
      }
      if (++at == directory_.size() || order < directory_[at].least) return best;
      b = directory_[at].what;
      position = 0;
    }
  }
  block* writable(std::size_t at) {
    auto*& b = directory_[at].what;
    if (b->references.load(std::memory_order_acquire) > 1) {
      auto copy = std::make_unique<block>();
      for (const T* e = b->begin(); e != b->end(); ++e)
        copy->append(*e);
      release(b);
      b = copy.release();
    }
    return b;
  }
  static void release(block* b) noexcept {
    if (b->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete b;
  }
  /// The upper half goes into a block of its own. REQUIRES: the block is not shared.
  void split(std::size_t at) {
    auto upper = std::make_unique<block>();
    auto* b = directory_[at].what;
    const auto half = b->size() / 2;
    for (auto* e = b->begin() + half; e != b->end(); ++e)
      upper->append(std::move(*e));
    std::destroy(b->begin() + half, b->end());
    b->last = static_cast<std::uint16_t>(b->first + half);
    const auto least = upper->begin()->order();
    directory_.insert(directory_.begin() + static_cast<std::ptrdiff_t>(at) + 1, slot{least, upper.release()});
  }
  /// Takes the next block in when both are small.
  void merge(std::size_t at) {
    if (at + 1 == directory_.size()) return;
    auto* b = directory_[at].what;
    if (b->size() + directory_[at + 1].what->size() > capacity / 2) return;
    auto* next = writable(at + 1);
    if (static_cast<std::size_t>(capacity - b->last) < next->size()) { // moves to the front of its memory
      auto packed = std::make_unique<block>();
      for (auto* e = b->begin(); e != b->end(); ++e)
        packed->append(std::move(*e));
      release(b);
      b = directory_[at].what = packed.release();
    }
    for (auto* e = next->begin(); e != next->end(); ++e)
      b->append(std::move(*e));
    drop(at + 1);
  }
  void drop(std::size_t at) {
    release(directory_[at].what);
    if (at == head_) {
      ++head_;
      if (head_ == directory_.size()) {
        directory_.clear();
        head_ = 0;
      } else if (head_ >= 32 && head_ * 2 > directory_.size()) {
        directory_.erase(directory_.begin(), directory_.begin() + static_cast<std::ptrdiff_t>(head_));
        head_ = 0;
      }
    } else {
      directory_.erase(directory_.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }

  std::vector<slot> directory_; // [head_, end)
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

} // namespace dataflow
