/// Evictors: remove records from a window before or after its function is called.
///
/// An evictor is a value; one of your own has one or both of
///   void evict_before(window_elements<T>& elements, const W& window);
///   void evict_after(window_elements<T>& elements, const W& window);
/// Evicted records are gone for later firings, too. With an evictor all records of a window are kept, also under
/// aggregations. Threading: a copy per subtask. Units: milliseconds. Source: Flink's Evictor and its implementations.
#pragma once

#include <dataflow/windows/window.hpp>

#include <cstdint>
#include <span>
#include <vector>

namespace dataflow {

namespace detail {
std::int64_t checked_count(const char* what, std::int64_t n);
std::int64_t checked_interval(const char* what, std::chrono::milliseconds interval);
} // namespace detail

/// The records of a window in the order of arrival, with their timestamps (no_timestamp where there is none).
template <class T>
class window_elements {
public:
  std::size_t size() const noexcept { return values_.size(); }
  bool empty() const noexcept { return values_.empty(); }
  const T& operator[](std::size_t i) const noexcept { return values_[i]; }
  timestamp time(std::size_t i) const noexcept { return times_[i]; }
  std::span<const T> values() const noexcept { return values_; }
  void push_back(const T& value, timestamp t) {
    values_.push_back(value);
    times_.push_back(t);
  }
  /// Removes those for which f(const T&, timestamp) is true.
  template <class F>
  void erase_if(F&& f) {
    std::size_t to = 0;
    for (std::size_t i = 0; i < size(); ++i) {
      if (f(std::as_const(values_[i]), times_[i])) continue;
      if (to != i) {
        values_[to] = std::move(values_[i]);
        times_[to] = times_[i];
      }
      ++to;
    }
    values_.erase(values_.begin() + static_cast<std::ptrdiff_t>(to), values_.end());
    times_.resize(to);
  }
  void erase_front(std::size_t n) {
    values_.erase(values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(n));
    times_.erase(times_.begin(), times_.begin() + static_cast<std::ptrdiff_t>(n));
  }
  void append(window_elements&& more) {
    values_.insert(values_.end(), std::make_move_iterator(more.values_.begin()),
                   std::make_move_iterator(more.values_.end()));
    times_.insert(times_.end(), more.times_.begin(), more.times_.end());
  }

private:
  friend struct codec<window_elements>;
  std::vector<T> values_;
  std::vector<timestamp> times_;
};

template <class T>
struct codec<window_elements<T>> {
  static constexpr std::uint16_t version = 1;
  static void encode(const window_elements<T>& e, byte_writer& out) {
    codec<std::vector<T>>::encode(e.values_, out);
    codec<std::vector<timestamp>>::encode(e.times_, out);
  }
  static void decode(window_elements<T>& e, byte_reader& in) {
    codec<std::vector<T>>::decode(e.values_, in);
    codec<std::vector<timestamp>>::decode(e.times_, in);
  }
  static schema describe() { return {"window_elements", {{"value", codec<T>::describe()}}}; }
  static std::size_t size_of(const window_elements<T>& e) noexcept {
    return codec<std::vector<T>>::size_of(e.values_) + e.times_.size() * sizeof(timestamp);
  }
};

/// When an evictor that comes with the library does its work.
enum class evict : std::uint8_t { before, after };

namespace detail {
template <class Self>
class evict_once {
public:
  template <class T, class W>
  void evict_before(window_elements<T>& elements, const W&) {
    if (when_ == evict::before) static_cast<Self*>(this)->apply(elements);
  }
  template <class T, class W>
  void evict_after(window_elements<T>& elements, const W&) {
    if (when_ == evict::after) static_cast<Self*>(this)->apply(elements);
  }

protected:
  explicit evict_once(evict when) noexcept : when_(when) {}

private:
  evict when_;
};
} // namespace detail

/// Keeps the last n records.
class count_evictor : public detail::evict_once<count_evictor> {
public:
  explicit count_evictor(std::int64_t n, evict when = evict::before)
      : evict_once(when), keep_(static_cast<std::size_t>(detail::checked_count("a count evictor", n))) {}

private:
  friend class detail::evict_once<count_evictor>;
  template <class T>
  void apply(window_elements<T>& elements) {
    if (elements.size() > keep_) elements.erase_front(elements.size() - keep_);
  }
  std::size_t keep_;
};

/// Keeps the records whose timestamp is less than `size` before the largest one in the window.
class time_evictor : public detail::evict_once<time_evictor> {
public:
  explicit time_evictor(std::chrono::milliseconds size, evict when = evict::before)
      : evict_once(when), size_(detail::checked_interval("a time evictor", size)) {}

private:
  friend class detail::evict_once<time_evictor>;
  template <class T>
  void apply(window_elements<T>& elements) {
    if (elements.empty() || elements.time(0) == no_timestamp) return;
    auto last = min_timestamp;
    for (std::size_t i = 0; i < elements.size(); ++i)
      last = std::max(last, elements.time(i));
    const auto cut = saturating_add(last, -std::chrono::milliseconds{size_});
    elements.erase_if([cut](const T&, timestamp t) { return t <= cut; });
  }
  std::int64_t size_;
};

/// Removes the records for which f(const T& record, const T& last one) is at least the threshold.
template <class F>
class delta_evictor : public detail::evict_once<delta_evictor<F>> {
public:
  delta_evictor(double threshold, F delta, evict when = evict::before)
      : detail::evict_once<delta_evictor>(when), threshold_(threshold), delta_(std::move(delta)) {}

private:
  friend class detail::evict_once<delta_evictor>;
  template <class T>
  void apply(window_elements<T>& elements) {
    if (elements.empty()) return;
    const T last = elements[elements.size() - 1];
    elements.erase_if([&](const T& record, timestamp) { return delta_(record, last) >= threshold_; });
  }
  double threshold_;
  F delta_;
};

/// Nothing is evicted.
struct no_evictor {};

namespace detail {

/// With an evictor: all records, put together when the window fires as Contents would have done it.
template <class T, class Contents>
struct evicting_contents {
  using stored = window_elements<T>;
  using result = typename Contents::result;
  Contents inner;

  std::span<const result> results(const stored& s, std::optional<result>& room) {
    if constexpr (Contents::is_list) {
      return s.values();
    } else {
      if (s.empty()) {
        if constexpr (requires { inner.function.create_accumulator(); })
          return {&room.emplace(inner.function.get_result(inner.function.create_accumulator())), 1};
        return {};
      }
      auto all = inner.first(s[0], 0);
      for (std::size_t i = 1; i < s.size(); ++i)
        inner.add(all, s[i], i);
      std::optional<result> own;
      const auto results = inner.results(all, own);
      return {&room.emplace(results[0]), 1};
    }
  }
};

} // namespace detail
} // namespace dataflow
