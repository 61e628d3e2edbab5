#include "nexmark_hand.hpp"

#include <algorithm>
#include <apps/examples/nexmark/events.hpp>
#include <vector>

namespace bench {

using nexmark::event;
using nexmark::event_kind;

namespace {

/// Keys that are not negative to values; open addressing, linear probing, a power of two, at most half full.
template <class V>
class hash_table {
public:
  hash_table() : cells_(1024), mask_(1023) {}
  V& operator[](std::int64_t key) {
    auto i = place(key);
    if (cells_[i].key != key) {
      if (2 * (used_ + 1) > cells_.size()) {
        grow();
        i = place(key);
      }
      ++used_;
      cells_[i].key = key;
    }
    return cells_[i].value;
  }
  V* find(std::int64_t key) {
    auto& c = cells_[place(key)];
    return c.key == key ? &c.value : nullptr;
  }
  template <class F>
  void for_each(F&& f) {
    for (auto& c : cells_)
      if (c.key >= 0) f(c.key, c.value);
  }
  void clear() {
    std::fill(cells_.begin(), cells_.end(), cell{});
    used_ = 0;
  }

private:
  struct cell {
    std::int64_t key = -1;
    V value{};
  };
  std::size_t place(std::int64_t key) const noexcept {
    auto i = ((static_cast<std::uint64_t>(key) * 0x9E3779B97F4A7C15ull) >> 32) & mask_;
    while (cells_[i].key >= 0 && cells_[i].key != key)
      i = (i + 1) & mask_;
    return i;
  }
  void grow() {
    auto old = std::exchange(cells_, std::vector<cell>(cells_.size() * 2));
    mask_ = cells_.size() - 1;
    for (auto& c : old)
      if (c.key >= 0) cells_[place(c.key)] = std::move(c);
  }
  std::vector<cell> cells_;
  std::size_t mask_, used_ = 0;
};

/// Every event is made whole, as it is where somebody else reads it; a compiler that sees both sides would leave out
/// the fields that a query does not read.
template <class F>
query_result over_events(std::uint64_t events, F f) {
  query_result r;
  nexmark::random_numbers random{0};
  for (std::uint64_t i = 0; i < events; ++i) {
    auto e = nexmark::make_event(random.next(), i);
    asm volatile("" : "+m"(e));
    f(e, r);
  }
  return r;
}

void count(query_result& r, std::uint64_t value) {
  ++r.outputs;
  r.checksum += value;
}

} // namespace

query_result hand_q0(std::uint64_t events) {
  return over_events(events, [](const event& e, query_result& r) {
    if (e.kind == event_kind::bid) count(r, static_cast<std::uint64_t>(e.a * 31 + e.c));
  });
}

query_result hand_q1(std::uint64_t events) {
  return over_events(events, [](const event& e, query_result& r) {
    if (e.kind == event_kind::bid) count(r, static_cast<std::uint64_t>(e.a * 31 + e.c * 908 / 1000));
  });
}

query_result hand_q2(std::uint64_t events) {
  return over_events(events, [](const event& e, query_result& r) {
    if (e.kind == event_kind::bid && e.a % 123 == 0) count(r, static_cast<std::uint64_t>(e.a * 31 + e.c));
  });
}

query_result hand_q3(std::uint64_t events) {
  struct seller {
    bool known = false;
    std::vector<std::int64_t> waiting; // auctions
  };
  hash_table<seller> sellers;
  return over_events(events, [&](const event& e, query_result& r) {
    if (e.kind == event_kind::person && e.b < 3) {
      auto& s = sellers[e.a];
      s.known = true;
      for (auto auction : s.waiting)
        count(r, static_cast<std::uint64_t>(e.a * 31 + auction));
      s.waiting.clear();
    } else if (e.kind == event_kind::auction && e.c == 10) {
      auto& s = sellers[e.b];
      if (s.known)
        count(r, static_cast<std::uint64_t>(e.b * 31 + e.a));
      else
        s.waiting.push_back(e.a);
    }
  });
}

/// A ring of slices of 2 s; a window is the five latest.
query_result hand_q5(std::uint64_t events) {
  constexpr std::int64_t slice_size = 2000, slices = 5;
  std::vector<hash_table<std::int64_t>> ring(slices);
  hash_table<std::int64_t> sums;
  auto now = nexmark::first_timestamp / slice_size;
  std::int64_t held = 0;              // slices in the ring that have records
  auto close = [&](query_result& r) { // the window that ends with slice `now`
    sums.clear();
    std::int64_t most = 0;
    for (auto& slice : ring)
      slice.for_each([&](std::int64_t key, std::int64_t n) { most = std::max(most, sums[key] += n); });
    if (most > 0) count(r, static_cast<std::uint64_t>(most));
  };
  auto advance = [&](std::int64_t to, query_result& r) {
    for (; now < to; ++now) {
      close(r);
      ring[static_cast<std::size_t>((now + 1) % slices)].clear();
    }
  };
  auto result = over_events(events, [&](const event& e, query_result& r) {
    if (e.kind != event_kind::bid) return;
    const auto slice = e.ts / slice_size;
    if (slice > now) advance(slice, r);
    ++ring[static_cast<std::size_t>(slice % slices)][e.a];
    held = slice;
  });
  advance(held + slices, result);
  return result;
}

query_result hand_q7(std::uint64_t events) {
  std::int64_t window = -1, highest = 0;
  auto result = over_events(events, [&](const event& e, query_result& r) {
    if (e.kind != event_kind::bid) return;
    if (e.ts / 10'000 != window) {
      if (window >= 0) count(r, static_cast<std::uint64_t>(highest));
      window = e.ts / 10'000;
      highest = 0;
    }
    highest = std::max(highest, e.c);
  });
  if (window >= 0) count(result, static_cast<std::uint64_t>(highest));
  return result;
}

query_result hand_q8(std::uint64_t events) {
  struct seller {
    bool person = false;
    std::vector<std::int64_t> auctions;
  };
  hash_table<seller> sellers;
  std::int64_t window = -1;
  auto close = [&](query_result& r) {
    sellers.for_each([&](std::int64_t key, const seller& s) {
      if (!s.person) return;
      for (auto auction : s.auctions)
        count(r, static_cast<std::uint64_t>(key * 31 + auction));
    });
    sellers.clear();
  };
  auto result = over_events(events, [&](const event& e, query_result& r) {
    if (e.kind == event_kind::bid) return;
    if (e.ts / 10'000 != window) {
      close(r);
      window = e.ts / 10'000;
    }
    if (e.kind == event_kind::person)
      sellers[e.a].person = true;
    else
      sellers[e.b].auctions.push_back(e.a);
  });
  close(result);
  return result;
}

} // namespace bench
