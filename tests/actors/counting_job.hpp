/// A job that counts and can be stopped at any moment: counted source (1) -> same (2) -> summing sink (2).
#pragma once

#include <dataflow/state/declared_state.hpp>

#include "tests/actors/test_cluster.hpp"

namespace dataflow::test {

/// What a job and its test know of each other.
struct counting_control {
  std::atomic<bool> may_end{false}, fail{false};
  std::atomic<bool> slow{false};        ///< the sinks take a record a millisecond; the source brings ten
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
    context.wake_up();
  }
  void process(unsigned, batch_slice& slice) override {
    if (control_->fail.exchange(false)) throw std::runtime_error("this was meant to fail");
    if (control_->slow) {
      slice.limit = slice.cursor + 1;
      context().wake_at(context().clock().wall() + std::chrono::milliseconds{1});
      context().wait_for_wake_up();
    }
    for (; slice.cursor < slice.limit; ++slice.cursor) {
      const auto n = slice.data.as<std::int64_t>().records[slice.cursor];
      sum_ += n;
      highest_ = std::max(highest_, n);
    }
  }
  progress finish() override {
    control_->sum += sum_;
    for (std::int64_t so_far = control_->highest; // of several sinks at once
         so_far < highest_ && !control_->highest.compare_exchange_weak(so_far, highest_);) {
    }
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
inline std::shared_ptr<stream_graph> counting_job(std::shared_ptr<counting_control> control) {
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

} // namespace dataflow::test
