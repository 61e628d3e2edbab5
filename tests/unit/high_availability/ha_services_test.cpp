#include <dataflow/config/configuration.hpp>
#include <dataflow/high_availability/ha_services.hpp>

#include <doctest/doctest.h>

#include <tests/support/error_of.hpp>
#include <tests/support/test_platform.hpp>

using namespace dataflow;
using namespace std::chrono_literals;
using test::error_of;

TEST_CASE("leader election and store are as the configuration says") {
  test::test_platform world, other;
  other.seed = 2;
  other.files = &world.disk;
  other.clock = &world.time;
  CHECK(!make_ha_services({}, world, "a:1").election);

  configuration c;
  c.set("high-availability.type", "filesystem");
  const auto unset = error_of([&] { make_ha_services(c, world, "a:1"); });
  CHECK(unset.code() == errc::invalid_option);
  CHECK(unset.cause().starts_with("high-availability.storageDir is not set"));

  c.set("high-availability.storageDir", "file:///ha");
  c.set("high-availability.cluster-id", "blue");
  auto a = make_ha_services(c, world, "a:1");
  auto b = make_ha_services(c, other, "b:1");
  auto seeker = make_ha_services(c, other, "");
  CHECK(a.poll_interval == 100ms);
  CHECK(!seeker.election->leader());
  const auto granted = a.election->poll();
  CHECK(granted.what == election_change::kind::granted);
  CHECK(b.election->poll().what == election_change::kind::none);
  CHECK(seeker.election->leader() == leader_information{granted.token, "a:1"});
  CHECK(a.store->put_job(granted.token, "job", "graph"));
  CHECK(b.store->job("job") == "graph");
  world.time.advance(3s);
  CHECK(b.election->poll().what == election_change::kind::granted);
  CHECK(error_of([&] { a.store->put_job(granted.token, "job-2", "graph"); }).code() == errc::stale_message);
  for (const auto& path : world.disk.paths())
    CHECK(path.starts_with("/ha/blue/"));

  configuration z;
  z.set("high-availability.type", "zookeeper");
  z.set("high-availability.storageDir", "/ha");
  CHECK(error_of([&] { make_ha_services(z, world, "a:1"); }).cause().starts_with("high-availability.zookeeper.quorum"));
}
