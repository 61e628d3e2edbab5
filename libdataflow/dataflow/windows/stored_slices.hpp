/// Slices of windows in the database of a keyed store: a row per key with the slices that it has, and when it is due.
///
/// A key is due when the next window that holds one of its slices is complete, and when its first slice is too old for
/// late records. A window is put together from the key's slices then.
/// Threading: the task's own. Ownership: owns the rows. Errors: those of the database.
#pragma once

#include <dataflow/state/due_rows.hpp>
#include <dataflow/time/saturating.hpp>
#include <dataflow/windows/window.hpp>

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dataflow::detail {

template <class K, class Stored>
class stored_slices {
public:
  using part = std::pair<time_window, Stored>;
  /// The number of the first window that this key has not fired, and its slices by time.
  using value = std::pair<std::int64_t, std::vector<part>>;

  static state_info info() {
    return {"_slices-by-key", state_kind::keyed,
            to_string(codec<K>::describe()) + " -> " + to_string(codec<value>::describe())};
  }
  stored_slices(const window_grid& grid, std::int64_t lateness)
      : grid_(grid), lateness_(lateness), rows_(info(), [this](const value& v) { return due_time(v); }) {}

  void open(state_registry& states, const clock& clock) {
    rows_.open(states, clock, "_slices-by-key/due", [this](const state_part& part) {
      for_each_in(part, [this](K key, value v) {
        rows_.enter(key, key_hash(key)) = std::move(v);
        rows_.leave();
      });
    });
  }
  /// f(key, value) for each key in a part of the state.
  template <class F>
  static void for_each_in(const state_part& part, F&& f) {
    for (byte_reader in{part.bytes}; !in.at_end();) {
      K key{};
      value v{no_window, {}};
      codec<K>::decode(key, in);
      codec<value>::decode(v, in);
      f(std::move(key), std::move(v));
    }
  }

  /// Restores the state for who keeps slices otherwise; writes nothing.
  class reader final : public declared_state {
  public:
    explicit reader(std::function<void(K key, value v)> take) : take_(std::move(take)) {}
    state_info info() const override { return stored_slices::info(); }
    void snapshot(state_writer&) const override {}
    void restore(const state_part& part) override { for_each_in(part, take_); }

  private:
    std::function<void(K key, value v)> take_;
  };

  /// The slices of a key, until another one is entered, or leave(); one without slices goes.
  template <class Key>
  value& enter(const Key& key, std::uint64_t hash) {
    return begun(rows_.enter(key, hash));
  }
  void leave() { rows_.leave(); }
  /// At the end of a batch.
  void make_room() { rows_.make_room(); }
  const K& key() const { return rows_.key(); }

  /// Where a slice is, or belongs.
  static typename std::vector<part>::iterator place_in(value& v, const time_window& slice) {
    if (v.second.empty() || v.second.back().first < slice) return v.second.end();
    return std::lower_bound(v.second.begin(), v.second.end(), slice,
                            [](const part& p, const time_window& w) { return p.first < w; });
  }
  /// Windows before that one do not fire any more.
  static void skip_until(value& v, wide window) {
    constexpr wide most = std::numeric_limits<std::int64_t>::max();
    if (window > v.first) v.first = static_cast<std::int64_t>(std::min(window, most));
  }
  /// Those of a key that lie in a window.
  static std::pair<typename std::vector<part>::iterator, typename std::vector<part>::iterator>
  in_window(value& v, const time_window& w) {
    const auto before = [](const part& p, timestamp t) { return p.first.start < t; };
    const auto first = std::lower_bound(v.second.begin(), v.second.end(), w.start, before);
    const auto last = std::find_if(first, v.second.end(), [&](const part& p) { return p.first.end > w.end; });
    return {first, last};
  }
  /// The first window that is not fired and holds one of the slices.
  std::optional<std::int64_t> next_window(const value& v) const {
    for (auto& [slice, contents] : v.second) {
      const auto k = std::max(grid_.first_ending_after(slice.start), wide{v.first});
      if (k <= grid_.index_of(slice.start)) return static_cast<std::int64_t>(k);
    }
    return {};
  }
  /// Drops what no window needs any more at that watermark.
  void drop_old(value& v, timestamp watermark) const {
    std::erase_if(v.second, [&](const part& p) {
      return grid_.index_of(p.first.start) < v.first && (lateness_ == 0 || cleanup_time(p.first) <= watermark);
    });
  }

  /// When something is to be done next, and which key does it.
  std::optional<timestamp> first_due() const { return rows_.first_due(); }
  /// REQUIRES: there is one.
  value& enter_first_due() { return begun(rows_.enter_first_due()); }
  std::size_t counted_bytes() const noexcept { return rows_.counted_bytes(); }

private:
  static constexpr std::int64_t no_window = std::numeric_limits<std::int64_t>::min();
  struct traits {
    static void encode(const value& v, byte_writer& out) { codec<value>::encode(v, out); }
    static void decode(value& v, byte_reader& in) { codec<value>::decode(v, in); }
    static bool empty(const value& v) noexcept { return v.second.empty(); }
    static std::size_t bytes(const value& v) noexcept {
      auto all = v.second.capacity() * sizeof(part) + 16;
      if constexpr (!std::is_trivially_copyable_v<Stored>)
        for (auto& p : v.second)
          all += codec<Stored>::size_of(p.second) - sizeof(Stored);
      return all;
    }
  };
  static value& begun(value& v) noexcept {
    if (v.second.empty()) v.first = no_window;
    return v;
  }
  timestamp cleanup_time(const time_window& slice) const noexcept {
    return saturating_add(grid_.at(grid_.index_of(slice.start)).max_timestamp(), std::chrono::milliseconds{lateness_});
  }
  std::optional<timestamp> due_time(const value& v) const {
    std::optional<timestamp> due;
    if (const auto k = next_window(v)) due = grid_.at(*k).max_timestamp();
    if (lateness_ == 0 || v.second.empty()) return due;
    const auto clean = cleanup_time(v.second.front().first);
    return due ? std::min(*due, clean) : clean;
  }

  const window_grid grid_;
  const std::int64_t lateness_;
  due_rows<K, value, traits> rows_;
};

} // namespace dataflow::detail
