#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

#include <tests/actors/actor_io.hpp>

using namespace dataflow;
using namespace dataflow::test;
using actors::feed_ack;
using actors::feed_batch;
using actors::feed_close;

namespace {

auto keep_in(std::shared_ptr<kept_records> records) {
  return [records](std::int64_t n) { records->add(n); };
}

/// source -> actor sink in one task, whose actor does not answer: after two batches nothing moves.
struct stuck_pipeline : actor_io {
  explicit stuck_pipeline(std::uint32_t credit = 8, configuration settings = {}) : actor_io(std::move(settings)) {
    state->answers = false;
    to = spawn_receiver(state);
    auto made = actors::actor_source<std::int64_t>(env, cluster->system(), "numbers", {credit});
    feed = made.feed;
    made.stream.sink_to(actors::actor_sink<std::int64_t>{to, {1, {}}}).set_parallelism(1);
    job = cluster->start(env, "stuck");
    // The first batch is with the actor; the second one waits in the chain, so the source is not polled any more.
    CHECK(ask(feed, 1, {1}).ack.sequence == 1);
    state->wait_for(1);
    CHECK(ask(feed, 2, {2}).ack.sequence == 2);
  }
  ~stuck_pipeline() { self->send_exit(to, caf::exit_reason::kill); }
  void release() { self->send(to, answer_now{true}); }

  std::shared_ptr<receiver_state> state = std::make_shared<receiver_state>();
  caf::actor to, feed;
  actors::client_pair job;
};

} // namespace

TEST_CASE("an actor feeds a stream: in order, acknowledged with credit, until feed_close") {
  actor_io io;
  auto records = std::make_shared<kept_records>();
  auto [feed, stream] = actors::actor_source<std::int64_t>(io.env, io.cluster->system(), "numbers", {3});
  stream.map([](std::int64_t n) { return 10 * n; }).sink_to(keep_in(records)).set_parallelism(1);
  auto job = io.cluster->start(io.env, "fed");
  for (std::uint64_t i = 1; i <= 50; ++i) {
    const auto first = static_cast<std::int64_t>(3 * i);
    const auto a = io.ask(feed, i, {first, first + 1, first + 2});
    CHECK_FALSE(a.failure);
    CHECK(a.ack.sequence == i);
    CHECK(a.ack.credit == (i == 1 ? 3 : 1)); // the first answer tells the credit, the others give it back
  }
  CHECK(io.ask(feed, 51, {}).ack.sequence == 51); // nothing in it: fine
  CHECK_FALSE(io.close(feed));
  CHECK(result_of(*job.client).status == job_status::finished);
  numbers expected;
  for (auto n : range(3, 152))
    expected.push_back(10 * n);
  CHECK(records->all() == expected);
}

TEST_CASE("single records are messages, too: each is answered when it was taken") {
  actor_io io;
  auto records = std::make_shared<kept_records>();
  auto [feed, stream] = actors::actor_source<std::int64_t>(io.env, io.cluster->system(), "numbers");
  stream.sink_to(keep_in(records));
  auto job = io.cluster->start(io.env);
  for (std::int64_t n = 0; n < 20; ++n) {
    const auto a = io.answer_of(io.request(feed, n));
    CHECK_FALSE(a.failure);
    CHECK(a.ack.sequence == 0);
  }
  io.self->send(feed, std::int64_t{20}); // a plain message: the answer is one as well
  bool acknowledged = false;
  io.self->receive([&](feed_ack) { acknowledged = true; });
  CHECK(acknowledged);
  CHECK_FALSE(io.close(feed));
  CHECK(result_of(*job.client).status == job_status::finished);
  CHECK(records->sorted() == range(0, 20));
}

TEST_CASE("a sender far ahead of a stuck pipeline: what waits is bounded, what is beyond the credit is refused") {
  stuck_pipeline io{8};
  using handle = decltype(io.request(io.feed, feed_batch<std::int64_t>{}));
  std::vector<handle> answers;
  for (std::uint64_t i = 3; i <= 202; ++i)
    answers.push_back(io.request(io.feed, feed_batch<std::int64_t>{i, {static_cast<std::int64_t>(i)}}));
  for (std::size_t i = answers.size(); i-- > 8;) { // the first 8 wait, and nobody else
    const auto a = io.answer_of(answers[i]);
    CAPTURE(i);
    CHECK(a.failure.code() == (i == 8 ? errc::invalid_argument : errc::channel_gap));
    if (i == 8) CHECK(has(a.failure.cause(), "more than the credit of 8"));
  }
  io.release();
  for (std::size_t i = 0; i < 8; ++i)
    CHECK(io.answer_of(answers[i]).ack.sequence == i + 3);
  CHECK(io.ask(io.feed, 11, {11}).ack.sequence == 11); // the refused ones can be sent again
  CHECK_FALSE(io.close(io.feed));
  CHECK(result_of(*io.job.client).status == job_status::finished);
  CHECK(io.state->records() == range(1, 11));
}

TEST_CASE("each sender has a credit and sequence numbers of its own") {
  stuck_pipeline io{1};
  caf::scoped_actor other{io.cluster->system()};
  auto mine = io.request(io.feed, feed_batch<std::int64_t>{3, {3}});
  auto theirs = other->request(io.feed, std::chrono::seconds{90}, feed_batch<std::int64_t>{1, {4}});
  CHECK(io.answer_of(io.request(io.feed, feed_batch<std::int64_t>{4, {5}})).failure.code() == errc::invalid_argument);
  io.release();
  CHECK(io.answer_of(mine).ack.sequence == 3);
  CHECK(io.answer_of(theirs).ack.sequence == 1);
  CHECK_FALSE(io.close(io.feed));
  CHECK(result_of(*io.job.client).status == job_status::finished);
  CHECK(io.state->records() == range(1, 4));
}

TEST_CASE("a batch that is sent again is acknowledged again and not delivered twice; a gap is an error") {
  stuck_pipeline io;
  CHECK(io.ask(io.feed, 1, {1}).ack.sequence == 1); // was taken long ago
  auto first = io.request(io.feed, feed_batch<std::int64_t>{3, {3}});
  auto again = io.request(io.feed, feed_batch<std::int64_t>{3, {3}}); // while it waits
  const auto gap = io.ask(io.feed, 5, {5});
  CHECK(gap.failure.code() == errc::channel_gap);
  CHECK(gap.failure.cause() == "the feed of actor source \"numbers\" got batch 5 where 4 was expected");
  CHECK(io.ask(io.feed, 0, {0}).failure.code() == errc::channel_gap); // they begin at 1
  io.release();
  CHECK(io.answer_of(first).ack.sequence == 3);
  const auto second_answer = io.answer_of(again).ack;
  CHECK(second_answer.sequence == 3);
  CHECK(second_answer.credit == 0); // credit is given once
  CHECK(io.ask(io.feed, 3, {3}).ack.sequence == 3);
  CHECK_FALSE(io.close(io.feed));
  CHECK(result_of(*io.job.client).status == job_status::finished);
  CHECK(io.state->records() == range(1, 3));
}

TEST_CASE("after feed_close nothing more is taken, but what waits is still delivered") {
  stuck_pipeline io;
  auto waiting = io.request(io.feed, feed_batch<std::int64_t>{3, {3}});
  CHECK_FALSE(io.close(io.feed));
  CHECK_FALSE(io.close(io.feed));                   // once more changes nothing
  CHECK(io.ask(io.feed, 1, {1}).ack.sequence == 1); // what was taken stays acknowledged
  const auto late = io.ask(io.feed, 4, {4});
  CHECK(late.failure.code() == errc::feed_closed);
  CHECK(has(late.failure.cause(), "was closed by feed_close"));
  io.release();
  CHECK(io.answer_of(waiting).ack.sequence == 3);
  CHECK(result_of(*io.job.client).status == job_status::finished);
  CHECK(io.state->records() == range(1, 3));
}

TEST_CASE("when the job is cancelled its senders are told, those that wait and those that come later") {
  stuck_pipeline io;
  auto waiting = io.request(io.feed, feed_batch<std::int64_t>{3, {3}});
  auto single = io.request(io.feed, std::int64_t{4});
  io.job.client->cancel(); // takes effect although the user's actor never answers
  CHECK(result_of(*io.job.client).status == job_status::canceled);
  for (const auto& a : {io.answer_of(waiting), io.answer_of(single), io.ask(io.feed, 4, {5})}) {
    CHECK(a.failure.code() == errc::feed_closed);
    CHECK(has(a.failure.cause(), "job \"stuck\" (" + io.job.client->id() + ") has ended: job_canceled"));
    CHECK(has(a.failure.advice(), "actor source of a new job"));
  }
  CHECK(io.close(io.feed).code() == errc::feed_closed);
}

TEST_CASE("a sender learns that the job has finished or failed") {
  log_capture log;
  actor_io io;
  auto finished = actors::actor_source<std::int64_t>(io.env, io.cluster->system(), "a");
  finished.stream.discard();
  auto job = io.cluster->start(io.env, "short");
  CHECK_FALSE(io.close(finished.feed));
  CHECK(result_of(*job.client).status == job_status::finished);
  // The client's actor tells the feed before it ends.
  io.self->wait_for(job.actor);
  CHECK(
      has(io.ask(finished.feed, 1, {1}).failure.cause(),
          "the feed of actor source \"a\" takes nothing more: job \"short\" (" + job.client->id() + ") has finished"));

  environment second;
  auto failing = actors::actor_source<std::int64_t>(second, io.cluster->system(), "b");
  failing.stream.map([](std::int64_t) -> std::int64_t { throw std::logic_error{"no"}; }).discard();
  auto doomed = io.cluster->start(second, "doomed");
  CHECK(io.ask(failing.feed, 1, {1}).ack.sequence == 1); // taken, and then lost
  CHECK(result_of(*doomed.client).status == job_status::failed);
  io.self->wait_for(doomed.actor);
  const auto late = io.ask(failing.feed, 2, {1});
  CHECK(late.failure.code() == errc::feed_closed);
  CHECK(has(late.failure.cause(), "has ended: user_function_failed"));
  CHECK(has(late.failure.cause(), "std::logic_error: no"));
}

TEST_CASE("when nobody is left who could send, a job does not look finished: it fails and says so") {
  log_capture log;
  actor_io io;
  auto made = actors::actor_source<std::int64_t>(io.env, io.cluster->system(), "numbers");
  made.stream.discard();
  auto job = io.cluster->start(io.env);
  SUBCASE("all handles are gone") {
    CHECK(io.ask(made.feed, 1, {1}).ack.sequence == 1);
    made.feed = nullptr;
  }
  SUBCASE("the feed was killed") { io.self->send_exit(made.feed, caf::exit_reason::kill); }
  const auto r = result_of(*job.client);
  CHECK(r.status == job_status::failed);
  CHECK(r.failure.code() == errc::component_lost);
  CHECK(has(r.failure.cause(), "the feed of actor source \"numbers\" ended before feed_close"));
}

TEST_CASE("handles may go when everything was sent and closed") {
  actor_io io;
  auto records = std::make_shared<kept_records>();
  auto made = actors::actor_source<std::int64_t>(io.env, io.cluster->system(), "numbers");
  made.stream.sink_to(keep_in(records));
  for (std::uint64_t i = 1; i <= 3; ++i) // before there is a job: it waits
    io.self->send(made.feed, feed_batch<std::int64_t>{i, {static_cast<std::int64_t>(i)}});
  CHECK_FALSE(io.close(std::exchange(made.feed, {})));
  auto job = io.cluster->start(io.env);
  CHECK(result_of(*job.client).status == job_status::finished);
  CHECK(records->sorted() == range(1, 3));
}

TEST_CASE("an actor source serves one job; a pipeline that is dropped answers its senders") {
  actor_io io;
  auto env = std::make_unique<environment>();
  auto made = actors::actor_source<std::int64_t>(*env, io.cluster->system(), "numbers");
  made.stream.discard();
  SUBCASE("a second job is refused, and the first does not notice") {
    auto job = io.cluster->start(*env, "first");
    try {
      io.cluster->start(*env, "second");
      FAIL("the second job was accepted");
    } catch (const error& e) {
      CHECK(e.code() == errc::invalid_graph);
      CHECK(e.cause() == "actor source \"numbers\" belongs to job \"first\" (" + job.client->id() + ")");
    }
    CHECK(io.ask(made.feed, 1, {1}).ack.sequence == 1);
    CHECK_FALSE(io.close(made.feed));
    CHECK(result_of(*job.client).status == job_status::finished);
  }
  SUBCASE("never run") {
    auto waiting = io.request(made.feed, feed_batch<std::int64_t>{1, {1}});
    auto feed = made.feed;
    env.reset();
    made = {{}, io.env.from_elements<std::int64_t>({1})};
    const auto a = io.answer_of(waiting);
    CHECK(a.failure.code() == errc::feed_closed);
    CHECK(has(a.failure.cause(), "its pipeline was dropped without being run"));
  }
  CHECK_THROWS_AS(actors::actor_source<std::int64_t>(io.env, io.cluster->system(), "none", {0}), error);
}

TEST_CASE("two readers share a feed: every record comes out once") {
  actor_io io;
  auto records = std::make_shared<kept_records>();
  auto [feed, stream] = actors::actor_source<std::int64_t>(io.env, io.cluster->system(), "numbers", {100});
  stream.set_parallelism(2);
  stream.sink_to(keep_in(records)).set_parallelism(2);
  auto job = io.cluster->start(io.env);
  using handle = decltype(io.request(feed, feed_batch<std::int64_t>{}));
  std::vector<handle> answers;
  for (std::int64_t i = 0; i < 100; ++i)
    answers.push_back(
        io.request(feed, feed_batch<std::int64_t>{static_cast<std::uint64_t>(i) + 1, range(100 * i, 100 * i + 99)}));
  for (auto& a : answers)
    CHECK_FALSE(io.answer_of(a).failure);
  CHECK_FALSE(io.close(feed));
  CHECK(result_of(*job.client).status == job_status::finished);
  CHECK(records->sorted() == range(0, 9999));
}

TEST_CASE("a job that restarts goes on with what was not acknowledged; what it had taken is lost") {
  log_capture log;
  actor_io io{restarting(3)};
  auto records = std::make_shared<kept_records>();
  auto [feed, stream] = actors::actor_source<std::int64_t>(io.env, io.cluster->system(), "numbers");
  stream
      .map([](std::int64_t n) {
        if (n == 13) throw std::logic_error{"unlucky"};
        return n;
      })
      .sink_to(keep_in(records))
      .set_parallelism(1);
  auto job = io.cluster->start(io.env);
  CHECK(io.ask(feed, 1, range(1, 3)).ack.sequence == 1);
  records->wait_for(3);
  CHECK(io.ask(feed, 2, {13}).ack.sequence == 2);
  CHECK(io.ask(feed, 3, range(14, 20)).ack.sequence == 3);
  CHECK_FALSE(io.close(feed));
  const auto r = result_of(*job.client);
  CHECK(r.status == job_status::finished);
  CHECK(r.restarts == 1);
  auto all = records->all();
  REQUIRE(all.size() >= 3);
  CHECK(numbers(all.begin(), all.begin() + 3) == range(1, 3));
  // Batch 3 may have been taken together with batch 2, and was lost with it; else it came through, once.
  CHECK((all.size() == 3 || numbers(all.begin() + 3, all.end()) == range(14, 20)));
}

TEST_CASE("a reader that is killed within a batch leaves its rest to the next one, and the sender gets its answer") {
  log_capture log;
  configuration settings = restarting(3);
  settings.set("taskmanager.batch.records", "100");
  test_cluster cluster{settings};
  environment env;
  caf::scoped_actor self{cluster.system};
  auto state = std::make_shared<receiver_state>();
  state->answers = false;
  auto to = cluster.system.spawn<receiver>(state);
  auto made = actors::actor_source<std::int64_t>(env, cluster.system, "numbers");
  made.stream.sink_to(actors::actor_sink<std::int64_t>{to, {1, {}}}).set_parallelism(1);
  auto job = cluster.start(env.graph("killed"));
  auto answer = self->request(made.feed, std::chrono::seconds{90}, feed_batch<std::int64_t>{1, range(0, 999)});
  state->wait_for(1); // 0..99 are with the actor, 100..199 in the chain, the rest with the reader
  // Until the reader has been stopped by the sink it may be on its way to the second hundred.
  cluster.kill("task");
  cluster.wait_for("task", 2);
  self->send(to, answer_now{true});
  bool acknowledged = false;
  answer.receive([&](feed_ack a) { acknowledged = a.sequence == 1; }, [](caf::error&) {});
  CHECK(acknowledged);
  self->request(made.feed, std::chrono::seconds{90}, feed_close{}).receive([] {}, [](caf::error&) {});
  CHECK(result_of(*job.client).status == job_status::finished);
  const auto all = state->records();
  CHECK(numbers(all.begin(), all.begin() + 100) == range(0, 99));
  CHECK((numbers(all.begin() + 100, all.end()) == range(200, 999) ||
         numbers(all.begin() + 100, all.end()) == range(100, 999)));
  self->send_exit(to, caf::exit_reason::kill);
}

TEST_CASE("a record above the configured size fails the job and is not read again") {
  log_capture log;
  configuration settings = restarting(3);
  settings.set("taskmanager.record.max-bytes", "1 kb");
  actor_io io{settings};
  auto count = std::make_shared<std::atomic<int>>(0);
  auto [feed, stream] = actors::actor_source<std::string>(io.env, io.cluster->system(), "texts");
  stream.sink_to([count](const std::string&) { ++*count; });
  auto job = io.cluster->start(io.env);
  CHECK_FALSE(io.answer_of(io.request(feed, feed_batch<std::string>{1, {std::string(5000, 'x'), "short"}})).failure);
  CHECK_FALSE(io.close(feed));
  const auto r = result_of(*job.client);
  CHECK(r.status == job_status::finished);
  CHECK(r.restarts == 1);
  CHECK(*count == 1);
  CHECK(has(r.final_report.failures.at(0).cause.to_string(), "source \"Source: texts\""));
}
