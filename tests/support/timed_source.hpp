/// A source's stage alone, with event time: records of splits go in, what comes out is text: "1 2 |1 idle".
#pragma once

#include <dataflow/connectors/source_event_time.hpp>
#include <dataflow/operators/operator_chain.hpp>
#include <dataflow/record/codecs.hpp>

#include <memory>
#include <set>
#include <string>
#include <tests/support/test_platform.hpp>
#include <utility>
#include <vector>

namespace dataflow::test {

struct kept_reader final : source_reader_base {
  void open(reader_context&) override {}
  void add_splits(std::vector<source_split>) override {}
  void no_more_splits() override {}
  std::vector<source_split> snapshot(std::uint64_t) override { return {}; }
  void pause_split(const std::string& id, bool paused) override {
    if (paused)
      this->paused.insert(id);
    else
      this->paused.erase(id);
  }
  std::set<std::string> paused;
};

class timed_source final : chain_host {
public:
  using number = std::int64_t;
  explicit timed_source(const watermark_strategy<number>& strategy) : strategy_(strategy) { start({}); }
  void add(const std::string& split) { time->add_splits({{split, ""}}); }
  /// Records of one split; "" for none.
  std::string poll(const std::string& split, std::vector<number> records) {
    split_marks marks;
    if (!split.empty()) marks.records_of(split, 0);
    return poll(std::move(records), marks);
  }
  std::string poll(std::vector<number> records, const split_marks& marks) {
    auto b = pool(record_type_of<number>())->get();
    b.as<number>().records.append_copy(records.data(), records.size());
    time->polled(std::move(b), marks);
    return out();
  }
  std::string tick(std::int64_t wall) {
    clock_.advance_to(std::chrono::milliseconds{wall});
    time->advance(clock_.wall());
    return out();
  }
  std::string finish() {
    time->finish();
    return out();
  }
  /// Goes on in a new instance, which gets these splits.
  void restart(const std::vector<std::string>& splits) {
    auto stored = std::make_shared<operator_snapshot>(chain_->snapshot(0));
    time.reset();
    chain_.reset();
    start(std::move(stored));
    for (auto& s : splits)
      add(s);
  }

private:
  const watermark_strategy<number> strategy_;

public:
  kept_reader reader;
  std::vector<std::int64_t> reports;
  std::unique_ptr<typed_source_event_time<number>> time;
  steady_time backpressured{0};

private:
  void start(std::shared_ptr<const operator_snapshot> restored) {
    std::vector<stage_config> stages(2);
    stages[0].name = "Source: test";
    stages[0].restored = std::move(restored);
    stages[1].name = "capture";
    stages[1].make = [this] { return std::make_unique<capture>(*this); };
    chain_ = std::make_unique<operator_chain>(subtask_info{}, std::move(stages), std::vector<chain_output>{},
                                              batch_limits{}, 1, pause_, static_cast<chain_host&>(*this));
    chain_->open();
    time = std::make_unique<typed_source_event_time<number>>(strategy_);
    time->open(chain_->context(0), reader, [this](timestamp t) { reports.push_back(t.time_since_epoch().count()); });
  }
  struct capture final : stream_operator {
    explicit capture(timed_source& o) : owner(o) {}
    void process(unsigned, batch_slice& s) override {
      auto& b = s.data.as<number>();
      for (; s.cursor < s.limit; ++s.cursor)
        owner.say(std::to_string(b.records[s.cursor]) +
                  (b.timestamps[s.cursor] == timestamp{std::chrono::milliseconds{b.records[s.cursor]}} ? "" : "?"));
    }
    progress advance_watermark(timestamp t) override {
      owner.say(t == max_timestamp ? "|end" : "|" + std::to_string(t.time_since_epoch().count()));
      return progress::done;
    }
    void change_status(bool idle) override { owner.say(idle ? "idle" : "active"); }
    timed_source& owner;
  };
  void say(const std::string& what) { text_ += (text_.empty() ? "" : " ") + what; }
  std::string out() {
    while (chain_->run(steady_time::max()) == chain_state::yielded) {
    }
    return std::exchange(text_, {});
  }
  const dataflow::clock& clock() const noexcept override { return clock_; }
  steady_time active_time() const noexcept override { return clock_.now() - backpressured; }
  batch_pool::handle pool(const record_type& type) override {
    if (!pool_) pool_ = batch_pool::make(type);
    return pool_;
  }
  accumulator& accumulator_of(std::string_view) override { return unused_; }
  accumulator& counter(std::size_t, std::string_view) override { return unused_; }
  void report_result(std::uint64_t, std::string) override {}

  accumulator unused_;
  test::manual_clock clock_;
  std::atomic<bool> pause_{false};
  batch_pool::handle pool_;
  std::string text_;
  std::unique_ptr<operator_chain> chain_;
};

} // namespace dataflow::test
