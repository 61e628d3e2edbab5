#include "windows.hpp"

namespace bench {

namespace {

/// Open addressing, linear probing; a fixed number of slots, at most half full.
class counts {
public:
  explicit counts(std::size_t slots = 32768) : keys_(slots, -1), values_(slots), mask_(slots - 1) {}
  std::size_t slot(std::int64_t key) noexcept {
    auto i = ((static_cast<std::uint64_t>(key) * 0x9E3779B97F4A7C15ull) >> 32) & mask_;
    while (keys_[i] != key) {
      if (keys_[i] < 0) {
        keys_[i] = key;
        used_.push_back(i);
        break;
      }
      i = (i + 1) & mask_;
    }
    return i;
  }
  std::int64_t& operator[](std::int64_t key) noexcept { return values_[slot(key)]; }
  /// The checksum of everything counted; empties the table.
  std::uint64_t take() {
    std::uint64_t sum = 0;
    for (auto i : used_) {
      sum += checksum_of({keys_[i], values_[i]});
      keys_[i] = -1;
      values_[i] = 0;
    }
    used_.clear();
    return sum;
  }
  std::int64_t key_at(std::size_t slot) const noexcept { return keys_[slot]; }

private:
  std::vector<std::int64_t> keys_, values_;
  std::vector<std::size_t> used_;
  std::size_t mask_;
};

} // namespace

std::uint64_t hand_w4(std::uint64_t records, bool ordered) {
  generator g{0};
  std::uint64_t sum = 0;
  counts now, next;
  std::int64_t end = (w4_time(0, 0, true) - 1024) / 10'000 * 10'000 + 10'000;
  for (std::uint64_t k = 0; k < records; ++k) {
    const auto i = static_cast<std::int64_t>(k);
    const auto x = g();
    const auto b = make_bid(x, w4_time(x, i, ordered), 10'000);
    while (w4_time(0, i, true) - (ordered ? 0 : 1023) >= end) { // nothing before this comes any more
      sum += now.take();
      std::swap(now, next);
      end += 10'000;
    }
    ++(b.time < end ? now : next)[b.auction];
  }
  return sum + now.take() + next.take();
}

std::uint64_t hand_w5(std::uint64_t records, sliding_shape shape) {
  generator g{0};
  std::uint64_t sum = 0;
  const auto slices = static_cast<std::size_t>(shape.size_ms / shape.slide_ms);
  // Per key the sum of the present slice, of the window, and of each slice in the window.
  struct state {
    std::int64_t key, slice, total, records, slice_records;
  };
  counts index;
  std::vector<state> states;
  std::vector<std::vector<std::pair<std::int64_t, std::int64_t>>> ring(slices, {{}});
  std::size_t at = 0;
  auto fire = [&] {
    auto& leaving = ring[at];
    leaving.resize(states.size());
    for (std::size_t k = 0; k < states.size(); ++k) {
      auto& s = states[k];
      s.total += s.slice - leaving[k].first;
      s.records += s.slice_records - leaving[k].second;
      leaving[k] = {s.slice, s.slice_records};
      s.slice = s.slice_records = 0;
      if (s.records > 0) sum += checksum_of({s.key, s.total});
    }
    at = (at + 1) % slices;
  };
  auto end = w5_time(0) / shape.slide_ms * shape.slide_ms + shape.slide_ms;
  for (std::uint64_t k = 0; k < records; ++k) {
    const auto time = w5_time(static_cast<std::int64_t>(k));
    const auto b = make_bid(g(), time, 10'000);
    while (time >= end) {
      fire();
      end += shape.slide_ms;
    }
    auto& position = index[b.auction];
    if (position == 0) {
      states.push_back({b.auction, 0, 0, 0, 0});
      position = static_cast<std::int64_t>(states.size());
    }
    auto& s = states[static_cast<std::size_t>(position - 1)];
    s.slice += b.price;
    ++s.slice_records;
  }
  for (std::size_t i = 0; i < slices; ++i)
    fire();
  return sum;
}

std::uint64_t hand_sessions(std::uint64_t records) {
  generator g{0};
  std::uint64_t sum = 0;
  struct session {
    std::int64_t key = 0, last = 0, records = 0;
  };
  counts index;
  std::vector<session> open(32768);
  for (std::uint64_t k = 0; k < records; ++k) {
    const auto b = make_bid(g(), session_time(static_cast<std::int64_t>(k)), 10'000);
    auto& s = open[index.slot(b.auction)];
    if (s.records > 0 && b.time - s.last > session_gap_ms) {
      sum += checksum_of({s.key, s.records});
      s.records = 0;
    }
    s = {b.auction, b.time, s.records + 1};
  }
  for (auto& s : open)
    if (s.records > 0) sum += checksum_of({s.key, s.records});
  return sum;
}

std::uint64_t hand_count_windows(std::uint64_t records) {
  generator g{0};
  std::uint64_t sum = 0;
  struct window {
    std::int64_t records = 0, total = 0;
  };
  counts index;
  std::vector<window> open(32768);
  for (std::uint64_t k = 0; k < records; ++k) {
    const auto b = make_bid(g(), static_cast<std::int64_t>(k), 10'000);
    auto& w = open[index.slot(b.auction)];
    w.total += b.price;
    if (++w.records == counted_together) {
      sum += checksum_of({b.auction, w.total});
      w = {};
    }
  }
  return sum;
}

std::vector<std::int64_t> make_campaigns() {
  std::vector<std::int64_t> campaign_of;
  for (std::int64_t ad = 0; ad < campaigns * ads_per_campaign; ++ad)
    campaign_of.push_back(ad / ads_per_campaign);
  return campaign_of;
}

std::uint64_t hand_w6(std::uint64_t records, const std::vector<std::int64_t>& campaign_of) {
  generator g{0};
  std::uint64_t sum = 0;
  counts now{256};
  auto end = w4_time(0, 0, true) / 10'000 * 10'000 + 10'000;
  for (std::uint64_t k = 0; k < records; ++k) {
    const auto e = make_ad_event(g(), w4_time(0, static_cast<std::int64_t>(k), true));
    if (e.event_type != view) continue;
    while (e.time >= end) {
      sum += now.take();
      end += 10'000;
    }
    ++now[campaign_of[static_cast<std::size_t>(e.ad)]];
  }
  return sum + now.take();
}

} // namespace bench
