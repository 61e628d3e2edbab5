/// The window workloads W4, W5 and W6: records, what is counted, and the hand-written loops.
#pragma once

#include "workloads.hpp"

namespace bench {

/// What a window puts out: a key and a number.
struct window_total {
  std::int64_t key = 0, total = 0;
};

struct sliding_shape {
  std::int64_t size_ms, slide_ms;
};

/// W6: an event of an advertisement.
struct ad_event {
  std::int64_t ad = 0, user = 0;
  std::int32_t ad_type = 0, event_type = 0; ///< of 5 and of 3
  std::int64_t time = 0;
};
inline constexpr std::int64_t campaigns = 100, ads_per_campaign = 10;
inline constexpr std::int32_t view = 0;
inline ad_event make_ad_event(std::uint64_t x, std::int64_t time) noexcept {
  return {static_cast<std::int64_t>(((x & 0xffffffff) * (campaigns * ads_per_campaign)) >> 32),
          static_cast<std::int64_t>(x >> 40), static_cast<std::int32_t>((x >> 32) % 5),
          static_cast<std::int32_t>((x >> 35) % 3), time};
}
/// The campaign of each advertisement.
std::vector<std::int64_t> make_campaigns();

inline std::uint64_t checksum_of(const window_total& t) noexcept {
  return static_cast<std::uint64_t>(t.key * 31 + t.total);
}

/// A bid's event time: 1 M events per second (W4), 100 k (W5); out of order by up to 1,023 ms where asked for.
inline std::int64_t w4_time(std::uint64_t x, std::int64_t i, bool ordered) noexcept {
  return 1'000'000'000 + i / 1000 - (ordered ? 0 : static_cast<std::int64_t>(x & 1023));
}
inline std::int64_t w5_time(std::int64_t i) noexcept { return 1'000'000'000 + i / 100; }

/// Sessions of about 20 records: a key's records come every 20 ms on average. Times are even and the gap is odd:
/// whether records exactly a gap apart are one session depends on where the watermark has got to between them.
inline constexpr std::int64_t session_gap_ms = 59;
inline std::int64_t session_time(std::int64_t i) noexcept { return 1'000'000'000 + i / 1000 * 2; }
inline constexpr std::int64_t counted_together = 100;

std::uint64_t hand_sessions(std::uint64_t records);
std::uint64_t hand_count_windows(std::uint64_t records);
std::uint64_t hand_w4(std::uint64_t records, bool ordered);
std::uint64_t hand_w5(std::uint64_t records, sliding_shape shape);
std::uint64_t hand_w6(std::uint64_t records, const std::vector<std::int64_t>& campaign_of);

} // namespace bench

DATAFLOW_RECORD(bench::window_total, key, total);
DATAFLOW_RECORD(bench::ad_event, ad, user, ad_type, event_type, time);
