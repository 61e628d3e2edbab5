// Checkpoints on a real cluster: who asks for them, who dies meanwhile, and what goes on from them.
#include <dataflow/state/declared_state.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/log.hpp>

#include "tests/actors/test_cluster.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace dataflow;
using namespace dataflow::test;

namespace {

/// What a job and its test know of each other.
struct counting_control {
  std::atomic<bool> may_end{false}, fail{false};
  std::atomic<std::int64_t> sum{0};     ///< at the end: of all numbers, as the sink's state has it
  std::atomic<std::int64_t> highest{0}; ///< at the end: the largest number
  std::atomic<int> ended{0};
};

/// 1, 2, 3 ... at an easy pace until it may end; the position is the split.
class counted_source final : public source<std::int64_t> {
public:
  explicit counted_source(std::shared_ptr<counting_control> c) : control_(std::move(c)) {}
  boundedness bounds() const noexcept override { return boundedness::unbounded; }
  std::unique_ptr<source_reader<std::int64_t>> make_reader() const override {
    return std::make_unique<reader>(control_);
  }
  std::unique_ptr<split_enumerator> make_enumerator() const override { return std::make_unique<enumerator>(false); }
  std::unique_ptr<split_enumerator> restore_enumerator(const std::string& s) const override {
    return std::make_unique<enumerator>(s == "assigned");
  }

private:
  struct enumerator final : split_enumerator {
    explicit enumerator(bool a) : assigned(a) {}
    void start(enumerator_context&) override {}
    void split_requested(enumerator_context& context, std::uint32_t subtask) override {
      if (!assigned) context.assign(subtask, {"all", "0"});
      assigned = true;
    }
    void splits_returned(enumerator_context&, std::uint32_t, std::vector<source_split> splits) override {
      if (!splits.empty()) assigned = false;
    }
    std::string snapshot(std::uint64_t) override { return assigned ? "assigned" : "free"; }
    bool assigned;
  };
  struct reader final : source_reader<std::int64_t> {
    explicit reader(std::shared_ptr<counting_control> c) : control(std::move(c)) {}
    void open(reader_context& context) override {
      time = context.platform().clock;
      if (!begun) context.request_split();
    }
    void add_splits(std::vector<source_split> splits) override {
      begun = true;
      next = std::stoll(splits.at(0).payload);
    }
    void no_more_splits() override {}
    std::vector<source_split> snapshot(std::uint64_t) override {
      if (!begun) return {};
      return {{"all", std::to_string(next)}};
    }
    poll_result poll(source_output<std::int64_t>& out) override {
      const auto now = time->now();
      if (!begun || now < due) return poll_result::wait_until(due = std::max(due, now + std::chrono::milliseconds{1}));
      if (control->may_end) return poll_result::end();
      for (int i = 0; i < 10; ++i)
        out.collect(++next);
      due = now + std::chrono::milliseconds{1};
      return poll_result::more();
    }
    std::shared_ptr<counting_control> control;
    const dataflow::clock* time = nullptr;
    bool begun = false;
    std::int64_t next = 0;
    steady_time due{0};
  };
  std::shared_ptr<counting_control> control_;
};

/// Adds up in its state; tells at the end. Throws when it is told to.
class summing_sink final : public stream_operator, declared_state {
public:
  explicit summing_sink(std::shared_ptr<counting_control> c) : control_(std::move(c)) {}
  void open(operator_context& context) override {
    stream_operator::open(context);
    context.states().declare(*this);
  }
  void process(unsigned, batch_slice& slice) override {
    if (control_->fail.exchange(false)) throw std::runtime_error("this was meant to fail");
    for (; slice.cursor < slice.limit; ++slice.cursor) {
      const auto n = slice.data.as<std::int64_t>().records[slice.cursor];
      sum_ += n;
      highest_ = std::max(highest_, n);
    }
  }
  progress finish() override {
    control_->sum += sum_;
    control_->highest = std::max<std::int64_t>(control_->highest, highest_);
    ++control_->ended;
    return progress::done;
  }

private:
  state_info info() const override { return {"sum", state_kind::list, "int64 int64"}; }
  void snapshot(state_writer& out) const override {
    auto& bytes = out.part();
    bytes.fixed(sum_);
    bytes.fixed(highest_);
  }
  void restore(const state_part& part) override {
    byte_reader in{part.bytes};
    sum_ += in.fixed<std::int64_t>();
    highest_ = std::max(highest_, in.fixed<std::int64_t>());
  }
  std::shared_ptr<counting_control> control_;
  std::int64_t sum_ = 0, highest_ = 0;
};

/// counted source (1) -> same (2) -> summing sink (2).
std::shared_ptr<stream_graph> counting_job(std::shared_ptr<counting_control> control) {
  auto g = std::make_shared<stream_graph>();
  g->settings.buffer_timeout = std::chrono::milliseconds{1};
  auto& source = g->add(node_kind::source, "Source: counted");
  source.source = factories_of(counted_source{control});
  source.output_type = &record_type_of<std::int64_t>();
  source.parallelism = 1;
  auto same = [](std::int64_t x) { return x; };
  auto& map = g->add(node_kind::one_input, "Map");
  map.make_operator = [same] {
    return std::make_unique<map_operator<std::int64_t, std::int64_t, decltype(same)>>(same);
  };
  map.output_type = &record_type_of<std::int64_t>();
  map.parallelism = 2;
  auto& sink = g->add(node_kind::sink, "Sink: sum");
  sink.make_operator = [control] { return std::make_unique<summing_sink>(control); };
  sink.parallelism = 2;
  g->connect(0, 1);
  g->connect(1, 2).partition = partitioning{partitioning_kind::rebalance, {}};
  return g;
}

configuration checkpointing(const std::string& directory, const char* interval = "5 ms") {
  auto c = restarting(1000);
  c.set("execution.checkpointing.interval", interval);
  c.set("execution.checkpointing.tolerable-failed-checkpoints", "1000000");
  if (!directory.empty()) c.set("execution.checkpointing.dir", directory);
  return c;
}

void wait_for_checkpoints(job_client& job, std::uint64_t more) {
  const auto until = job.report().checkpoints.completed + more;
  while (job.report().checkpoints.completed < until)
    REQUIRE_FALSE(job.wait_for(std::chrono::milliseconds{1}));
}
void wait_for_restore(job_client& job, std::uint64_t from) {
  while (job.report().checkpoints.restored <= from)
    REQUIRE_FALSE(job.wait_for(std::chrono::milliseconds{1}));
}
/// Every number from 1 on was counted once.
void check_counted_once(counting_control& control, job_client& job) {
  control.may_end = true;
  const auto result = result_of(job);
  INFO(result.failure.to_string());
  REQUIRE(result.status == job_status::finished);
  const std::int64_t n = control.highest;
  CHECK(control.sum == n * (n + 1) / 2);
}

} // namespace

TEST_CASE("a failing operator: the job goes on from the last checkpoint and counts every record once") {
  log_capture quiet;
  for (const bool on_disk : {true, false}) {
    temporary_directory directory;
    test_cluster cluster{checkpointing(on_disk ? directory.path() : "")};
    auto control = std::make_shared<counting_control>();
    auto job = cluster.start(counting_job(control)).client;
    for (int i = 0; i < 3; ++i) {
      wait_for_checkpoints(*job, 3);
      const auto restored = job->report().checkpoints.restored;
      control->fail = true;
      wait_for_restore(*job, restored);
    }
    wait_for_checkpoints(*job, 1);
    check_counted_once(*control, *job);
    CHECK(job->report().restarts == 3);
  }
}

TEST_CASE("a checkpoint out of turn says where it is") {
  log_capture quiet;
  temporary_directory directory;
  test_cluster cluster{checkpointing(directory.path(), "1 h")};
  auto control = std::make_shared<counting_control>();
  auto job = cluster.start(counting_job(control)).client;
  std::string path;
  while (path.empty()) { // before all tasks run it is refused
    try {
      path = job->trigger_checkpoint();
    } catch (const error& e) {
      REQUIRE(e.code() == errc::checkpoint_failed);
    }
  }
  CHECK(path.find(directory.path()) == 0);
  CHECK(system_platform().files->exists(path + "/_metadata"));
  const auto report = job->report();
  CHECK(report.checkpoints.completed == 1);
  CHECK(report.checkpoints.last_path == path);
  CHECK(report.checkpoints.last_bytes > 0);
  check_counted_once(*control, *job);
  CHECK(test::error_of([&] { job->trigger_checkpoint(); }).code() == errc::job_not_found);
  CHECK_FALSE(system_platform().files->exists(path + "/_metadata")); // nothing is kept of a job that has finished
}

TEST_CASE("a job without checkpoints refuses one") {
  log_capture quiet;
  test_cluster cluster{restarting(1)};
  auto control = std::make_shared<counting_control>();
  auto job = cluster.start(counting_job(control)).client;
  CHECK(test::error_of([&] { job->trigger_checkpoint(); }).code() == errc::checkpoint_failed);
  check_counted_once(*control, *job);
}

TEST_CASE("whoever dies, the job goes on from a checkpoint") {
  log_capture quiet;
  for (const char* victim : {"checkpoint coordinator", "job master", "slot", "task"}) {
    CAPTURE(victim);
    temporary_directory directory;
    test_cluster cluster{checkpointing(directory.path()), {}, 1000};
    auto control = std::make_shared<counting_control>();
    auto job = cluster.start(counting_job(control)).client;
    wait_for_checkpoints(*job, 2);
    cluster.kill(victim);
    const bool coordinator = std::string{victim} == "checkpoint coordinator";
    if (coordinator)
      cluster.wait_for(victim, 2);
    else
      wait_for_restore(*job, 0);
    wait_for_checkpoints(*job, 2);
    check_counted_once(*control, *job);
    CHECK(control->ended == 2);
  }
}
