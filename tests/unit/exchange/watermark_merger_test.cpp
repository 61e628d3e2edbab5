// Watermarks of many channels, and of two inputs.
#include <dataflow/exchange/watermark_merger.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>

using namespace dataflow;
using status_change = merged_time::status_change;

namespace {

timestamp at(std::int64_t ms) { return timestamp{std::chrono::milliseconds{ms}}; }

/// The rule written down without a heap, to compare with.
struct plain_merger {
  struct channel {
    timestamp watermark = min_timestamp;
    bool idle = false, aligned = true;
  };
  std::vector<channel> channels;
  timestamp output = min_timestamp;
  bool idle = false;

  merged_time minimum() {
    auto least = max_timestamp;
    bool any = false;
    for (auto& c : channels)
      if (c.aligned) least = std::min(least, c.watermark), any = true;
    if (!any || least <= output) return {};
    output = least;
    return {output};
  }
  merged_time watermark(std::uint32_t i, timestamp t) {
    auto& c = channels[i];
    if (c.idle || t <= c.watermark) return {};
    c.watermark = t;
    c.aligned = c.aligned || t >= output;
    return minimum();
  }
  merged_time set_idle(std::uint32_t i) {
    auto& c = channels[i];
    if (c.idle) return {};
    c.idle = true;
    c.aligned = false;
    if (std::any_of(channels.begin(), channels.end(), [](auto& x) { return !x.idle; }))
      return c.watermark == output ? minimum() : merged_time{};
    merged_time out;
    if (c.watermark == output)
      for (auto& x : channels)
        if (x.watermark > output) out.watermark = output = x.watermark;
    out.status = status_change::idle;
    idle = true;
    return out;
  }
  merged_time set_active(std::uint32_t i) {
    auto& c = channels[i];
    if (!c.idle) return {};
    c.idle = false;
    c.aligned = c.watermark >= output;
    merged_time out;
    if (idle) out.status = status_change::active;
    idle = false;
    return out;
  }
};

} // namespace

TEST_CASE("the minimum of the channels, never back") {
  watermark_merger m{3};
  CHECK_FALSE(m.watermark(0, at(10)));
  CHECK_FALSE(m.watermark(1, at(5)));
  CHECK(m.slowest() == 2u);
  CHECK(m.watermark(2, at(7)).watermark == at(5));
  CHECK_FALSE(m.watermark(1, at(3)));
  CHECK(m.watermark(1, at(20)).watermark == at(7));
  CHECK(m.output() == at(7));
}

TEST_CASE("an idle channel is left out, and one that returns behind holds nothing back") {
  watermark_merger m{2};
  m.watermark(0, at(10));
  CHECK(m.watermark(1, at(5)).watermark == at(5));
  CHECK(m.idle(1).watermark == at(10));
  CHECK(m.is_idle(1));
  CHECK_FALSE(m.active(1));
  CHECK(m.watermark(0, at(20)).watermark == at(20));
  CHECK_FALSE(m.watermark(1, at(19)));
  CHECK_FALSE(m.watermark(1, at(25))); // has caught up: from now on it counts
  CHECK(m.watermark(0, at(30)).watermark == at(25));
}

TEST_CASE("when the last channel goes idle, the largest watermark goes first") {
  watermark_merger m{2};
  m.watermark(0, at(100));
  m.watermark(1, at(50));
  CHECK_FALSE(m.idle(0)); // channel 1 holds the output back, channel 0 did not
  const auto out = m.idle(1);
  CHECK(out.watermark == at(100));
  CHECK(out.status == status_change::idle);
  CHECK(m.is_idle());
  CHECK_FALSE(m.slowest().has_value());
  CHECK(m.active(0).status == status_change::active);
}

TEST_CASE("the heap gives what the plain rule gives, over random histories") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    random_source random{seed};
    const auto n = static_cast<std::uint32_t>(1 + random.below(9));
    watermark_merger m{n};
    plain_merger plain{std::vector<plain_merger::channel>(n), min_timestamp, false};
    for (int step = 0; step < 400; ++step) {
      const auto c = static_cast<std::uint32_t>(random.below(n));
      merged_time got, want;
      switch (random.below(5)) {
      case 0:
        got = m.idle(c), want = plain.set_idle(c);
        break;
      case 1:
        got = m.active(c), want = plain.set_active(c);
        break;
      default: {
        const auto t = at(static_cast<std::int64_t>(random.below(20)) + step);
        got = m.watermark(c, t), want = plain.watermark(c, t);
      }
      }
      REQUIRE(got.watermark == want.watermark);
      REQUIRE(got.status == want.status);
      REQUIRE(m.is_idle() == plain.idle);
    }
  }
}

TEST_CASE("two inputs: the minimum, and idleness only when both are idle") {
  two_input_watermarks two;
  CHECK_FALSE(two.watermark(0, at(10)));
  CHECK(two.watermark(1, at(5)).watermark == at(5));
  CHECK(two.idle(1).watermark == at(10));
  const auto out = two.idle(0);
  CHECK_FALSE(out.watermark.has_value());
  CHECK(out.status == status_change::idle);
  CHECK(two.active(1).status == status_change::active);
  CHECK_FALSE(two.is_idle());
  two_input_watermarks other; // whichever of the two is behind
  CHECK_FALSE(other.watermark(1, at(10)));
  CHECK(other.watermark(0, at(5)).watermark == at(5));
  CHECK(other.watermark(0, at(20)).watermark == at(10));
  CHECK(other.watermark(1, at(15)).watermark == at(15));
}

TEST_CASE("two inputs: one that comes back behind holds the result back at once") {
  two_input_watermarks two;
  two.watermark(0, at(10));
  two.watermark(1, at(5));
  two.idle(1);
  CHECK_FALSE(two.active(1));
  CHECK_FALSE(two.watermark(0, at(20))); // a merger would go on to 20
  CHECK_FALSE(two.watermark(1, at(9)));
  CHECK(two.watermark(1, at(15)).watermark == at(15));
}
