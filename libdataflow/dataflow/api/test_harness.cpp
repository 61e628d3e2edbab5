#include <dataflow/api/test_harness.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/memory_file_system.hpp>
#include <dataflow/util/memory_network.hpp>
#include <dataflow/util/platform.hpp>

namespace dataflow::detail {

namespace {

class standing_clock final : public clock {
public:
  steady_time now() const noexcept override { return time; }
  std::chrono::milliseconds wall() const noexcept override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time);
  }
  std::chrono::nanoseconds time{0};
};

class kept_text final : public text_output {
public:
  void write(std::string_view text) override { all += text; }
  std::string all;
};

class kept_batches final : public operator_output {
public:
  explicit kept_batches(std::vector<timestamp>* watermarks = nullptr) : watermarks_(watermarks) {}
  void emit(batch_ptr b) override {
    if (b && b->size() > 0) batches.push_back(std::move(b));
  }
  void emit_control(element e) override {
    if (watermarks_ && e.kind == element_kind::watermark) watermarks_->push_back(e.time());
  }
  std::vector<batch_ptr> batches;

private:
  std::vector<timestamp>* watermarks_;
};

const std::string job_id(32, '0');
const std::string job_name = "test", operator_name = "function under test", operator_uid = "test";

} // namespace

struct operator_harness::impl final : operator_context {
  explicit impl(const test_harness_options& o)
      : operator_context(pause), options(o), registry(range_of(o.subtask, o.parallelism, 128), 128, o.restored) {
    world.clock = &time;
    world.files = &files;
    world.sockets = &sockets;
    world.out = &out;
    world.err = &err;
  }
  // runtime_context
  const std::string& job_name() const noexcept override { return detail::job_name; }
  const std::string& job_id() const noexcept override { return detail::job_id; }
  const std::string& operator_name() const noexcept override { return detail::operator_name; }
  const std::string& operator_uid() const noexcept override { return detail::operator_uid; }
  const std::string& task_name() const noexcept override { return detail::operator_name; }
  std::uint32_t subtask_index() const noexcept override { return options.subtask; }
  std::uint32_t parallelism() const noexcept override { return options.parallelism; }
  std::uint32_t max_parallelism() const noexcept override { return 128; }
  std::uint32_t attempt() const noexcept override { return options.attempt; }
  dataflow::accumulator& accumulator_of(std::string_view name) override { return accumulators[std::string{name}]; }
  dataflow::accumulator& counter(std::string_view name) override { return counters[std::string{name}]; }
  const dataflow::clock& clock() const noexcept override { return time; }
  dataflow::platform& platform() noexcept override { return world; }
  // operator_context
  operator_output& output() override { return main; }
  operator_output& side_output(std::uint64_t tag) override { return sides[tag]; }
  batch_pool::handle pool(const record_type& type) override {
    auto& p = pools[&type];
    if (!p) p = batch_pool::make(type);
    return p;
  }
  const batch_limits& limits() const noexcept override { return batch; }
  const record_error_policy& on_record_error() const noexcept override { return options.on_record_error; }
  state_registry& states() override { return registry; }
  void wake_at(std::chrono::milliseconds wall) override { wake = std::min(wake, wall); }
  void report_result(std::uint64_t, std::string) override {}

  static constexpr auto never = std::chrono::milliseconds::max();
  const test_harness_options options;
  state_registry registry;
  std::chrono::milliseconds wake = never; // when the operator asked to be called
  std::atomic<bool> pause{false};
  dataflow::platform world;
  standing_clock time;
  memory_file_system files;
  memory_network sockets;
  kept_text out, err;
  batch_limits batch;
  std::vector<timestamp> watermarks;
  std::map<std::string, dataflow::accumulator, std::less<>> accumulators, counters;
  std::map<const record_type*, batch_pool::handle> pools; // looked up, never walked
  kept_batches main{&watermarks};
  std::map<std::uint64_t, kept_batches> sides;
  std::unique_ptr<stream_operator> op;
};

operator_harness::operator_harness(operator_factory make, const test_harness_options& options)
    : impl_(std::make_unique<impl>(options)) {
  impl_->op = make();
  try {
    impl_->op->open(*impl_);
  } catch (...) {
    impl_->op->close();
    throw;
  }
}

operator_harness::~operator_harness() { close(); }

void operator_harness::close() {
  if (!impl_->op) return;
  impl_->op->close();
  impl_->op.reset();
}

batch_ptr operator_harness::new_batch(const record_type& type) {
  if (!impl_->op) throw error{errc::invalid_argument, "push() after close()"};
  return impl_->pool(type)->get();
}

void operator_harness::push(batch_ptr b, unsigned input) {
  const auto size = b->size();
  batch_slice slice{std::move(b), 0, size};
  while (slice.data && slice.cursor < size)
    impl_->op->process(input, slice);
}

void operator_harness::watermark(timestamp t) {
  while (impl_->op->advance_watermark(t) != progress::done) {
  }
}

void operator_harness::end() {
  watermark(max_timestamp); // as sources do
  while (impl_->op->finish() != progress::done) {
  }
}

std::vector<batch_ptr> operator_harness::take(std::uint64_t tag) {
  return std::exchange(tag == 0 ? impl_->main.batches : impl_->sides[tag].batches, {});
}

const std::vector<timestamp>& operator_harness::watermarks() const noexcept { return impl_->watermarks; }

std::int64_t operator_harness::accumulator(std::string_view name) const {
  auto i = impl_->accumulators.find(name);
  return i == impl_->accumulators.end() ? 0 : i->second.value();
}
std::int64_t operator_harness::counter(std::string_view name) const {
  auto i = impl_->counters.find(name);
  return i == impl_->counters.end() ? 0 : i->second.value();
}

void operator_harness::set_time(std::chrono::milliseconds wall) {
  impl_->time.time = wall;
  while (impl_->op && impl_->wake <= wall) {
    const auto asked = std::exchange(impl_->wake, impl::never);
    if (impl_->op->advance_processing_time(wall) != progress::done) impl_->wake = std::min(impl_->wake, asked);
  }
}
std::shared_ptr<const operator_snapshot> operator_harness::snapshot() const {
  return std::make_shared<operator_snapshot>(impl_->registry.snapshot());
}
memory_file_system& operator_harness::files() { return impl_->files; }
const std::string& operator_harness::printed() const noexcept { return impl_->out.all; }

} // namespace dataflow::detail
