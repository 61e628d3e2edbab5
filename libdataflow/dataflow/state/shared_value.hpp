/// A value behind a count: copies share it, writing to a shared one copies it first.
///
/// What a row holds of lists and maps, so that copying a segment of rows copies no contents.
/// Threading: a copy that another thread holds may be read and destroyed there. Ownership: counted.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace dataflow::detail {

template <class T>
class shared_value {
public:
  shared_value() : what_(new counted) {}
  shared_value(const shared_value& other) noexcept : what_(other.what_) {
    what_->references.fetch_add(1, std::memory_order_relaxed);
  }
  shared_value& operator=(const shared_value&) = delete;
  ~shared_value() { give_up(what_); }
  const T& operator*() const noexcept { return what_->value; }
  const T* operator->() const noexcept { return &what_->value; }
  T& write() {
    if (what_->references.load(std::memory_order_acquire) > 1) {
      auto* const old = std::exchange(what_, new counted{{1}, what_->value});
      give_up(old); // the others may have done so meanwhile
    }
    return what_->value;
  }

private:
  struct counted {
    std::atomic<std::uint32_t> references{1};
    T value{};
  };
  static void give_up(counted* what) noexcept {
    if (what->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete what;
  }
  counted* what_;
};

} // namespace dataflow::detail
