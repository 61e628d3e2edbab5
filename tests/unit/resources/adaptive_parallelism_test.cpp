// At which parallelism an adaptive job runs, in virtual time.
#include <dataflow/resources/adaptive_parallelism.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <tests/support/error_of.hpp>

using namespace dataflow;
using std::chrono::milliseconds;
using kind = adaptive_parallelism::decision::kind;

namespace {

constexpr adaptive_settings times{milliseconds{1000}, milliseconds{100}, milliseconds{300}, milliseconds{500}};

/// A job of 4 in one slot sharing group, and 2 in another.
adaptive_parallelism job_of_two_groups() { return {times, {4, 2}}; }

struct seen {
  kind what;
  std::uint32_t limit;
  bool operator==(const seen&) const = default;
};
std::ostream& operator<<(std::ostream& out, const seen& s) {
  return out << static_cast<int>(s.what) << " with " << s.limit;
}

seen at(const adaptive_parallelism& job, int now) {
  const auto d = job.decide(milliseconds{now});
  return {d.what, d.limit};
}
constexpr seen nothing{kind::nothing, 0};

} // namespace

TEST_CASE("a limit takes slots of each slot sharing group") {
  const auto job = job_of_two_groups();
  CHECK(job.most() == 4);
  CHECK(job.slots_for(1) == 2);
  CHECK(job.slots_for(2) == 4);
  CHECK(job.slots_for(3) == 5);
  CHECK(job.slots_for(4) == 6);
  for (const auto& [slots, limit] : std::vector<std::pair<std::uint32_t, std::uint32_t>>{
           {0, 0}, {1, 0}, {2, 1}, {3, 1}, {4, 2}, {5, 3}, {6, 4}, {100, 4}})
    CHECK(job.fitting(slots) == limit);
}

TEST_CASE("an adaptive job with all its slots begins at once, with some of them when no more have come for a while") {
  auto job = job_of_two_groups();
  CHECK(at(job, 0) == nothing); // nobody has asked
  CHECK_FALSE(job.next_wake_up());
  job.wait(milliseconds{10});
  CHECK(job.waits());
  SUBCASE("all") {
    job.slots(6, milliseconds{20});
    CHECK(at(job, 20) == seen{kind::run, 4});
  }
  SUBCASE("some, then more") {
    job.slots(2, milliseconds{20});
    CHECK(at(job, 20) == nothing);
    CHECK(job.next_wake_up() == milliseconds{120});
    job.slots(4, milliseconds{90}); // does not begin the time anew
    CHECK(at(job, 119) == nothing);
    CHECK(at(job, 120) == seen{kind::run, 2});
  }
  SUBCASE("some, which go again") {
    job.slots(2, milliseconds{20});
    job.slots(1, milliseconds{60});
    CHECK(at(job, 200) == nothing);
    job.slots(2, milliseconds{300});
    CHECK(at(job, 399) == nothing);
    CHECK(at(job, 400) == seen{kind::run, 1});
  }
  SUBCASE("never enough") {
    job.slots(1, milliseconds{20});
    CHECK(job.next_wake_up() == milliseconds{1010});
    CHECK(at(job, 1009) == nothing);
    CHECK(at(job, 1010) == seen{kind::give_up, 0});
  }
  SUBCASE("enough, shortly before the end of the wait") {
    job.slots(3, milliseconds{990});
    CHECK(at(job, 1009) == nothing);
    CHECK(at(job, 1010) == seen{kind::run, 1});
  }
}

TEST_CASE("a running adaptive job is rescaled to more, not too often, and later when it is not all") {
  auto job = job_of_two_groups();
  job.wait(milliseconds{0});
  job.slots(2, milliseconds{0});
  job.run(1, milliseconds{100});
  CHECK_FALSE(job.waits());
  CHECK(at(job, 100) == nothing);
  CHECK_FALSE(job.next_wake_up());
  SUBCASE("all that it wants, in the time of rest") {
    job.slots(6, milliseconds{150});
    CHECK(job.next_wake_up() == milliseconds{400});
    CHECK(at(job, 399) == nothing);
    CHECK(at(job, 400) == seen{kind::run, 4});
  }
  SUBCASE("all that it wants, later") {
    job.slots(6, milliseconds{1500});
    CHECK(at(job, 1500) == seen{kind::run, 4});
  }
  SUBCASE("not all") {
    job.slots(4, milliseconds{1500});
    CHECK(at(job, 1999) == nothing);
    CHECK(at(job, 2000) == seen{kind::run, 2});
  }
  SUBCASE("more, which goes again") {
    job.slots(4, milliseconds{1500});
    job.slots(3, milliseconds{1800}); // not enough for 2
    CHECK(at(job, 5000) == nothing);
    CHECK_FALSE(job.next_wake_up());
  }
}

TEST_CASE("an adaptive job that loses slots waits again, and begins with what is left") {
  auto job = job_of_two_groups();
  job.wait(milliseconds{0});
  job.slots(6, milliseconds{0});
  job.run(4, milliseconds{0});
  job.slots(5, milliseconds{1000});
  job.wait(milliseconds{1000});
  job.wait(milliseconds{1050}); // another one goes; it waits already
  job.slots(4, milliseconds{1050});
  CHECK(at(job, 1099) == nothing);
  CHECK(at(job, 1100) == seen{kind::run, 2});
  job.slots(6, milliseconds{1100}); // they come back
  CHECK(at(job, 1100) == seen{kind::run, 4});
}

TEST_CASE("jobs are adaptive when the configuration says so") {
  configuration c;
  CHECK_FALSE(adaptive_settings::from(c));
  c.set("jobmanager.scheduler", "adaptive");
  const auto s = adaptive_settings::from(c);
  REQUIRE(s);
  CHECK(s->wait == std::chrono::minutes{5});
  CHECK(s->stabilization == std::chrono::seconds{10});
  CHECK(s->cooldown == std::chrono::seconds{30});
  CHECK(s->rescale_stabilization == std::chrono::minutes{1});
  CHECK(test::error_of([&] { c.set("jobmanager.scheduler", "reactive"); }).to_string().find("jobmanager.scheduler") !=
        std::string::npos);
}
