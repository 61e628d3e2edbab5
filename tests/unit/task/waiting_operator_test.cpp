#include <dataflow/operators/operator_chain.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/record/record_type.hpp>
#include <dataflow/task/subtask.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <tests/support/test_platform.hpp>

using namespace dataflow;

namespace {

/// What the test and the operator share.
struct permits {
  std::size_t given = 0, calls = 0, wake_ups = 0;
  bool lost = false;
  std::optional<std::chrono::milliseconds> at; ///< asks for this time when it begins to wait
  std::function<void()> wake;
  std::vector<std::int64_t> seen;
  std::vector<std::string> control;
};

/// Takes a record for each permit, and waits where there is none.
class permitted_sink final : public stream_operator {
public:
  explicit permitted_sink(std::shared_ptr<permits> p) : permits_(std::move(p)) {}
  void open(operator_context& context) override {
    stream_operator::open(context);
    permits_->wake = context.wake_up();
  }
  void process(unsigned, batch_slice& slice) override {
    ++permits_->calls;
    auto& in = slice.data.as<std::int64_t>().records;
    for (; slice.cursor < slice.limit; ++slice.cursor) {
      if (permits_->given == 0) {
        if (permits_->at) context().wake_at(*permits_->at);
        return context().wait_for_wake_up();
      }
      --permits_->given;
      permits_->seen.push_back(in[slice.cursor]);
    }
  }
  void on_wake_up() override {
    ++permits_->wake_ups;
    if (permits_->lost) throw error{errc::component_lost, "nobody gives permits"};
  }
  progress finish() override {
    ++permits_->calls;
    if (permits_->given == 0) {
      context().wait_for_wake_up();
      return progress::yielded;
    }
    return progress::done;
  }

private:
  std::shared_ptr<permits> permits_;
};

/// Passes batches on and asks for a call 10 ms later.
class ticking final : public stream_operator {
public:
  void process(unsigned, batch_slice& slice) override {
    emit(std::move(slice.data));
    context().wake_at(context().clock().wall() + std::chrono::milliseconds{10});
  }
};

struct fixture {
  struct host_type final : subtask_host {
    void send(std::uint32_t, std::uint32_t, std::uint64_t, std::uint64_t, element) override {}
    void grant(std::uint32_t, std::uint32_t, std::uint64_t) override {}
    void request_split() override {}
    void report_result(std::uint64_t, std::string) override {}
    std::function<void()> wake_up() override {
      return [this] { ++woken; };
    }
    int woken = 0;
  };

  explicit fixture(operator_factory before = {}) {
    subtask_config c;
    c.info.task_name = "task";
    c.channels.push_back({0, false});
    c.credit = {4, 4 << 20};
    if (before) {
      stage_config first;
      first.name = first.uid = "before";
      first.make = std::move(before);
      c.stages.push_back(std::move(first));
    }
    stage_config s;
    s.name = s.uid = "sink";
    s.make = [p = shared] { return std::make_unique<permitted_sink>(p); };
    c.stages.push_back(std::move(s));
    task.emplace(std::move(c), world, host, metrics);
    task->open();
  }
  void receive(std::vector<std::int64_t> records) {
    batch_ptr b = batch_pool::make(record_type_of<std::int64_t>())->get();
    for (auto r : records)
      b.as<std::int64_t>().records.push_back(r);
    task->receive(0, sequence++, 8 * records.size(), element::of(std::move(b)));
  }
  void receive_end() { task->receive(0, sequence++, 0, element::control(element_kind::end)); }
  step_result::kind step() { return task->step().what; }

  std::shared_ptr<permits> shared = std::make_shared<permits>();
  test::test_platform world;
  host_type host;
  task_metrics metrics;
  std::optional<subtask> task;
  std::uint64_t sequence = 0;
};

using kind = step_result::kind;

} // namespace

TEST_CASE("an operator that waits is not called before it is woken, and goes on where it stopped") {
  fixture f;
  f.shared->given = 2;
  f.receive({1, 2, 3, 4});
  CHECK(f.step() == kind::wait_credit);
  CHECK(f.shared->seen == std::vector<std::int64_t>{1, 2});
  const auto calls = f.shared->calls;
  f.receive({5});
  CHECK(f.step() == kind::wait_credit); // other events do not wake it
  CHECK(f.step() == kind::wait_credit);
  CHECK(f.shared->calls == calls);

  f.shared->given = 1;
  f.shared->wake();
  CHECK(f.host.woken == 1); // the task is told to make a step
  CHECK(f.step() == kind::wait_credit);
  CHECK(f.shared->seen == std::vector<std::int64_t>{1, 2, 3});

  f.shared->given = 5;
  f.shared->wake();
  f.shared->wake();
  CHECK(f.step() == kind::wait_input);
  CHECK(f.shared->seen == std::vector<std::int64_t>{1, 2, 3, 4, 5});
  CHECK(f.shared->wake_ups == 2); // two wake-ups before a step are one
}

TEST_CASE("a wake-up that comes before the operator says that it waits is not lost") {
  fixture f;
  f.shared->wake();
  f.receive({1});
  CHECK(f.step() == kind::wait_credit);
  f.shared->given = 1;
  f.shared->wake();
  CHECK(f.step() == kind::wait_input);
  CHECK(f.shared->seen == std::vector<std::int64_t>{1});
}

TEST_CASE("an operator can hold up the end, and then the task is finished") {
  fixture f;
  f.receive_end();
  CHECK(f.step() == kind::wait_credit);
  CHECK(f.step() == kind::wait_credit);
  CHECK(f.shared->calls == 1);
  f.shared->given = 1;
  f.shared->wake();
  CHECK(f.step() == kind::finished);
}

TEST_CASE("what a wake-up throws fails the task, with the operator's name, also when there is no input") {
  fixture f;
  CHECK(f.step() == kind::wait_input);
  f.shared->lost = true;
  f.shared->wake();
  try {
    f.task->step();
    FAIL("nothing was thrown");
  } catch (const error& e) {
    CHECK(e.code() == errc::component_lost);
    CHECK(e.cause().find("operator \"sink\" in task \"task\"") != std::string::npos);
  }
}

TEST_CASE("a time that was asked for ends the wait of an operator") {
  fixture f;
  f.shared->at = std::chrono::milliseconds{50};
  f.receive({1, 2});
  auto result = f.task->step();
  CHECK(result.what == kind::wait_credit);
  CHECK(result.at == std::chrono::milliseconds{50});
  f.shared->given = 2;
  CHECK(f.step() == kind::wait_credit); // too early
  f.world.time.advance_to(std::chrono::milliseconds{50});
  CHECK(f.step() == kind::wait_input);
  CHECK(f.shared->seen == std::vector<std::int64_t>{1, 2});
}

TEST_CASE("times of operators before one that waits are not asked for: nothing could be done then") {
  fixture f{[] { return std::make_unique<ticking>(); }};
  f.receive({1});
  CHECK(f.step() == kind::wait_credit);
  f.world.time.advance_to(std::chrono::milliseconds{20});
  const auto result = f.task->step();
  CHECK(result.what == kind::wait_credit);
  CHECK(result.at == step_result::never);
  f.shared->given = 1;
  f.shared->wake();
  CHECK(f.step() == kind::wait_input);
}

namespace {
/// Asks for the first and for almost the last moment of all time.
class patient final : public stream_operator {
public:
  explicit patient(int& calls) : calls_(calls) {}
  void process(unsigned, batch_slice& slice) override {
    context().wake_at(std::chrono::milliseconds::min());
    emit(std::move(slice.data));
  }
  progress advance_processing_time(std::chrono::milliseconds) override {
    ++calls_;
    context().wake_at(std::chrono::milliseconds::max() - std::chrono::milliseconds{1});
    return progress::done;
  }

private:
  int& calls_;
};
} // namespace

TEST_CASE("times at the limits of 64 bits: one that has passed is now, one that never comes is far away") {
  int calls = 0;
  fixture f{[&] { return std::make_unique<patient>(calls); }};
  f.shared->given = 10;
  f.world.time.advance_to(std::chrono::seconds{5});
  f.receive({1});
  const auto result = f.task->step();
  CHECK(calls == 1);
  CHECK(result.what == kind::wait_input);
  CHECK(result.at > std::chrono::hours{24});
  CHECK(result.at != step_result::never); // asked again then
  CHECK(f.task->step().at > std::chrono::hours{24});
  CHECK(calls == 1);
}

TEST_CASE("a wake-up after the task is gone does nothing") {
  std::shared_ptr<permits> shared;
  {
    fixture f;
    shared = f.shared;
    f.task.reset();
    shared->wake();
    CHECK(f.host.woken == 1);
  }
}
