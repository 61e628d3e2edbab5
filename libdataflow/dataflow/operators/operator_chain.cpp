#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/checkpoint/published_output.hpp>
#include <dataflow/operators/operator_chain.hpp>
#include <dataflow/record/record_origin.hpp>
#include <dataflow/record/record_type.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/platform.hpp>

#include <algorithm>
#include <utility>

namespace dataflow {

namespace {

/// A queue whose elements are mostly taken as soon as they are put: keeps its memory.
class element_queue {
public:
  struct entry {
    unsigned input;
    std::size_t cursor;
    element what;
  };
  bool empty() const noexcept { return head_ == entries_.size(); }
  entry& front() noexcept { return entries_[head_]; }
  const entry& front() const noexcept { return entries_[head_]; }
  void push(unsigned input, element e) { entries_.push_back({input, 0, std::move(e)}); }
  void pop() {
    entries_[head_].what.data.reset();
    if (++head_ == entries_.size()) {
      entries_.clear();
      head_ = 0;
    } else if (head_ >= 64) {
      entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
  }

private:
  std::vector<entry> entries_;
  std::size_t head_ = 0;
};

/// In the place of one that had come to its end: passes on what goes by.
class finished_operator final : public stream_operator {
public:
  void process(unsigned, batch_slice& slice) override { slice.cursor = slice.limit; }
};

} // namespace

/// Who reads an output of a stage: later stages of the chain, and output gates.
struct operator_chain::consumers final : operator_output {
  operator_chain* chain = nullptr;
  stage* producer = nullptr;
  std::vector<stage*> stages;
  std::vector<output_gate*> gates;

  void emit(batch_ptr b) override;
  void emit_control(element e) override;
};

class operator_chain::null_output final : public operator_output {
public:
  void emit(batch_ptr) override {}
  void emit_control(element) override {}
};

dataflow::platform& chain_host::platform() noexcept { return system_platform(); }

class operator_chain::stage final : public operator_context, public operator_output {
public:
  stage(operator_chain& chain, std::size_t index, stage_config config)
      : operator_context(chain.pause_), chain_(chain), index(index), config(std::move(config)),
        registry(range_of(chain.info_.subtask, chain.info_.parallelism, chain.info_.max_parallelism),
                 chain.info_.max_parallelism, this->config.restored) {
    registry.set_place(this->config.place);
    main.chain = &chain;
    main.producer = this;
  }

  // operator_output: the main output; control elements go to side outputs, too
  void emit(batch_ptr b) override {
    if (!b || b->size() == 0) return;
    if (auto* m = metrics()) m->records_out.add(b->size());
    main.emit(std::move(b));
  }
  void emit_control(element e) override {
    if (e.kind == element_kind::watermark)
      if (auto* m = metrics()) m->output_watermark.set(e.value);
    for (auto& [tag, side] : sides)
      side.emit_control(e);
    main.emit_control(std::move(e));
  }

  // operator_context
  const std::string& job_name() const noexcept override { return chain_.info_.job_name; }
  const std::string& job_id() const noexcept override { return chain_.info_.job_id; }
  const std::string& operator_name() const noexcept override { return config.name; }
  const std::string& operator_uid() const noexcept override { return config.uid; }
  const std::string& task_name() const noexcept override { return chain_.info_.task_name; }
  std::uint32_t subtask_index() const noexcept override { return chain_.info_.subtask; }
  std::uint32_t parallelism() const noexcept override { return chain_.info_.parallelism; }
  std::uint32_t max_parallelism() const noexcept override { return chain_.info_.max_parallelism; }
  std::uint32_t attempt() const noexcept override { return chain_.info_.attempt; }
  bool checkpointing_enabled() const noexcept override { return chain_.info_.checkpointing; }
  accumulator& accumulator_of(std::string_view name) override { return chain_.host_.accumulator_of(name); }
  accumulator& counter(std::string_view name) override { return chain_.host_.counter(index, name); }
  const dataflow::clock& clock() const noexcept override { return chain_.host_.clock(); }
  dataflow::platform& platform() noexcept override { return chain_.host_.platform(); }
  operator_output& output() override { return *this; }
  operator_output& side_output(std::uint64_t tag) override {
    auto i = sides.find(tag);
    if (i != sides.end()) return i->second;
    return nothing;
  }
  batch_pool::handle pool(const record_type& type) override { return chain_.host_.pool(type); }
  const batch_limits& limits() const noexcept override { return chain_.limits_; }
  const record_error_policy& on_record_error() const noexcept override { return config.on_record_error; }
  void report_result(std::uint64_t collector, std::string bytes) override {
    chain_.host_.report_result(collector, std::move(bytes));
  }
  std::function<void()> wake_up() override {
    if (!woken) {
      woken = std::make_shared<std::atomic<bool>>(false);
      chain_.wakeable_.push_back(this);
    }
    return [flag = woken, tell_task = chain_.host_.wake_up()] {
      flag->store(true, std::memory_order_release);
      tell_task();
    };
  }
  void wait_for_wake_up() noexcept override { waiting = woken != nullptr; }

  std::chrono::milliseconds watermark_interval() const noexcept override { return chain_.info_.watermark_interval; }
  steady_time active_time() const noexcept override { return chain_.host_.active_time(); }
  state_registry& states() override { return registry; }
  void wake_at(std::chrono::milliseconds wall) override {
    wake = std::min(wake, wall);
    chain_.next_wake_ = std::min(chain_.next_wake_, due());
  }

  /// When it has to be called.
  std::chrono::milliseconds due() const noexcept { return stopped ? never : wake; }
  operator_metrics* metrics() noexcept { return index < chain_.metrics_.size() ? chain_.metrics_[index] : nullptr; }
  /// More or fewer records per call, so that a call takes about slice_time at most.
  void adapt(std::size_t records, steady_time took) noexcept {
    if (took > slice_time)
      chunk = std::max<std::size_t>(
          1, static_cast<std::size_t>(static_cast<double>(records) *
                                      (steady_time{slice_time} / std::chrono::duration<double, std::nano>{took})));
    else if (records >= chunk && took * 4 < slice_time && chunk < max_chunk)
      chunk *= 2;
  }

  /// The same for what the last call has caused in the stages behind.
  void adapt_to_rest() noexcept {
    if (called_with > 0) chunk = std::min(chunk, fitting(called_with, chain_.busy_ - busy_at));
  }

  static constexpr std::size_t max_chunk = std::size_t{1} << 20;
  operator_chain& chain_;
  const std::size_t index;
  stage_config config;
  state_registry registry;
  std::chrono::milliseconds wake = never; // when the operator asked to be called
  std::unique_ptr<stream_operator> op;
  element_queue queue;
  consumers main;
  std::map<std::uint64_t, consumers> sides;
  null_output nothing;
  std::size_t chunk = 64;
  std::size_t called_with = 0;               // records of the last call
  steady_time busy_at{0};                    // the chain's, behind that call
  unsigned ended_inputs = 0, told_ended = 0; // told_ended: a bit for each input
  bool opened = false;
  bool drained = false;                     // finish() has done its work in front of a barrier
  std::optional<std::int64_t> stopped;      // at the barrier of this savepoint: time stands still
  std::shared_ptr<std::atomic<bool>> woken; // set from outside, before the task is told
  bool waiting = false;                     // not to be called before `woken`
};

void operator_chain::consumers::emit(batch_ptr b) {
  if (!b || b->size() == 0) return;
  // A batch that others hold, too, is the input passed on: it has its origin. What an operator that waits for somebody
  // outside puts out need not come of the record at hand.
  if (chain->origin_ && b.unique()) [[unlikely]]
    b->origin = producer->woken ? nullptr : chain->origin_;
  auto left = stages.size() + gates.size();
  for (auto* s : stages) {
    ++chain->pending_;
    s->queue.push(0, element::of(--left == 0 ? std::move(b) : b));
  }
  for (auto* g : gates)
    g->push(--left == 0 ? std::move(b) : b);
}

void operator_chain::consumers::emit_control(element e) {
  for (auto* s : stages) {
    ++chain->pending_;
    s->queue.push(0, e);
  }
  for (auto* g : gates)
    g->push_control(e);
  if (stages.empty()) chain->host_.control_at_end(producer->index, e);
}

operator_chain::operator_chain(subtask_info info, std::vector<stage_config> stages, std::vector<chain_output> outputs,
                               batch_limits limits, unsigned inputs, const std::atomic<bool>& pause, chain_host& host)
    : info_(std::move(info)), outputs_(std::move(outputs)), inputs_(inputs), pause_(pause), host_(host),
      limits_(limits) {
  for (std::size_t i = 0; i < stages.size(); ++i)
    stages_.push_back(std::make_unique<stage>(*this, i, std::move(stages[i])));
  auto port = [&](std::size_t producer, std::uint64_t side) -> consumers& {
    auto& s = *stages_[producer];
    if (side == 0) return s.main;
    auto& c = s.sides[side];
    c.chain = this;
    c.producer = &s;
    return c;
  };
  for (std::size_t i = 1; i < stages_.size(); ++i)
    port(stages_[i]->config.parent, stages_[i]->config.side).stages.push_back(stages_[i].get());
  for (auto& o : outputs_)
    port(o.stage, o.side).gates.push_back(o.gate);
}

operator_chain::~operator_chain() { close(); }

operator_context& operator_chain::context(std::size_t i) { return *stages_[i]; }

const stream_operator* operator_chain::operator_at(std::size_t i) const noexcept { return stages_[i]->op.get(); }

void operator_chain::open() {
  for (auto i = stages_.size(); i-- > 0;) {
    auto& s = *stages_[i];
    if (!s.config.make) continue;
    try {
      const auto& from = s.config.restored;
      const bool to_publish = from && from->states.contains(committables_state);
      if (!s.config.finished || to_publish) s.op = s.config.make();
      if (s.config.finished && !(s.op && s.op->publishes())) s.op = std::make_unique<finished_operator>();
      s.opened = true;
      s.op->open(s);
    } catch (...) {
      throw located(i);
    }
  }
  opened_ = true;
}

void operator_chain::close() noexcept {
  for (auto& s : stages_) {
    if (!s->opened) continue;
    s->opened = false;
    s->op->close();
  }
}

error operator_chain::located(std::size_t stage) {
  auto e = current_error();
  failed_at_ = stages_[stage]->woken ? nullptr : origin_;
  if (failed_at_) e = e.within(failed_at_->to_string());
  return e.within("operator \"" + stages_[stage]->config.name + "\" in task \"" + info_.task_name + "\" (" +
                  std::to_string(info_.subtask + 1) + "/" + std::to_string(info_.parallelism) + ") attempt " +
                  std::to_string(info_.attempt));
}

void operator_chain::feed(unsigned input, element e) {
  ++pending_;
  stages_[0]->queue.push(input, std::move(e));
}

void operator_chain::feed_source(element e) {
  auto& s = *stages_[0];
  if (e.is_batch()) return s.emit(std::move(e.data));
  if (e.kind == element_kind::barrier) return pass_barrier(s, std::move(e));
  const bool end = e.kind == element_kind::end;
  s.emit_control(std::move(e));
  if (end && stages_.size() == 1) finished_ = true;
}

bool operator_chain::gates_writable() const noexcept {
  for (auto& o : outputs_)
    if (!o.gate->writable()) return false;
  return true;
}

std::optional<std::chrono::milliseconds> operator_chain::next_wake() const noexcept {
  auto next = next_wake_;
  if (held_by_) {
    next = never;
    for (auto i = held_by_->index; i < stages_.size(); ++i)
      next = std::min(next, stages_[i]->due());
  }
  if (next == never || finished_) return {};
  return next;
}

operator_snapshot operator_chain::snapshot(std::size_t stage) const { return stages_[stage]->registry.snapshot(); }
operator_snapshot operator_chain::freeze(std::size_t stage) { return stages_[stage]->registry.freeze(); }

/// The deepest stage that has something to do, so that what lies between two stages stays small.
operator_chain::stage* operator_chain::next_stage(std::chrono::milliseconds now) noexcept {
  for (auto i = stages_.size(); i-- > 0;)
    if (!stages_[i]->queue.empty() || stages_[i]->due() <= now) return stages_[i].get();
  return nullptr;
}

chain_state operator_chain::run(steady_time deadline) {
  held_by_ = nullptr;
  for (;;) {
    if (!gates_writable()) return chain_state::blocked;
    if (!wakeable_.empty() && tell_woken()) continue;
    // Most operators ask for no wall time: then nobody looks at the clock for it.
    const auto now = next_wake_ == never || finished_ ? std::chrono::milliseconds::min() : host_.clock().wall();
    const bool due = next_wake_ <= now;
    if (pending_ == 0 && !due) return chain_state::drained;
    auto* s = next_stage(now);
    if (!s) { // the stage that asked for the time has ended meanwhile
      refresh_next_wake();
      continue;
    }
    if (s->waiting && s->due() > now) {
      held_by_ = s;
      return chain_state::blocked;
    }
    try {
      if (s->due() <= now)
        wake_stage(*s, now);
      else
        run_stage(*s);
    } catch (...) {
      throw located(s->index);
    }
    if (pause_.load(std::memory_order_relaxed) || host_.clock().now() >= deadline)
      return pending_ == 0 && gates_writable() ? chain_state::drained : chain_state::yielded;
  }
}

std::size_t operator_chain::fitting(std::size_t records, steady_time took) noexcept {
  if (took <= steady_time{rest_time}) return stage::max_chunk;
  return std::max<std::size_t>(
      1, static_cast<std::size_t>(static_cast<double>(records) *
                                  (steady_time{rest_time} / std::chrono::duration<double, std::nano>{took})));
}

bool operator_chain::barrier_inside() const noexcept {
  auto& first = stages_[0]->queue;
  return to_take_ > 0 || (!first.empty() && first.front().what.kind == element_kind::barrier);
}

chain_state operator_chain::run_ahead(steady_time deadline) {
  held_by_ = nullptr;
  while (barrier_inside()) {
    if (!wakeable_.empty() && tell_woken()) continue;
    auto i = stages_.size() - 1;
    while (i > 0 && stages_[i]->queue.empty())
      --i;
    auto& s = *stages_[i];
    try {
      if (!s.waiting) {
        run_stage(s);
      } else {
        const auto now = host_.clock().wall();
        if (s.due() > now) {
          held_by_ = &s;
          return chain_state::blocked;
        }
        wake_stage(s, now);
      }
    } catch (...) {
      throw located(s.index);
    }
    if (pause_.load(std::memory_order_relaxed) || host_.clock().now() >= deadline) break;
  }
  return barrier_inside() ? chain_state::yielded : chain_state::drained;
}

batch_ptr operator_chain::rest_of_input() const {
  auto& first = stages_[0]->queue;
  if (first.empty() || !first.front().what.is_batch()) return {};
  auto& entry = first.front();
  auto& data = *entry.what.data;
  auto rest = host_.pool(data.type())->get();
  data.type().append(*rest, data, entry.cursor, data.size(), false);
  return rest;
}

void operator_chain::wake_stage(stage& s, std::chrono::milliseconds now) {
  const auto asked = std::exchange(s.wake, never);
  s.waiting = false;
  if (s.op->advance_processing_time(now) != progress::done) s.wake = std::min(s.wake, asked);
  refresh_next_wake();
}

void operator_chain::refresh_next_wake() noexcept {
  next_wake_ = never;
  for (auto& s : stages_)
    next_wake_ = std::min(next_wake_, s->due());
}

bool operator_chain::tell_woken() {
  bool any = false;
  for (auto* s : wakeable_) {
    if (s->stopped || !s->woken->exchange(false, std::memory_order_acquire)) continue;
    any = true;
    s->waiting = false;
    try {
      s->op->on_wake_up();
    } catch (...) {
      throw located(s->index);
    }
  }
  return any;
}

void operator_chain::run_stage(stage& s) {
  auto pop = [&] {
    s.queue.pop();
    --pending_;
  };
  auto& front = s.queue.front();
  switch (front.what.kind) {
  case element_kind::batch: {
    if (front.what.data->origin != origin_) [[unlikely]]
      origin_ = front.what.data->origin;
    const auto size = front.what.data->size();
    if (s.index == 0) s.adapt_to_rest();
    batch_slice slice{std::move(front.what.data), front.cursor, std::min(size, front.cursor + s.chunk)};
    const auto before = slice.cursor;
    const auto start = host_.clock().now();
    // While a slice is out, its queue entry stays in place: emissions only reach later stages.
    s.op->process(front.input, slice);
    auto& entry = s.queue.front();
    const auto done = slice.data ? slice.cursor - before : size - before;
    const auto took = host_.clock().now() - start;
    s.adapt(done, took);
    busy_ += took;
    s.called_with = done;
    s.busy_at = busy_;
    if (auto* m = s.metrics()) m->records_in.add(done);
    if (origin_) [[unlikely]]
      origin_.reset();
    if (!slice.data || slice.cursor >= size)
      pop();
    else {
      entry.what.data = std::move(slice.data);
      entry.cursor = slice.cursor;
    }
    return;
  }
  case element_kind::watermark:
    if (auto* m = s.metrics()) m->input_watermark.set(front.what.value);
    if (s.op->advance_watermark(front.what.time()) == progress::done) pop();
    return;
  case element_kind::idle:
  case element_kind::active: {
    const bool idle = front.what.kind == element_kind::idle;
    pop();
    return s.op->change_status(idle);
  }
  case element_kind::end: {
    if (s.ended_inputs < (s.index == 0 ? inputs_ : 1)) { // count an end once, also when finish() yields
      if (s.index == 0 && inputs_ > 1) {
        s.op->end_input(front.input);
        s.told_ended |= 1u << front.input;
      }
      ++s.ended_inputs;
      if (s.index == 0 && s.ended_inputs < inputs_) return pop();
    }
    if (s.op->finish() != progress::done) return;
    pop();
    s.wake = never;
    std::erase(wakeable_, &s);
    s.emit_control(element::control(element_kind::end));
    // The tree is drained deepest first: when nothing is left, the end has reached every leaf.
    if (pending_ == 0) finished_ = true;
    return;
  }
  case element_kind::barrier: {
    if (!drained(s, front.what)) return;
    auto e = std::move(front.what);
    pop();
    return pass_barrier(s, std::move(e));
  }
  default: {
    auto e = std::move(front.what);
    pop();
    s.op->pass_control(std::move(e));
  }
  }
}

/// In front of a savepoint that drains the job, operators finish as at the end of their input. False: not yet.
bool operator_chain::drained(stage& s, const element& barrier) {
  if (!barrier.options || barrier.options->after != after_savepoint::drain || s.drained) return true;
  if (s.index == 0 && inputs_ > 1)
    for (unsigned i = 0; i < inputs_; ++i) {
      if ((s.told_ended >> i & 1u) == 0) s.op->end_input(i);
      s.told_ended |= 1u << i;
    }
  s.drained = s.op->finish() == progress::done;
  return s.drained;
}

/// Behind the barrier of a savepoint that stops the job nothing happens any more.
void operator_chain::stopped_at(stage& s, const element& barrier) {
  if (!barrier.options || barrier.options->after == after_savepoint::go_on) return;
  s.stopped = barrier.value;
  refresh_next_wake();
}

/// A state that cannot be written fails the checkpoint, not the task; the barrier goes on, for others wait for it.
void operator_chain::pass_barrier(stage& s, element e) {
  if (to_take_ == 0 || taking_.barrier.value != e.value) {
    taking_ = {e, {}, {}};
    to_take_ = stages_.size();
  }
  take_state(s, taking_);
  stopped_at(s, e);
  s.emit_control(std::move(e));
  if (--to_take_ == 0) host_.snapshot_taken(std::exchange(taking_, {}));
}

void operator_chain::take_state(stage& s, chain_snapshot& into) {
  try {
    if (s.op) s.op->prepare_snapshot(into.barrier.value);
    const auto& options = into.barrier.options;
    const bool savepoint = options && options->kind == checkpoint_kind::savepoint;
    into.state.operators[s.config.uid].states = s.registry.freeze(savepoint, into.barrier.value);
  } catch (...) {
    if (!into.failure) into.failure = located(s.index);
  }
}

bool operator_chain::awaits_checkpoint() const noexcept {
  return std::any_of(stages_.begin(), stages_.end(), [](auto& s) { return s->op && s->op->awaits_checkpoint(); });
}

chain_snapshot operator_chain::snapshot_at_end(element barrier) {
  chain_snapshot taken{std::move(barrier), {}, {}};
  for (auto& s : stages_)
    take_state(*s, taken);
  return taken;
}

template <class F>
void operator_chain::tell_all(F&& f) {
  for (auto& s : stages_) {
    if (!s->op) continue;
    try {
      f(*s->op);
    } catch (...) {
      throw located(s->index);
    }
  }
}

void operator_chain::checkpoint_completed(std::int64_t checkpoint) {
  for (auto& s : stages_)
    s->registry.checkpoint_completed(checkpoint);
  tell_all([&](stream_operator& op) { op.checkpoint_completed(checkpoint); });
}

void operator_chain::checkpoint_aborted(std::int64_t checkpoint) {
  for (auto& s : stages_) {
    if (s->stopped == checkpoint) s->stopped.reset();
    s->registry.checkpoint_aborted(checkpoint);
  }
  refresh_next_wake();
  tell_all([&](stream_operator& op) { op.checkpoint_aborted(checkpoint); });
}

} // namespace dataflow
