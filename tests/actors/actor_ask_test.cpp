// async::ask: records as requests to a user's own actor.
#include <dataflow/actors/connectors/actor_ask.hpp>
#include <dataflow/actors/simulation/simulated_cluster.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <tests/actors/actor_io.hpp>

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

using number = std::int64_t;
struct click {
  number user = 0, page = 0;
};
struct score {
  number user = 0, points = 0;
};
using typed_scorer = caf::typed_actor<caf::replies_to<number>::with<std::string>>;

struct asking {
  std::shared_ptr<actors::embedded_cluster> runner = std::make_shared<actors::embedded_cluster>();
  environment_options options() {
    environment_options o;
    o.runner = runner;
    return o;
  }
  template <class Handler>
  caf::actor spawn(Handler handler) {
    return runner->system().spawn([handler](caf::event_based_actor*) -> caf::behavior { return {handler}; });
  }
  ~asking() {
    for (auto& a : spawned)
      caf::anon_send_exit(a, caf::exit_reason::kill);
  }
  std::vector<caf::actor> spawned;
  template <class Handler>
  caf::actor answering(Handler handler) {
    return spawned.emplace_back(spawn(handler));
  }
};

} // namespace
DATAFLOW_RECORD(click, user, page);
DATAFLOW_RECORD(score, user, points);
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caf::response_promise)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(click)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(score)

TEST_CASE("an actor is asked for every record, and its answers are the stream") {
  for (const int parallelism : {1, 2, 4})
    for (const bool ordered : {false, true}) {
      asking a;
      auto scorer = a.answering([](const click& c) { return score{c.user, c.page * 2}; });
      environment env{a.options()};
      env.set_parallelism(parallelism);
      auto clicks = env.sequence(1, 2000).map([](const number& n) { return click{n % 7, n}; });
      auto scores = ordered ? async::ask_ordered<score>(clicks, scorer, 1min) : async::ask<score>(clicks, scorer, 1min);
      auto points = scores.map([](const score& s) { return s.points; }).collect();
      if (!ordered || parallelism > 1) std::sort(points.begin(), points.end());
      REQUIRE(points.size() == 2000);
      for (number i = 0; i < 2000; ++i)
        REQUIRE(points[static_cast<std::size_t>(i)] == (i + 1) * 2);
    }
}

TEST_CASE("a typed actor says what it answers") {
  asking a;
  auto scorer = a.runner->system().spawn(
      []() -> typed_scorer::behavior_type { return {[](number n) { return std::to_string(n) + "!"; }}; });
  environment env{a.options()};
  auto texts = async::ask_ordered(env.sequence(1, 3), scorer, 1min).collect();
  caf::anon_send_exit(scorer, caf::exit_reason::kill);
  CHECK(texts == std::vector<std::string>{"1!", "2!", "3!"});
}

TEST_CASE("an actor that answers with an error, ends, or knows nothing of the record fails the job") {
  auto failure_of = [](auto build) {
    asking a;
    environment env{a.options()};
    build(a, env);
    const auto result = env.execute_async()->wait();
    CHECK(result.status == job_status::failed);
    return result.failure;
  };
  const auto refused = failure_of([](asking& a, environment& env) {
    auto actor = a.answering([](const number&) -> caf::result<number> {
      return actors::to_caf(error{errc::permission_denied, "not for you"});
    });
    async::ask<number>(env.sequence(1, 10), actor, 1min).discard();
  });
  CHECK(refused.code() == errc::permission_denied);
  CHECK(refused.to_string().find("answered with an error: not for you") != std::string::npos);

  const auto deaf = failure_of([](asking& a, environment& env) {
    auto actor = a.answering([](const std::string&) { return 1; });
    async::ask<number>(env.sequence(1, 10), actor, 1min).discard();
  });
  CHECK(deaf.code() == errc::invalid_argument);
  CHECK(deaf.to_string().find("no handler for the record") != std::string::npos);

  const auto gone = failure_of([](asking& a, environment& env) {
    auto actor = a.answering([](const number& n) { return n; });
    caf::anon_send_exit(actor, caf::exit_reason::kill);
    async::ask<number>(env.sequence(1, 10), actor, 1min).discard();
  });
  CHECK(gone.code() == errc::component_lost);

  const auto other = failure_of([](asking& a, environment& env) {
    auto actor = a.answering([](const number&) { return std::string{"text"}; });
    async::ask<number>(env.sequence(1, 10), actor, 1min).discard();
  });
  CHECK(other.code() == errc::invalid_argument);
  CHECK(other.to_string().find("another type") != std::string::npos);
}

TEST_CASE("an actor that is slow holds the job back, and one that never answers does not hold up a cancel") {
  asking a;
  struct seen_state {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t asked = 0;
    std::vector<caf::response_promise> kept;
  };
  auto seen = std::make_shared<seen_state>();
  auto mute = a.runner->system().spawn([seen](caf::event_based_actor* self) -> caf::behavior {
    return {[seen, self](const number&) {
      auto promise = self->make_response_promise();
      std::lock_guard lock{seen->mutex};
      seen->kept.push_back(promise);
      ++seen->asked;
      seen->changed.notify_all();
      return promise;
    }};
  });
  environment env{a.options()};
  async::ask<number>(env.sequence(1, 100'000), mute, 24h, {.capacity = 5}).discard();
  auto job = env.execute_async();
  {
    std::unique_lock lock{seen->mutex};
    REQUIRE(seen->changed.wait_for(lock, std::chrono::seconds{90}, [&] { return seen->asked == 5; }));
  }
  job->cancel();
  CHECK(job->wait().status == job_status::canceled);
  std::lock_guard lock{seen->mutex};
  CHECK(seen->asked == 5);
  seen->kept.clear();
  caf::anon_send_exit(mute, caf::exit_reason::kill);
}

TEST_CASE("asked actors answer everything under every schedule, in virtual time") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    auto sim = std::make_shared<simulated_cluster>(seed);
    /// Answers late, and refuses every record once.
    auto scorer = sim->system().spawn([](caf::stateful_actor<std::set<number>>* self) -> caf::behavior {
      return {[self](const number& n) -> caf::result<number> {
                if (self->state.insert(n).second) return actors::to_caf(error{errc::connection_failed, "not yet"});
                auto promise = self->make_response_promise();
                self->delayed_send(self, std::chrono::milliseconds{n % 10}, promise, n);
                return promise;
              },
              [](caf::response_promise& promise, number n) { promise.deliver(n * 2); }};
    });
    environment_options o;
    o.runner = sim;
    environment env{o};
    env.set_parallelism(2);
    auto answers =
        async::ask<number>(env.sequence(1, 100), scorer, 10s, {.capacity = 5, .retry = fixed_delay{1, 1s}}).collect();
    std::sort(answers.begin(), answers.end());
    CHECK(answers.size() == 100);
    CHECK(answers.back() == 200);
    caf::anon_send_exit(scorer, caf::exit_reason::kill);
  }
}

TEST_CASE("async::ask wants an actor") {
  environment env;
  CHECK_THROWS_AS(async::ask<number>(env.sequence(1, 2), caf::actor{}, 1s), error);
  asking a;
  auto actor = a.answering([](const number& n) { return n; });
  CHECK_THROWS_AS(async::ask<number>(env.sequence(1, 2), actor, 0s), error);
}
