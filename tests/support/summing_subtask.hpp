/// Subtasks of operators that add up numbers, with a host that writes down what leaves them.
#pragma once

#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/task/subtask.hpp>

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace dataflow::test {

/// Writes down what leaves the subtask: "3 4 |1 5" for records and barriers.
struct checkpoint_host : subtask_host {
  void send(std::uint32_t, std::uint32_t, std::uint64_t, std::uint64_t, element e) override {
    auto add = [&](const std::string& what) { sent += (sent.empty() ? "" : " ") + what; };
    if (e.is_batch())
      for (auto x : e.data.as<std::int64_t>().records)
        add(std::to_string(x));
    else if (e.kind == element_kind::barrier)
      add("|" + std::to_string(e.value));
    else if (e.kind == element_kind::end)
      add("end");
  }
  void grant(std::uint32_t channel, std::uint32_t batches, std::uint64_t) override { granted[channel] += batches; }
  void request_split() override { ++requests; }
  void report_result(std::uint64_t, std::string) override {}
  void snapshot_taken(subtask_snapshot s) override { snapshots.push_back(std::move(s)); }
  void barrier_passed(std::int64_t checkpoint) override { passed.push_back(checkpoint); }
  std::function<void()> wake_up() override {
    return [] {};
  }
  std::string sent;
  std::map<std::uint32_t, std::uint32_t> granted;
  int requests = 0;
  std::vector<subtask_snapshot> snapshots;
  std::vector<std::int64_t> passed;
};

/// Adds up what it has seen, remembers the sum, and passes the running sum on.
class running_sum final : public stream_operator, declared_state {
public:
  struct log {
    std::string notices;
    bool broken = false;
  };
  explicit running_sum(log* l = nullptr) : log_(l) {}
  void open(operator_context& context) override {
    stream_operator::open(context);
    pool_ = context.pool(record_type_of<std::int64_t>());
    context.states().declare(*this);
  }
  void process(unsigned, batch_slice& slice) override {
    batch_ptr out = pool_->get();
    for (; slice.cursor < slice.limit; ++slice.cursor)
      out.as<std::int64_t>().records.push_back(sum_ += slice.data.as<std::int64_t>().records[slice.cursor]);
    emit(std::move(out));
  }
  void prepare_snapshot(std::int64_t checkpoint) override { note("prepare", checkpoint); }
  void checkpoint_completed(std::int64_t checkpoint) override { note("completed", checkpoint); }
  void checkpoint_aborted(std::int64_t checkpoint) override { note("aborted", checkpoint); }

private:
  void note(const char* what, std::int64_t checkpoint) {
    if (log_) log_->notices += what + (" " + std::to_string(checkpoint)) + " ";
  }
  state_info info() const override { return {"sum", state_kind::list, "int64"}; }
  void snapshot(state_writer& out) const override {
    if (log_ && log_->broken) throw std::runtime_error("this state cannot be written");
    out.part().fixed(sum_);
  }
  void restore(const state_part& part) override { sum_ += byte_reader{part.bytes}.fixed<std::int64_t>(); }
  log* log_;
  batch_pool::handle pool_;
  std::int64_t sum_ = 0;
};

inline element records_of(std::vector<std::int64_t> values) {
  batch_ptr b = batch_pool::make(record_type_of<std::int64_t>())->get();
  for (auto v : values)
    b.as<std::int64_t>().records.push_back(v);
  return element::of(std::move(b));
}
inline element barrier_of(std::int64_t checkpoint, bool waits = true) {
  return element::barrier(checkpoint, waits, std::make_shared<checkpoint_options>());
}
inline std::int64_t sum_in(const subtask_snapshot& s, const std::string& uid) {
  return byte_reader{s.state.operators.at(uid).states.states.at("sum").parts.at(0).bytes}.fixed<std::int64_t>();
}
inline stage_config summing_stage(const std::string& uid, running_sum::log* log = nullptr) {
  stage_config s;
  s.name = s.uid = uid;
  s.make = [log] { return std::make_unique<running_sum>(log); };
  return s;
}
inline void give_output(subtask_config& c) {
  subtask_config::output o;
  o.stage = c.stages.size() - 1;
  o.type = &record_type_of<std::int64_t>();
  o.gate.initial_credit = {100, 1 << 20};
  c.outputs.push_back(std::move(o));
  c.buffer_timeout = std::chrono::milliseconds{0};
}
inline subtask_config with_channels(std::size_t n) {
  subtask_config c;
  c.info.task_name = "task";
  c.channels.resize(n);
  c.credit = {4, 4 << 20};
  return c;
}
inline void run(subtask& task) {
  while (task.step().what == step_result::kind::again) {
  }
}

/// A source task whose splits are dealt out: all that its enumerator has for one reader.
inline void deal_out_splits(subtask& task, split_enumerator& enumerator, dataflow::platform& world) {
  struct context final : enumerator_context {
    std::uint32_t parallelism() const noexcept override { return 1; }
    void assign(std::uint32_t, source_split split) override { task->add_splits({std::move(split)}); }
    void no_more_splits(std::uint32_t) override { task->no_more_splits(); }
    dataflow::platform& platform() noexcept override { return *world; }
    subtask* task;
    dataflow::platform* world;
  } answers;
  answers.task = &task;
  answers.world = &world;
  enumerator.start(answers);
  enumerator.split_requested(answers, 0);
}

} // namespace dataflow::test
