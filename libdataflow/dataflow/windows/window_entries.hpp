/// What a window operator keeps: the windows of a key, and of each window its contents, its trigger's state, its
/// timers.
///
/// What is stored of a key, behind the key: how many windows (varint), then of each the window, whether it is filled
/// (1), its contents if it is, the trigger's state if it has one, and for event and for processing time how many timers
/// (varint), then of each its time (8) and its place in the order of registration (varint).
/// Threading: not shared. Ownership: values.
#pragma once

#include <dataflow/record/codecs.hpp>
#include <dataflow/time/timestamp.hpp>
#include <dataflow/util/bytes.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

namespace dataflow::detail {

/// A timer, in the list of its window.
struct window_timer_mark {
  timestamp time;
  std::uint64_t order = 0; ///< of registration, from 1
  std::uint32_t id = 0;    ///< of who keeps the order of all timers
};

template <class W, class Stored, class TriggerState, bool HasTriggerState>
struct window_entry {
  W window;
  bool filled = false;
  Stored contents{};
  [[no_unique_address]] TriggerState state{};
  std::vector<window_timer_mark> timers[2]; // of event time, of processing time
  std::size_t counted = 0;                  // bytes of the contents, where somebody counts them

  void encode(byte_writer& out) const {
    codec<W>::encode(window, out);
    out.fixed(filled);
    if (filled) codec<Stored>::encode(contents, out);
    if constexpr (HasTriggerState) codec<TriggerState>::encode(state, out);
    for (auto& domain : timers) {
      out.varint(domain.size());
      for (auto& mark : domain) {
        out.fixed(mark.time);
        out.varint(mark.order);
      }
    }
  }
  void decode(byte_reader& in) {
    codec<W>::decode(window, in);
    filled = in.fixed<bool>();
    if (filled) codec<Stored>::decode(contents, in);
    if constexpr (HasTriggerState) codec<TriggerState>::decode(state, in);
    for (auto& domain : timers)
      for (auto n = in.varint(); n > 0; --n) {
        const auto time = in.fixed<timestamp>();
        domain.push_back({time, in.varint()});
      }
  }
  void count() noexcept { counted = filled ? codec<Stored>::size_of(contents) : 0; }
};

template <class Entry>
struct windows_of_key {
  using entry = Entry;
  std::vector<std::unique_ptr<Entry>> windows; // in the order of W

  template <class W>
  typename std::vector<std::unique_ptr<Entry>>::iterator place_of(const W& w) {
    return std::lower_bound(windows.begin(), windows.end(), w,
                            [](const auto& e, const W& window) { return e->window < window; });
  }
};

/// For counted_rows.
template <class Entry>
struct windows_of_key_traits {
  using value = windows_of_key<Entry>;
  static void encode(const value& v, byte_writer& out) {
    out.varint(v.windows.size());
    for (auto& e : v.windows)
      e->encode(out);
  }
  static void decode(value& v, byte_reader& in) {
    for (auto n = in.varint(); n > 0; --n) {
      v.windows.push_back(std::make_unique<Entry>());
      v.windows.back()->decode(in);
      v.windows.back()->count();
    }
  }
  static bool empty(const value& v) noexcept { return v.windows.empty(); }
  static std::size_t bytes(const value& v) noexcept {
    constexpr std::size_t block = 16; // what the allocator adds
    auto all = block + v.windows.capacity() * sizeof(v.windows[0]);
    for (auto& e : v.windows) {
      all += block + sizeof(Entry) + e->counted;
      for (auto& domain : e->timers)
        if (domain.capacity() > 0) all += block + domain.capacity() * sizeof(domain[0]);
    }
    return all;
  }
};

} // namespace dataflow::detail
