// The steps of an upgrade in every mode, and the ways back.
#include <dataflow/recovery/upgrade.hpp>

#include <doctest/doctest.h>

#include "tests/support/error_of.hpp"

using namespace dataflow;

namespace upgrade_test {
const upgrade_situation running{.running = true, .last_checkpoint = "/c/chk-7", .kept_on_cancel = true};
const upgrade_situation failed_job{.ended = true, .last_checkpoint = "/c/chk-7", .kept_on_cancel = true};
const error broken{errc::job_failed, "it does not run"};
std::string refusal(upgrade_mode mode, const upgrade_situation& job) {
  const auto e = test::error_of([&] { upgrade{mode, job}; });
  CHECK(e.code() == errc::invalid_argument);
  return e.cause();
}
} // namespace upgrade_test

using namespace upgrade_test;

TEST_CASE("an upgrade by savepoint checks, stops, checks again, and starts from the savepoint") {
  upgrade u{upgrade_mode::savepoint, running};
  CHECK(u.next() == upgrade_step::check_first);
  u.succeeded();
  CHECK(u.next() == upgrade_step::stop_with_savepoint);
  u.succeeded("/s/1");
  CHECK(u.next() == upgrade_step::check_new);
  CHECK(u.path() == "/s/1");
  u.succeeded();
  CHECK(u.next() == upgrade_step::start_new);
  u.succeeded();
  CHECK(u.next() == upgrade_step::done);
  CHECK(u.outcome() == upgrade_outcome::upgraded);
}

TEST_CASE("a new job that is refused, or does not come to run, gives way to the old one, from the same place") {
  for (const bool refused : {true, false}) {
    upgrade u{upgrade_mode::savepoint, running};
    u.succeeded();
    u.succeeded("/s/1");
    if (!refused) u.succeeded();
    u.failed(broken);
    CHECK(u.next() == upgrade_step::start_old);
    CHECK(u.path() == "/s/1");
    auto stranded = u;
    u.succeeded();
    CHECK(u.outcome() == upgrade_outcome::went_back);
    CHECK(u.why().cause() == "it does not run");
    stranded.failed(error{errc::no_resources, "no slots"});
    CHECK(stranded.next() == upgrade_step::done);
    CHECK(stranded.outcome() == upgrade_outcome::stranded);
    CHECK(stranded.why().cause() == "it does not run; and the job before does not start again: no slots");
    CHECK(stranded.why().advice() == "both start from '/s/1'");
  }
}

TEST_CASE("a job that cannot be stopped is left as it is, and so is one whose successor is refused before") {
  for (auto mode : {upgrade_mode::savepoint, upgrade_mode::last_state, upgrade_mode::stateless})
    for (const bool checked : {false, true}) {
      upgrade u{mode, running};
      if (checked) u.succeeded();
      u.failed(broken);
      CHECK(u.next() == upgrade_step::done);
      CHECK(u.outcome() == upgrade_outcome::untouched);
      CHECK(u.why().cause() == "it does not run");
    }
}

TEST_CASE("an upgrade from the last state takes the last checkpoint at the job's end") {
  upgrade u{upgrade_mode::last_state, running};
  CHECK(u.path() == "/c/chk-7");
  u.succeeded();
  CHECK(u.next() == upgrade_step::cancel);
  u.succeeded("/c/chk-9");
  CHECK(u.next() == upgrade_step::check_new);
  CHECK(u.path() == "/c/chk-9");
}

TEST_CASE("a job that has failed is upgraded from its last state, and stays as it is when the new one does not run") {
  upgrade u{upgrade_mode::last_state, failed_job};
  CHECK(u.next() == upgrade_step::check_first);
  CHECK(u.path() == "/c/chk-7");
  u.succeeded();
  CHECK(u.next() == upgrade_step::start_new);
  u.failed(broken);
  CHECK(u.next() == upgrade_step::done);
  CHECK(u.outcome() == upgrade_outcome::untouched);
}

TEST_CASE("a stateless upgrade starts from nothing") {
  upgrade u{upgrade_mode::stateless, running};
  u.succeeded();
  CHECK(u.next() == upgrade_step::cancel);
  u.succeeded("/c/chk-9");
  CHECK(u.next() == upgrade_step::start_new);
  CHECK(u.path().empty());
}

TEST_CASE("there is no way back from a new job that has completed a checkpoint") {
  upgrade u{upgrade_mode::savepoint, running};
  u.succeeded();
  u.succeeded("/s/1");
  u.succeeded();
  u.failed_beyond_return(broken);
  CHECK(u.next() == upgrade_step::done);
  CHECK(u.outcome() == upgrade_outcome::stranded);
  CHECK(u.why().cause() == "it does not run");
}

TEST_CASE("nothing is started beside a job of which nobody knows whether it was stopped") {
  for (const auto mode : {upgrade_mode::savepoint, upgrade_mode::last_state, upgrade_mode::stateless}) {
    upgrade u{mode, running};
    u.succeeded();
    REQUIRE((u.next() == upgrade_step::stop_with_savepoint || u.next() == upgrade_step::cancel));
    u.failed_beyond_return(broken);
    CHECK(u.next() == upgrade_step::done);
    CHECK(u.outcome() == upgrade_outcome::stranded);
  }
}

TEST_CASE("modes that cannot be are refused with what can be done") {
  CHECK(refusal(upgrade_mode::savepoint, failed_job) == "the job does not run: it can take no savepoint");
  auto none = running;
  none.last_checkpoint.clear();
  CHECK(refusal(upgrade_mode::last_state, none) == "the job has no complete checkpoint on disk");
  auto removed = running;
  removed.kept_on_cancel = false;
  CHECK(refusal(upgrade_mode::last_state, removed) == "the job's checkpoints go when it is cancelled");
  for (auto mode : {upgrade_mode::savepoint, upgrade_mode::last_state, upgrade_mode::stateless})
    CHECK(parse_upgrade_mode(to_string(mode)) == mode);
  CHECK_FALSE(parse_upgrade_mode("hopeful"));
}
