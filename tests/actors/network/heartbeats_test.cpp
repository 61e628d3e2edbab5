#include <dataflow/actors/network/heartbeats.hpp>

#include <doctest/doctest.h>

using namespace dataflow;
using namespace dataflow::actors;
using std::chrono::milliseconds;

namespace {

using names = std::vector<std::string>;
constexpr milliseconds interval{500}, timeout{2000};

/// Ticks at the interval, as an actor would.
struct watched {
  heartbeat_monitor monitor{{interval, timeout}};
  milliseconds now{0};
  names tick_until(milliseconds end) {
    names lost;
    while (now < end) {
      now += interval;
      for (auto& l : monitor.tick(now))
        lost.push_back(l);
    }
    return lost;
  }
};

} // namespace

TEST_CASE("whoever speaks in time is not lost") {
  watched w;
  w.monitor.watch("a", w.now);
  for (int i = 0; i < 20; ++i) {
    CHECK(w.tick_until(w.now + milliseconds{1500}).empty());
    CHECK(w.monitor.heard("a", w.now));
  }
}

TEST_CASE("whoever is silent for the timeout is lost once, within an interval, and then unknown") {
  watched w;
  w.monitor.watch("a", w.now);
  w.monitor.watch("b", w.now);
  CHECK(w.tick_until(milliseconds{1500}).empty());
  CHECK(w.monitor.heard("b", w.now));
  CHECK(w.tick_until(milliseconds{2000}) == names{"a"});
  CHECK_FALSE(w.monitor.heard("a", w.now));
  CHECK_FALSE(w.monitor.watches("a"));
  CHECK(w.tick_until(milliseconds{3000}).empty());
  CHECK(w.tick_until(milliseconds{3500}) == names{"b"});
  CHECK(w.tick_until(milliseconds{60000}).empty());
}

TEST_CASE("one that comes back is watched anew") {
  watched w;
  w.monitor.watch("a", w.now);
  CHECK(w.tick_until(milliseconds{2000}) == names{"a"});
  w.monitor.watch("a", w.now);
  CHECK(w.tick_until(milliseconds{3500}).empty());
  w.monitor.forget("a");
  CHECK(w.tick_until(milliseconds{10000}).empty());
}

TEST_CASE("a monitor that was stopped itself takes nobody for dead") {
  watched w;
  w.monitor.watch("a", w.now);
  CHECK(w.tick_until(milliseconds{1000}).empty());
  w.now = milliseconds{61000}; // it was stopped for a minute
  CHECK(w.monitor.tick(w.now).empty());
  CHECK(w.tick_until(w.now + milliseconds{500}) == names{"a"}); // it was silent for two seconds that count
}
