#include <dataflow/network/link_state.hpp>

#include <doctest/doctest.h>

using namespace dataflow;
using namespace std::chrono_literals;
using phase = link_state::phase;

TEST_CASE("a link connects when somebody wants it, and not before") {
  link_state link{{}, true, 1};
  CHECK_FALSE(link.start_attempt(1s));
  CHECK_FALSE(link.next());
  link.want(2s);
  CHECK(link.next() == steady_time{2s});
  CHECK(link.start_attempt(2s));
  CHECK(link.now_in() == phase::connecting);
  CHECK_FALSE(link.start_attempt(2s));
  link.connected();
  CHECK(link.is_up());
  CHECK_FALSE(link.next());
  CHECK_FALSE(link.give_up(100s));
}

TEST_CASE("attempts to connect wait longer each time, up to a limit") {
  link_state link{{50ms, 400ms, 60'000ms}, true, 1};
  steady_time now{0};
  link.want(now);
  for (auto delay : {50ms, 100ms, 200ms, 400ms, 400ms, 400ms}) {
    REQUIRE(link.start_attempt(now));
    link.failed(now);
    REQUIRE(link.now_in() == phase::backing_off);
    const auto next = *link.next();
    CHECK(next - now >= steady_time{delay} * 3 / 4);
    CHECK(next - now <= steady_time{delay} * 5 / 4);
    CHECK_FALSE(link.start_attempt(next - 1ns));
    now = next;
  }
  REQUIRE(link.start_attempt(now));
  link.connected();
  link.lost(now);
  link.want(now); // the delays begin anew
  REQUIRE(link.start_attempt(now));
  link.failed(now);
  CHECK(*link.next() - now <= steady_time{50ms} * 5 / 4);
}

TEST_CASE("links of different seeds come back at different moments") {
  auto delay = [](std::uint64_t seed) {
    link_state link{{}, true, seed};
    link.want(0s);
    link.start_attempt(0s);
    link.failed(0s);
    return *link.next();
  };
  CHECK(delay(1) == delay(1));
  CHECK(delay(1) != delay(2));
}

TEST_CASE("a link that does not come is given up when patience is over, once") {
  link_state link{{50ms, 5'000ms, 1'000ms}, true, 1};
  link.want(10s);
  REQUIRE(link.start_attempt(10s));
  link.want(10'900ms); // the first one counts
  CHECK_FALSE(link.give_up(10'999ms));
  CHECK(link.give_up(11s));
  CHECK_FALSE(link.give_up(12s));
  link.failed(12s); // nobody wants it any more
  CHECK(link.now_in() == phase::idle);
  CHECK_FALSE(link.next());
  link.want(12s);
  CHECK_FALSE(link.start_attempt(12s)); // but the delay holds
  CHECK(link.start_attempt(13s));
}

TEST_CASE("the side that does not connect waits for the other one") {
  link_state link{{50ms, 5'000ms, 1'000ms}, false, 1};
  link.want(1s);
  CHECK(link.now_in() == phase::waiting);
  CHECK_FALSE(link.start_attempt(1s));
  CHECK(link.next() == steady_time{2s});
  CHECK(link.give_up(2s));
  CHECK(link.now_in() == phase::idle);
  link.connected(); // the other side wants it
  CHECK(link.is_up());
}

TEST_CASE("a link that broke is made anew only when somebody wants it") {
  link_state link{{}, true, 1};
  link.want(0s);
  link.start_attempt(0s);
  link.connected();
  link.lost(5s);
  CHECK(link.now_in() == phase::idle);
  CHECK_FALSE(link.next());
  link.lost(6s); // twice
  link.want(7s);
  CHECK(link.start_attempt(7s));
  link.connected();
  link.unwant();
  CHECK(link.is_up()); // it stays
}

TEST_CASE("an attempt whose users have gone is not repeated") {
  link_state link{{}, true, 1};
  link.want(0s);
  link.start_attempt(0s);
  link.unwant();
  CHECK(link.now_in() == phase::connecting);
  link.failed(1s);
  CHECK(link.now_in() == phase::idle);
  link.want(2s);
  link.unwant();
  CHECK(link.now_in() == phase::idle);
}
