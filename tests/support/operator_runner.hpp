/// Runs one operator in a chain of its own, without tasks: push records, watermarks and the end, look at the outputs.
#pragma once

#include <dataflow/operators/operator_chain.hpp>
#include <dataflow/operators/output_tag.hpp>
#include <dataflow/record/record_type.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/platform.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tests/support/fetched_databases.hpp>
#include <tests/support/test_platform.hpp>
#include <vector>

namespace dataflow::test {

/// A record as an output delivered it.
template <class T>
struct delivered {
  T value;
  std::optional<std::int64_t> time; ///< milliseconds
};

class captured_text final : public text_output {
public:
  void write(std::string_view text) override { all += text; }
  std::string all;
};

class operator_runner final : public chain_host {
public:
  struct options {
    unsigned inputs = 1;
    record_error_policy policy;
    batch_limits limits;
    std::uint32_t subtask = 0, parallelism = 1;
    std::string name = "op";
    std::chrono::milliseconds watermark_interval{200};
    state_place place = {};
    std::shared_ptr<const operator_snapshot> restored = {}; ///< what it starts from
  };
  explicit operator_runner(operator_factory make) : operator_runner(std::move(make), options{}) {}
  operator_runner(operator_factory make, options o) : options_(std::move(o)) {
    world_.clock = &clock_;
    world_.out = &out;
    world_.err = &err;
    stages_.push_back({options_.name, "uid", std::move(make), options_.policy, 0, 0});
    stages_.back().place = options_.place;
    stages_.back().restored = options_.restored;
  }

  /// Keep the records of the main output. Call before the first push.
  template <class T>
  std::vector<delivered<T>>& capture() {
    return capture<T>(0);
  }
  template <class T>
  std::vector<delivered<T>>& capture(const output_tag<T>& tag) {
    return capture<T>(tag.id());
  }

  template <class T>
  void push(std::vector<T> records, unsigned input = 0) {
    push(batch_of(std::move(records)), input);
  }
  /// With timestamps in milliseconds.
  template <class T>
  void push_timed(const std::vector<std::pair<T, std::int64_t>>& records, unsigned input = 0) {
    std::vector<T> values;
    for (auto& [v, t] : records)
      values.push_back(v);
    auto b = batch_of(std::move(values));
    for (auto& [v, t] : records)
      b->timestamps.push_back(timestamp{std::chrono::milliseconds{t}});
    push(std::move(b), input);
  }
  void push(batch_ptr b, unsigned input = 0) { push(element::of(std::move(b)), input); }
  /// Runs what has become possible meanwhile: the operator was woken, for example.
  void run_again() {
    start();
    run();
  }
  void push(element e, unsigned input = 0) {
    start();
    chain_->feed(input, std::move(e));
    run();
  }
  /// Wall time in milliseconds; whatever is due runs. Time stands still otherwise.
  void set_time(std::int64_t wall) {
    start();
    clock_.advance_to(std::chrono::milliseconds{wall});
    run();
  }
  /// The operator goes on in a new instance, from a snapshot of what it has declared; what was in memory is
  /// written when it is gone.
  void restart() { restart_in(options_.place); }
  /// The same with its keyed state somewhere else.
  void restart_in(state_place place) {
    start();
    stages_[0].restored =
        std::make_shared<operator_snapshot>(options_.place.incremental ? chain_->snapshot(0) : chain_->freeze(0));
    if (options_.place.databases) stages_[0].restored = written(*stages_[0].restored); // its database goes with it
    chain_.reset();
    options_.place = stages_[0].place = std::move(place);
    start();
  }
  /// From the files of its databases. `go_on`: the new ones begin with them, else they are read.
  void restart_from_files(bool go_on, state_place place) {
    start();
    const auto frozen = std::make_shared<operator_snapshot>(chain_->freeze(0));
    files_.push_back(std::make_unique<fetched_databases>(frozen));
    stages_[0].restored = files_.back()->copy({0, 127}, go_on);
    chain_.reset();
    options_.place = stages_[0].place = std::move(place);
    start();
  }
  /// Feeds an element and runs the chain so often, whether it is drained then or not.
  void step(element e, unsigned times) {
    start();
    chain_->feed(0, std::move(e));
    for (; times > 0; --times)
      chain_->run(steady_time::max());
  }
  operator_snapshot snapshot() {
    start();
    return chain_->snapshot(0);
  }
  /// The same to be written later, as a checkpoint takes it.
  operator_snapshot freeze() {
    start();
    return chain_->freeze(0);
  }
  void watermark(std::int64_t t) { push(element::watermark(timestamp{std::chrono::milliseconds{t}})); }
  void end() {
    for (unsigned i = 0; i < options_.inputs; ++i)
      push(element::control(element_kind::end), i);
  }
  void close() {
    start();
    chain_->close();
  }
  template <class T>
  batch_ptr batch_of(std::vector<T> records) {
    auto b = pool(record_type_of<T>())->get();
    for (auto& r : records)
      b.template as<T>().records.push_back(std::move(r));
    return b;
  }

  captured_text out, err;
  std::map<std::string, accumulator, std::less<>> counters, accumulators;
  std::vector<std::string> results; ///< of collect
  std::atomic<bool> pause{false};
  /// Control elements that came out, and how many records all captures together had got before each.
  struct control {
    element_kind kind;
    std::int64_t value;
    std::size_t records_before;
  };
  std::vector<control> controls;
  chain_state state = chain_state::drained; ///< of the last run
  std::size_t largest_batch = 0;            ///< that came to capture(), in records
  unsigned runs = 0;                        ///< how often the chain had to be run until it was drained

private:
  template <class T>
  class capture_operator final : public stream_operator {
  public:
    capture_operator(std::vector<delivered<T>>& into, operator_runner& owner) : into_(into), owner_(owner) {}
    void process(unsigned, batch_slice& s) override {
      auto& b = s.data.as<T>();
      if (b.has_timestamps() && b.timestamps.size() != b.size()) throw error{errc::internal, "a broken batch"};
      owner_.captured_ += s.limit - s.cursor;
      owner_.largest_batch = std::max(owner_.largest_batch, b.size());
      for (; s.cursor < s.limit; ++s.cursor)
        into_.push_back({b.records[s.cursor], b.has_timestamps()
                                                  ? std::optional{b.timestamps[s.cursor].time_since_epoch().count()}
                                                  : std::nullopt});
    }

  private:
    std::vector<delivered<T>>& into_;
    operator_runner& owner_;
  };
  template <class T>
  std::vector<delivered<T>>& capture(std::uint64_t side) {
    auto kept = std::make_shared<std::vector<delivered<T>>>();
    kept_.push_back(kept);
    stages_.push_back({"capture",
                       "capture",
                       [kept, this] { return std::make_unique<capture_operator<T>>(*kept, *this); },
                       {},
                       0,
                       side});
    return *kept;
  }
  void start() {
    if (chain_) return;
    subtask_info info{"job", std::string(32, '0'), "task", options_.subtask, options_.parallelism, 128, 0};
    info.watermark_interval = options_.watermark_interval;
    chain_ = std::make_unique<operator_chain>(info, stages_, std::vector<chain_output>{}, options_.limits,
                                              options_.inputs, pause, *this);
    chain_->open();
  }
  void run() {
    do {
      ++runs;
      state = chain_->run(steady_time::max());
    } while (state == chain_state::yielded);
  }
  const dataflow::clock& clock() const noexcept override { return clock_; }
  void control_at_end(std::size_t stage, const element& e) override {
    if (stage <= 1) controls.push_back({e.kind, e.value, captured_});
  }
  dataflow::platform& platform() noexcept override { return world_; }
  batch_pool::handle pool(const record_type& type) override {
    auto& p = pools_[&type];
    if (!p) p = batch_pool::make(type);
    return p;
  }
  accumulator& accumulator_of(std::string_view name) override { return accumulators[std::string{name}]; }
  accumulator& counter(std::size_t, std::string_view name) override { return counters[std::string{name}]; }
  void report_result(std::uint64_t, std::string bytes) override { results.push_back(std::move(bytes)); }

  options options_;
  manual_clock clock_;
  std::size_t captured_ = 0;
  dataflow::platform world_;
  std::map<const record_type*, batch_pool::handle> pools_;
  std::vector<std::shared_ptr<void>> kept_;
  std::vector<std::unique_ptr<fetched_databases>> files_;
  std::vector<stage_config> stages_;
  std::unique_ptr<operator_chain> chain_;
};

template <class T>
std::vector<T> values_of(const std::vector<delivered<T>>& all) {
  std::vector<T> values;
  for (auto& d : all)
    values.push_back(d.value);
  return values;
}

} // namespace dataflow::test
