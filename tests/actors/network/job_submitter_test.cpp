// What a job manager keeps of a submission for the next one, when its dispatcher does not take the job.
#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/actors/network/job_journal.hpp>
#include <dataflow/actors/network/job_submitter.hpp>
#include <dataflow/high_availability/ha_services.hpp>

#include <caf/all.hpp>
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <tests/actors/network/network_cluster.hpp>
#include <tests/support/test_platform.hpp>

using namespace dataflow;
using namespace dataflow::actors;

DATAFLOW_JOB(submitted_job) { env.sequence(1, 10).print(); }

namespace job_submitter_test {

struct system_config : caf::actor_system_config {
  system_config() { configure(*this, 1); }
};

/// A leader whose dispatcher says `answers`, one after the other: no error is that it takes the job.
struct leader {
  dataflow::test::test_platform world;
  system_config config;
  caf::actor_system system{config};
  cluster_context context;
  std::shared_ptr<ha_store> store;
  leader_token token = 0;
  std::shared_ptr<job_journal> journal;
  std::size_t asked = 0, cancelled = 0;

  leader() {
    configuration c;
    c.set("high-availability.type", "filesystem");
    c.set("high-availability.storageDir", "file:///ha");
    auto services = make_ha_services(c, world, "a:1");
    store = services.store;
    token = services.election->poll().token;
    journal = std::make_shared<job_journal>(store, token, world.disk);
    context.world = &world;
    context.journal = journal;
    context.own_threads = false;
  }
  error submit(std::vector<error> answers, bool check_only = false, bool recovered = false) {
    auto intake = std::make_shared<const job_intake>(job_intake{
        {}, std::make_shared<artifact_store>(world.disk, "/libraries", 1'000'000), dataflow::test::own_jobs(), {}});
    auto dispatcher = system.spawn([this, answers](caf::event_based_actor*) -> caf::behavior {
      return {[this, answers](const submit_job&) -> caf::result<caf::unit_t> {
                const auto& answer = answers.at(std::min(asked++, answers.size() - 1));
                if (answer) return to_caf(answer);
                return caf::unit;
              },
              [this](const cancel_job&) { ++cancelled; }, [](describe_tree) { return std::string{}; }};
    });
    error failure;
    caf::scoped_actor self{system};
    self->request(spawn_job_submitter(system, context, intake, dispatcher), caf::infinite,
                  submit_origin{"0123", dataflow::test::origin_of("submitted_job"), nullptr, check_only, recovered})
        .receive([](const job_accepted&) {}, [&](caf::error& e) { failure = from_caf(e, "it"); });
    self->request(dispatcher, caf::infinite, describe_tree{}) // it has heard what came before
        .receive([](const std::string&) {}, [&](caf::error& e) { failure = from_caf(e, "it"); });
    caf::anon_send_exit(dispatcher, caf::exit_reason::kill);
    return failure;
  }
  std::size_t kept() {
    artifact_store none{world.disk, "/others", 1'000'000};
    return journal->unfinished(none).size();
  }
};

} // namespace job_submitter_test

TEST_CASE("a submission that a dying dispatcher has lost is handed in again, and kept for the next leader") {
  job_submitter_test::leader l;
  const error lost{errc::component_lost, "the dispatcher has died"};
  CHECK_FALSE(l.submit({lost, lost, {}}));
  CHECK(l.asked == 3);
  CHECK(l.cancelled == 0);
  CHECK(l.kept() == 1);
}

TEST_CASE("a submission that is refused in the end is not run by the next leader, nor by a dispatcher that was slow") {
  job_submitter_test::leader l;
  CHECK(l.submit({error{errc::internal, "not now"}}).code() == errc::internal);
  CHECK(l.asked == 1);
  CHECK(l.cancelled == 1);
  CHECK(l.kept() == 0);
}

TEST_CASE("a job of an earlier leader that is not taken on is left to the next one") {
  job_submitter_test::leader l;
  CHECK_FALSE(l.submit({{}}));
  CHECK(l.submit({error{errc::internal, "not now"}}, false, true).code() == errc::internal);
  CHECK(l.cancelled == 0);
  CHECK(l.kept() == 1);
}

TEST_CASE("a job that another version has stored is not read, and stays for that version") {
  job_submitter_test::leader l;
  CHECK_FALSE(l.submit({{}}));
  auto bytes = *l.store->job("0123");
  ++bytes[0];
  l.store->update_job(l.token, "0123", bytes);
  CHECK(l.kept() == 0);
  CHECK(l.store->job("0123") == bytes);
  --bytes[0];
  l.store->update_job(l.token, "0123", bytes);
  CHECK(l.kept() == 1);
}

TEST_CASE("a job that is submitted once more stays what it is for the next leader") {
  job_submitter_test::leader l;
  CHECK_FALSE(l.submit({{}}));
  CHECK(l.submit({error{errc::invalid_argument, "it was submitted already"}}).code() == errc::invalid_argument);
  CHECK(l.kept() == 1);
}

TEST_CASE("a submission that is only checked asks no dispatcher, and leaves nothing for the next leader") {
  job_submitter_test::leader l;
  CHECK_FALSE(l.submit({error{errc::internal, "it was handed in"}}, true));
  CHECK(l.asked == 0);
  CHECK(l.kept() == 0);
}

TEST_CASE("a job that has ended is not run by the next leader, also when its leader died before it could forget it") {
  job_submitter_test::leader l;
  job_result result;
  result.id = "0123";
  {
    REQUIRE_FALSE(l.submit({{}}));
    const auto submission = l.store->job("0123");
    REQUIRE(submission);
    l.journal->ended(result);
    CHECK(l.store->jobs().empty());
    CHECK(l.store->put_job(l.token, "0123", *submission)); // as the dead leader has left it
  }
  CHECK(l.kept() == 0);
  CHECK(l.store->jobs().empty());
  REQUIRE(l.journal->results().size() == 1);
  CHECK(l.journal->results()[0]->id == "0123");
}
