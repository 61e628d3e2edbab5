/// A growable array of values: one column of a batch.
///
/// Purpose: std::vector without the parts that cost: it grows without writing zeros, offers unchecked appends after
/// one reserve, and keeps its memory on clear(), so that a reused batch stays in the cache.
/// Threading: not shared while written. Ownership: owns its values.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace dataflow {

template <class T>
class column {
public:
  using value_type = T;
  column() = default;
  column(column&& other) noexcept { swap(other); }
  column& operator=(column&& other) noexcept {
    swap(other);
    return *this;
  }
  column(const column&) = delete;
  column& operator=(const column&) = delete;
  ~column() {
    clear();
    release(data_);
  }

  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return capacity_; }
  bool empty() const noexcept { return size_ == 0; }
  T* data() noexcept { return data_; }
  const T* data() const noexcept { return data_; }
  T* begin() noexcept { return data_; }
  T* end() noexcept { return data_ + size_; }
  const T* begin() const noexcept { return data_; }
  const T* end() const noexcept { return data_ + size_; }
  T& operator[](std::size_t i) noexcept { return data_[i]; }
  const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  T& back() noexcept { return data_[size_ - 1]; }

  void reserve(std::size_t wanted) {
    if (wanted > capacity_) [[unlikely]]
      grow(wanted);
  }
  template <class... Args>
  T& emplace_back(Args&&... args) {
    if (size_ == capacity_) [[unlikely]]
      return emplace_grown(std::forward<Args>(args)...);
    return unchecked_emplace_back(std::forward<Args>(args)...);
  }
  void push_back(const T& value) { emplace_back(value); }
  void push_back(T&& value) { emplace_back(std::move(value)); }
  /// REQUIRES: size() < capacity().
  template <class... Args>
  T& unchecked_emplace_back(Args&&... args) {
    return *std::construct_at(data_ + size_++, std::forward<Args>(args)...);
  }
  /// Drops the values from position n on. REQUIRES: n <= size().
  void truncate(std::size_t n) noexcept {
    if constexpr (!std::is_trivially_destructible_v<T>) std::destroy(data_ + n, data_ + size_);
    size_ = n;
  }
  void clear() noexcept { truncate(0); }
  /// Removes the first n values. REQUIRES: n <= size().
  void erase_front(std::size_t n) {
    if (n == 0) return;
    if constexpr (std::is_trivially_copyable_v<T>) {
      std::memmove(static_cast<void*>(data_), data_ + n, (size_ - n) * sizeof(T));
      size_ -= n;
    } else {
      std::move(data_ + n, data_ + size_, data_);
      truncate(size_ - n);
    }
  }
  /// The size becomes n; new values are not initialised. REQUIRES: T is trivially copyable.
  void resize_for_overwrite(std::size_t n) {
    static_assert(std::is_trivially_copyable_v<T>);
    reserve(n);
    size_ = n;
  }
  /// The size becomes n after values were constructed in place behind data() + size().
  void set_size(std::size_t n) noexcept { size_ = n; }
  void append_copy(const T* from, std::size_t n) {
    reserve(size_ + n);
    std::uninitialized_copy_n(from, n, data_ + size_);
    size_ += n;
  }
  void append_move(T* from, std::size_t n) {
    reserve(size_ + n);
    std::uninitialized_move_n(from, n, data_ + size_);
    size_ += n;
  }
  void assign(std::size_t n, const T& value) {
    clear();
    reserve(n);
    std::uninitialized_fill_n(data_, n, value);
    size_ = n;
  }
  void swap(column& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

private:
  static constexpr std::align_val_t alignment{alignof(T) > 64 ? alignof(T) : 64};
  static void release(T* p) noexcept { ::operator delete(static_cast<void*>(p), alignment); }
  /// The new value is built before the old ones move: it may refer to one of them.
  template <class... Args>
  T& emplace_grown(Args&&... args) {
    T value(std::forward<Args>(args)...);
    grow(size_ + 1);
    return unchecked_emplace_back(std::move(value));
  }
  void grow(std::size_t wanted) {
    auto next = capacity_ < 16 ? std::size_t{16} : capacity_ * 2;
    if (next < wanted) next = wanted;
    auto* fresh = static_cast<T*>(::operator new(next * sizeof(T), alignment));
    if constexpr (std::is_trivially_copyable_v<T>) {
      if (size_ > 0) std::memcpy(static_cast<void*>(fresh), data_, size_ * sizeof(T));
    } else {
      std::uninitialized_move_n(data_, size_, fresh);
      std::destroy_n(data_, size_);
    }
    release(data_);
    data_ = fresh;
    capacity_ = next;
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

} // namespace dataflow
