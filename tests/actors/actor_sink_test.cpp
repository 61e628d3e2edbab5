#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

#include <tests/actors/actor_io.hpp>

using namespace dataflow;
using namespace dataflow::test;
using actors::actor_sink;
using actors::sink_batch;

namespace {

/// numbers -> actor sink: the job of most tests here.
struct sink_job : actor_io {
  explicit sink_job(configuration settings = {}) : actor_io(std::move(settings)) {}
  ~sink_job() {
    if (to) self->send_exit(to, caf::exit_reason::kill);
  }
  /// Small batches, so that there are many messages.
  actors::client_pair start(caf::actor receiver, std::int64_t records, actors::actor_sink_options options,
                            std::int64_t parallelism = 1) {
    to = std::move(receiver);
    env.configure("taskmanager.batch.records", "10");
    env.sequence(1, records)
        .set_parallelism(parallelism)
        .sink_to(actor_sink<std::int64_t>{to, options})
        .name("dashboard")
        .set_parallelism(parallelism);
    return cluster->start(env, "sinking");
  }
  template <class Handler>
  caf::actor spawn_handler(Handler handler) {
    return cluster->system().spawn([handler](caf::event_based_actor*) -> caf::behavior { return {handler}; });
  }

  std::shared_ptr<receiver_state> state = std::make_shared<receiver_state>();
  caf::actor to;
};

} // namespace

TEST_CASE("records leave as messages, numbered by subtask and in order") {
  sink_job io;
  auto job = io.start(io.spawn_receiver(io.state), 1000, {}, 2);
  CHECK(result_of(*job.client).status == job_status::finished);
  std::map<std::uint32_t, numbers> records;
  std::map<std::uint32_t, std::uint64_t> sequence;
  for (auto& m : io.state->messages) {
    CHECK(m.sequence == ++sequence[m.subtask]);
    CHECK(m.attempt == 0);
    CHECK_FALSE(m.records.empty());
    records[m.subtask].insert(records[m.subtask].end(), m.records.begin(), m.records.end());
  }
  CHECK(records[0] == range(1, 500));
  CHECK(records[1] == range(501, 1000));
}

TEST_CASE("a slow actor holds the pipeline back: no more than the credit is unanswered, and the end waits for all") {
  sink_job io;
  io.state->answers = false;
  auto job = io.start(io.spawn_receiver(io.state), 10'000, {3, {}});
  io.state->wait_for(3);
  for (std::size_t n = 4; n <= 50; ++n) { // one answer, one message
    io.self->send(io.to, answer_now{});
    io.state->wait_for(n);
  }
  io.self->send(io.to, answer_now{true});
  CHECK(result_of(*job.client).status == job_status::finished);
  CHECK(io.state->records() == range(1, 10'000));
  CHECK(io.state->most_unanswered == 3);
  CHECK(io.state->unanswered == 0);
}

TEST_CASE("a job is not finished before the last message is acknowledged") {
  sink_job io;
  io.state->answers = false;
  auto job = io.start(io.spawn_receiver(io.state), 5, {4, {}});
  io.state->wait_for(1);
  // Another job goes through the same cluster from beginning to end meanwhile, so this one had all the time it needs.
  environment other{{.runner = io.cluster}};
  CHECK(other.sequence(1, 1000).collect().size() == 1000);
  CHECK(job.client->status() == job_status::running);
  io.self->send(io.to, answer_now{true});
  CHECK(result_of(*job.client).status == job_status::finished);
  CHECK(io.state->records() == range(1, 5));
}

TEST_CASE("waiting for an actor holds no thread") {
  struct one_thread : caf::actor_system_config {
    one_thread() { actors::configure(*this, 1); }
  } config;
  caf::actor_system system{config};
  auto cluster = std::make_shared<actors::embedded_cluster>(system);
  auto state = std::make_shared<receiver_state>();
  state->answers = false;
  auto to = system.spawn<receiver>(state);
  {
    environment env{{.runner = cluster}};
    env.sequence(1, 10'000'000).sink_to(actor_sink<std::int64_t>{to, {1, {}}});
    auto stuck = cluster->start(env, "stuck");
    state->wait_for(1);
    environment other{{.runner = cluster}};
    CHECK(other.sequence(1, 1000).collect().size() == 1000);
    stuck.client->cancel(); // and cancel does not wait for the actor
    CHECK(result_of(*stuck.client).status == job_status::canceled);
    CHECK(state->messages.size() == 1);
  }
  caf::anon_send_exit(to, caf::exit_reason::kill);
}

TEST_CASE("the actor of a sink dies: the task fails with its reason, also when nothing is to be sent") {
  log_capture log;
  sink_job io;
  io.state->answers = false;
  std::string why;
  caf::error reason;
  SUBCASE("killed, with messages unanswered") {
    reason = caf::exit_reason::kill;
    why = "the actor of the sink was killed";
  }
  SUBCASE("normally") { why = "the actor of the sink ended before the stream did"; }
  SUBCASE("with an error of its own") {
    reason = actors::to_caf(error{errc::disk_full, "no space for the dashboard"});
    why = "the actor of the sink ended: disk_full: no space for the dashboard";
  }
  SUBCASE("idle") {
    io.to = io.spawn_receiver(io.state);
    auto made = actors::actor_source<std::int64_t>(io.env, io.cluster->system(), "numbers");
    made.stream.sink_to(actor_sink<std::int64_t>{io.to, {4, {}}}).set_parallelism(1);
    io.state->answers = true;
    auto job = io.cluster->start(io.env);
    CHECK(io.ask(made.feed, 1, {1}).ack.sequence == 1);
    io.state->wait_for(1);
    io.self->send_exit(io.to, caf::exit_reason::kill);
    const auto r = result_of(*job.client);
    CHECK(r.failure.code() == errc::component_lost);
    CHECK(has(r.failure.cause(), "the actor of the sink was killed"));
    return;
  }
  auto job = io.start(io.spawn_receiver(io.state), 10'000, {2, {}});
  io.state->wait_for(2);
  reason ? io.self->send_exit(io.to, reason) : io.self->send(io.to, leave_now{});
  const auto r = result_of(*job.client);
  CHECK(r.status == job_status::failed);
  CHECK(r.failure.code() == errc::component_lost);
  CHECK(has(r.failure.cause(), why));
  CHECK(has(r.failure.cause(), "operator \"dashboard: Writer\" in task"));
}

TEST_CASE("an actor that is dead before the job begins fails it, too") {
  log_capture log;
  sink_job io;
  auto dead = io.spawn_receiver(io.state);
  io.self->send_exit(dead, caf::exit_reason::kill);
  io.self->wait_for(dead);
  auto job = io.start(dead, 10, {});
  const auto r = result_of(*job.client);
  CHECK(r.failure.code() == errc::component_lost);
  CHECK(has(r.failure.cause(), "the actor of the sink"));
}

TEST_CASE("an actor that answers wrongly, or not in time, fails the task with a hint") {
  log_capture log;
  sink_job io;
  caf::actor to;
  actors::actor_sink_options options;
  errc code = errc::invalid_argument;
  std::string why;
  SUBCASE("with an error") {
    to = io.spawn_handler([](const sink_batch<std::int64_t>&) -> caf::result<void> {
      return actors::to_caf(error{errc::disk_full, "no space"});
    });
    code = errc::disk_full;
    why = "answered with an error: no space";
  }
  SUBCASE("with a value") {
    to = io.spawn_handler([](const sink_batch<std::int64_t>&) { return 5; });
    why = "answered a sink_batch with a value";
  }
  SUBCASE("without a handler") {
    to = io.cluster->system().spawn([](caf::event_based_actor* self) -> caf::behavior {
      self->set_default_handler(caf::drop);
      return {[](int) {}};
    });
    why = "has no handler for its sink_batch";
  }
  SUBCASE("not at all") {
    io.state->answers = false;
    to = io.spawn_receiver(io.state);
    options.timeout = std::chrono::milliseconds{20};
    code = errc::timed_out;
    why = "did not answer within 20 ms";
  }
  auto job = io.start(to, 100, options);
  const auto r = result_of(*job.client);
  CHECK(r.status == job_status::failed);
  CHECK(r.failure.code() == code);
  CHECK(has(r.failure.cause(), why));
}

TEST_CASE("a job that restarts sends its records again, with a higher attempt") {
  log_capture log;
  sink_job io{restarting(1)};
  io.to = io.spawn_receiver(io.state);
  auto failed = std::make_shared<std::atomic<bool>>(false);
  io.env.configure("taskmanager.batch.records", "10");
  io.env.sequence(1, 100)
      .set_parallelism(1)
      .map([failed](std::int64_t n) {
        if (n == 55 && !failed->exchange(true)) throw std::logic_error{"once"};
        return n;
      })
      .sink_to(actor_sink<std::int64_t>{io.to})
      .set_parallelism(1);
  const auto r = result_of(*io.cluster->start(io.env).client);
  CHECK(r.status == job_status::finished);
  numbers second;
  for (auto& m : io.state->messages)
    if (m.attempt == 1) second.insert(second.end(), m.records.begin(), m.records.end());
  CHECK(second == range(1, 100));
}

TEST_CASE("one stream to an actor and elsewhere: both see all records") {
  sink_job io;
  io.to = io.spawn_receiver(io.state);
  auto kept = std::make_shared<kept_records>();
  io.env.configure("taskmanager.batch.records", "10");
  auto stream = io.env.sequence(1, 200).set_parallelism(1).map([](std::int64_t n) { return n; });
  stream.sink_to(actor_sink<std::int64_t>{io.to}).set_parallelism(1);
  stream.sink_to([kept](std::int64_t n) { kept->add(n); }).set_parallelism(1);
  CHECK(result_of(*io.cluster->start(io.env).client).status == job_status::finished);
  CHECK(io.state->records() == range(1, 200));
  CHECK(kept->all() == range(1, 200));
}

TEST_CASE("a sink that cannot work is refused where it is made") {
  sink_job io;
  io.to = io.spawn_receiver(io.state);
  CHECK_THROWS_AS((actor_sink<std::int64_t>{caf::actor{}}), error);
  CHECK_THROWS_AS((actor_sink<std::int64_t>{io.to, {0, {}}}), error);
}
