// The contract of two-phase sinks: what is prepared when, published when, and what becomes of it after a restore.
#include <dataflow/connectors/committing_sink.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>
#include <tests/support/error_of.hpp>
#include <tests/support/sink_harness.hpp>

using namespace dataflow;
using namespace std::chrono_literals;
using dataflow::test::error_of;
using dataflow::test::sink_harness;
using dataflow::test::test_platform;
using dataflow::test::united;

namespace committing_sink_test {

/// What the sink's halves share with the test: the outside world.
struct outside {
  std::vector<std::string> published, calls;
  int retries_left = 0;
  bool barrier_fails = false;
};

/// A committable is the text of the records since the last one, the state of a writer how many it has seen.
struct toy_writer final : committing_writer<std::string, std::string, std::int64_t> {
  explicit toy_writer(outside* o) : world(o) {}
  void open(runtime_context&, const restored_sink<std::string, std::int64_t>& restored) override {
    for (auto n : restored.own)
      seen += n;
    world->calls.push_back("open " + std::to_string(restored.own.size()) + " of " +
                           std::to_string(restored.all.size()) + ", pending " +
                           std::to_string(restored.pending.size()));
  }
  void write(const std::string& record, timestamp) override {
    text += record;
    ++seen;
  }
  void barrier() override {
    if (world->barrier_fails) throw std::runtime_error{"the disk is gone"};
    world->calls.push_back("barrier");
  }
  std::vector<std::string> prepare_commit() override {
    if (text.empty()) return {};
    return {std::exchange(text, {})};
  }
  std::vector<std::int64_t> snapshot() override { return {seen}; }
  void finish() override { world->calls.push_back("finish"); }
  void close() noexcept override { world->calls.push_back("close"); }
  outside* world;
  std::string text;
  std::int64_t seen = 0;
};

struct toy_committer final : committer<std::string> {
  explicit toy_committer(outside* o) : world(o) {}
  void commit(std::vector<commit_request<std::string>>& requests) override {
    for (auto& r : requests) {
      if (world->retries_left > 0) {
        --world->retries_left;
        r.update_and_retry_later(r.committable() + "'");
      } else {
        world->published.push_back(r.committable());
      }
    }
  }
  outside* world;
};

struct toy_sink : committing_sink<std::string, std::string, std::int64_t> {
  explicit toy_sink(outside& o, std::optional<delivery_guarantee> g = {}) : world(&o) { delivery_ = g; }
  std::unique_ptr<toy_writer> make_writer(delivery_guarantee) const { return std::make_unique<toy_writer>(world); }
  std::unique_ptr<toy_committer> make_committer(delivery_guarantee) const {
    return std::make_unique<toy_committer>(world);
  }
  commit_retries retries() const override { return {3, 100ms}; }
  outside* world;
};

using texts = std::vector<std::string>;

struct fixture {
  outside out;
  test_platform world;
  operator_factory make = sink_operators(toy_sink{out});
  std::unique_ptr<sink_harness<std::string>> start(std::shared_ptr<const operator_snapshot> from = {},
                                                   std::uint32_t subtask = 0, std::uint32_t parallelism = 1) {
    return std::make_unique<sink_harness<std::string>>(make, world, subtask, parallelism, record_error_policy{}, 0u,
                                                       std::move(from), true);
  }
};

} // namespace committing_sink_test
using namespace committing_sink_test;

TEST_CASE("a two-phase sink publishes when the checkpoint is complete, and not a moment earlier") {
  fixture f;
  auto h = f.start();
  h->push({"a", "b"});
  h->barrier(1);
  h->push({"c"});
  h->barrier(2);
  h->push({"d"});
  CHECK(f.out.published.empty());
  h->sink().checkpoint_completed(1);
  CHECK(f.out.published == texts{"ab"});
  h->sink().checkpoint_completed(2);
  CHECK(f.out.published == texts{"ab", "c"});
  h->sink().checkpoint_completed(2);
  CHECK(f.out.published.size() == 2);
}

TEST_CASE("what was prepared for a checkpoint that was aborted is published with a later one") {
  fixture f;
  auto h = f.start();
  h->push({"a"});
  h->barrier(1);
  h->sink().checkpoint_aborted(1);
  h->push({"b"});
  const auto stored = h->barrier(2);
  CHECK(stored.states.at("_committables").parts.size() == 2);
  h->sink().checkpoint_completed(2);
  CHECK(f.out.published == texts{"a", "b"});
  CHECK(h->barrier(3).states.at("_committables").parts.empty());
}

TEST_CASE("after a restore the committables of the checkpoint are published again before the writer opens") {
  fixture f;
  auto h = f.start();
  h->push({"a"});
  const auto stored = h->barrier(1);
  h->push({"never"});
  SUBCASE("the word that it is complete was lost") {}
  SUBCASE("the word had come") { h->sink().checkpoint_completed(1); }
  h.reset();
  f.out.published.clear();
  f.out.calls.clear();
  h = f.start(united({stored}));
  CHECK(f.out.published == texts{"a"});
  CHECK(f.out.calls == texts{"open 1 of 1, pending 1"});
  h->push({"b"});
  CHECK(h->barrier(2).states.at("_writers").parts.size() == 1);
  h->sink().checkpoint_completed(2);
  CHECK(f.out.published == texts{"a", "b"});
}

TEST_CASE("a committing_operator that is restored after every record publishes each record once") {
  fixture f;
  auto h = f.start();
  const texts records{"a", "b", "c", "d", "e", "f", "g"};
  std::int64_t checkpoint = 0;
  for (auto& record : records) {
    h->push({record});
    auto stored = united({h->barrier(++checkpoint)});
    // Every other checkpoint is heard of before the operator dies: what it published is published again.
    if (checkpoint % 2 == 0) h->sink().checkpoint_completed(checkpoint);
    h.reset();
    h = f.start(std::move(stored));
  }
  CHECK(texts(f.out.published.begin(), std::unique(f.out.published.begin(), f.out.published.end())) == records);
}

TEST_CASE("at another parallelism every committable and every writer's state goes to exactly one subtask") {
  fixture f;
  std::vector<operator_snapshot> stored;
  for (std::uint32_t i = 0; i < 3; ++i) {
    auto h = f.start({}, i, 3);
    h->push({std::string(1, static_cast<char>('a' + i))});
    h->barrier(1);
    h->push({std::string(1, static_cast<char>('x' + i))});
    stored.push_back(h->barrier(2));
  }
  for (const std::uint32_t parallelism : {1u, 2u, 3u, 5u}) {
    CAPTURE(parallelism);
    f.out.published.clear();
    std::size_t own = 0;
    for (std::uint32_t i = 0; i < parallelism; ++i) {
      f.out.calls.clear();
      auto h = f.start(united(stored), i, parallelism);
      own += static_cast<std::size_t>(f.out.calls.at(0).at(5) - '0');
      CHECK(f.out.calls.at(0).substr(6) == " of 3, pending 6");
      if (parallelism == 3) CHECK(f.out.published.size() == 2 * (i + 1));
    }
    std::sort(f.out.published.begin(), f.out.published.end());
    CHECK(f.out.published == texts{"a", "b", "c", "x", "y", "z"});
    CHECK(own == 3);
  }
}

TEST_CASE("at least once: published as soon as it is prepared; the writer's state is kept") {
  fixture f;
  f.make = sink_operators(toy_sink{f.out, delivery_guarantee::at_least_once});
  auto h = f.start();
  h->push({"a"});
  CHECK(f.out.published == texts{"a"});
  const auto stored = h->barrier(1);
  CHECK(stored.states.at("_committables").parts.empty());
  CHECK(stored.states.at("_writers").parts.size() == 1);
  CHECK(f.out.calls.back() == "barrier");
  h->finish();
  CHECK(!h->sink().awaits_checkpoint());
}

TEST_CASE("no guarantee: nothing is made durable and nothing is kept") {
  fixture f;
  f.make = sink_operators(toy_sink{f.out, delivery_guarantee::none});
  auto h = f.start();
  h->push({"a"});
  CHECK(f.out.published == texts{"a"});
  const auto stored = h->barrier(1);
  CHECK(stored.states.at("_writers").parts.empty());
  CHECK(f.out.calls == texts{"open 0 of 0, pending 0"});
}

TEST_CASE("without checkpoints, and when nobody asked for more, a sink is at least once") {
  fixture f;
  sink_harness<std::string> h{f.make, f.world};
  h.push({"a"});
  CHECK(f.out.published == texts{"a"});
}

TEST_CASE("at the end of the input a sink waits for one more checkpoint, if there is something to publish") {
  fixture f;
  auto h = f.start();
  h->push({"a"});
  h->barrier(1);
  h->push({"b"});
  CHECK(!h->sink().awaits_checkpoint());
  h->finish();
  CHECK(h->sink().awaits_checkpoint());
  h->sink().checkpoint_completed(1); // of a barrier in front of the end: not enough
  CHECK(f.out.published == texts{"a"});
  CHECK(h->sink().awaits_checkpoint());
  h->barrier(2);
  CHECK(h->sink().awaits_checkpoint());
  h->sink().checkpoint_completed(2);
  CHECK(f.out.published == texts{"a", "b"});
  CHECK(!h->sink().awaits_checkpoint());
  auto idle = f.start();
  idle->finish();
  CHECK(!idle->sink().awaits_checkpoint());
}

TEST_CASE("what cannot be published now is tried again, changed if it says so, and at last fails the task") {
  fixture f;
  auto h = f.start();
  h->push({"a"});
  h->barrier(1);
  f.out.retries_left = 2;
  h->sink().checkpoint_completed(1);
  CHECK(f.out.published.empty());
  CHECK(h->wakes_at.value() == 100ms);
  const auto stored = h->barrier(2); // it stays in the checkpoint
  CHECK(stored.states.at("_committables").parts.size() == 1);
  f.world.time.advance_to(100ms);
  h->wake();
  CHECK(f.out.published.empty());
  f.world.time.advance_to(200ms);
  h->wake();
  CHECK(f.out.published == texts{"a''"});
  CHECK(!h->wakes_at);

  h->push({"b"});
  h->barrier(3);
  f.out.retries_left = 100;
  h->sink().checkpoint_completed(3);
  for (int i = 0; i < 2; ++i)
    h->wake();
  CHECK(error_of([&] { h->wake(); }).cause().find("in 4 tries") != std::string::npos);
}

TEST_CASE("behind the end of the input there is no pause between two tries") {
  fixture f;
  auto h = f.start();
  h->push({"a"});
  h->finish();
  h->barrier(1);
  f.out.retries_left = 3;
  h->sink().checkpoint_completed(1);
  CHECK(f.out.published == texts{"a'''"});
  CHECK(!h->sink().awaits_checkpoint());
}

TEST_CASE("a writer that could not make its output durable fails the task when its checkpoint is aborted") {
  fixture f;
  auto h = f.start();
  h->push({"a"});
  f.out.barrier_fails = true;
  CHECK_THROWS(h->barrier(1));
  f.out.barrier_fails = false;
  CHECK_THROWS_WITH(h->sink().checkpoint_aborted(1), "the disk is gone");
  CHECK_THROWS_WITH(h->barrier(2), "the disk is gone");
  CHECK_THROWS_WITH(h->push({"b"}), "the disk is gone");
  CHECK(f.out.published.empty());
}
