#include <dataflow/connectors/source_event_time.hpp>
#include <dataflow/operators/record_loop.hpp>
#include <dataflow/util/clock.hpp>

#include <algorithm>
#include <utility>

namespace dataflow {

/// What a split's generator says. On events it counts at once; at the interval all splits speak first, then they are
/// combined.
class source_event_time::split_output final : public watermark_output {
public:
  split_output(source_event_time& owner, input& split, bool at_once)
      : owner_(owner), split_(split), at_once_(at_once) {}
  void emit_watermark(timestamp t) override {
    auto& time = split_.time;
    time.idle = false;
    if (t <= time.watermark) return;
    time.watermark = t;
    owner_.split_advanced(split_);
    if (at_once_ && t > owner_.combined_) owner_.combine();
  }
  void mark_idle() override { set_idle(true); }
  void mark_active() override { set_idle(false); }

private:
  void set_idle(bool idle) {
    split_.time.idle = idle;
    if (at_once_) owner_.combine();
  }
  source_event_time& owner_;
  input& split_;
  const bool at_once_;
};

class source_event_time::main_output final : public watermark_output {
public:
  explicit main_output(source_event_time& owner) : owner_(owner) {}
  void emit_watermark(timestamp t) override {
    owner_.main_idle_ = false;
    owner_.emitter_.emit_watermark(t);
  }
  void mark_idle() override {
    owner_.main_idle_ = true;
    if (owner_.splits_idle_) owner_.emitter_.mark_idle();
  }
  void mark_active() override {
    owner_.main_idle_ = false;
    owner_.emitter_.mark_active();
  }

private:
  source_event_time& owner_;
};

void source_event_time::open(operator_context& context, source_reader_base& reader, report_function report) {
  context_ = &context;
  reader_ = &reader;
  report_ = std::move(report);
  main_ = make_input({});
  context.states().declare(*this);
  interval_ = context.watermark_interval();
  const auto wall = context.clock().wall();
  if (periodic_ && interval_.count() > 0) next_tick_ = std::min(wall + interval_, restored_tick_);
  if (alignment_) next_report_ = wall + alignment_->update_interval;
}

source_event_time::input source_event_time::make_input(std::string split) {
  input i;
  i.time.split = std::move(split);
  i.time.advanced = context_->clock().now();
  i.generator = make_generator();
  if (idle_timeout_) i.idleness.emplace(*idle_timeout_);
  return i;
}

source_event_time::input& source_event_time::input_of(const std::string& split) {
  const auto found = splits_.find(split);
  if (found != splits_.end()) return found->second;
  auto& i = splits_.emplace(split, make_input(split)).first->second;
  const auto stored = restored_.find(split);
  if (stored == restored_.end()) return i;
  byte_reader in{stored->second};
  i.time.watermark = in.fixed<timestamp>();
  i.time.idle = in.fixed<std::uint8_t>() != 0;
  if (in.fixed<std::uint8_t>() != 0) {
    idleness_timer unused{std::chrono::milliseconds{0}};
    (i.idleness ? *i.idleness : unused).restore(in, active_time(i));
  }
  if (in.text() == i.generator->kind()) i.generator->restore(in);
  restored_.erase(stored);
  return i;
}

void source_event_time::add_splits(const std::vector<source_split>& splits) {
  for (auto& s : splits)
    input_of(s.id);
}

/// The others are combined without it at the next tick.
void source_event_time::finish_split(const std::string& split) { splits_.erase(split); }

timestamp source_event_time::now() const {
  return std::max(timestamp{context_->clock().wall()},
                  saturating_add(emitter_.current(), std::chrono::milliseconds{1}));
}

/// A clock that stands still while nobody may read the split.
steady_time source_event_time::active_time(const input& i) const {
  const auto now = context_->clock().now();
  auto stopped = waited_ + i.paused_for;
  if (waiting_since_)
    stopped += now - *waiting_since_;
  else if (i.paused_since)
    stopped += now - *i.paused_since;
  return context_->active_time() - stopped;
}

void source_event_time::polled(batch_ptr b, const split_marks& marks) {
  const auto size = b->size();
  if (size > 0) prepare(*b);
  auto run_part = [&](const std::string* split, std::size_t begin, std::size_t end) {
    if (begin == end) return;
    auto& i = split ? input_of(*split) : main_;
    i.time.last_record = context_->clock().now();
    if (split) {
      split_output out{*this, i, true};
      run(*b, begin, end, *i.generator, out, emitter_.at, now());
    } else {
      main_output out{*this};
      run(*b, begin, end, *i.generator, out, emitter_.at, now());
    }
    if (i.idleness) i.idleness->activity();
  };
  const std::string* split = nullptr;
  std::size_t begin = 0;
  for (auto& m : marks.all()) {
    run_part(split, begin, m.begin);
    begin = m.begin;
    split = m.finished ? nullptr : &m.split;
    if (m.finished) finish_split(m.split);
  }
  run_part(split, begin, size);
  auto& out = context_->output();
  if (size == 0) return flush();
  if (!pool_) pool_ = context_->pool(b->type());
  batch_slice slice{std::move(b), 0, size};
  std::size_t from = 0;
  emitter_.flush(out, [&](std::size_t to) {
    emit_records(out, *pool_, slice, from, to);
    from = to;
  });
  emit_records(out, *pool_, slice, from, size);
  check_waiting();
}

template <class Output>
void source_event_time::tick(input& i, Output&& out) {
  using verdict = idleness_timer::verdict;
  const auto v = i.idleness ? i.idleness->check(active_time(i)) : verdict::active;
  if (v == verdict::idle_now) out.mark_idle();
  if (v == verdict::active) i.generator->on_periodic_emit(out, now());
}

bool source_event_time::advance(std::chrono::milliseconds wall) {
  bool any = false;
  if (wall >= next_tick_) {
    any = true;
    for (auto& [id, i] : splits_)
      tick(i, split_output{*this, i, false});
    combine();
    tick(main_, main_output{*this});
    flush();
    next_tick_ = context_->clock().wall() + interval_;
  }
  if (wall >= next_report_) {
    any = true;
    if (emitter_.current() != min_timestamp) report_(emitter_.is_idle() ? max_timestamp : emitter_.current());
    next_report_ = context_->clock().wall() + alignment_->update_interval;
  }
  return any;
}

void source_event_time::combine() {
  if (splits_.empty()) return;
  auto least = max_timestamp;
  bool all_idle = true;
  for (auto& [id, i] : splits_) {
    if (i.time.idle) continue;
    all_idle = false;
    least = std::min(least, i.time.watermark);
  }
  if (all_idle) {
    splits_idle_ = true;
    if (main_idle_) emitter_.mark_idle();
  } else if (least > combined_) {
    combined_ = least;
    splits_idle_ = false;
    emitter_.emit_watermark(least);
  }
}

void source_event_time::finish() {
  emitter_.emit_watermark(max_timestamp);
  next_tick_ = next_report_ = never;
  waiting_since_.reset();
  emitter_.flush(context_->output());
  if (alignment_) report_(max_timestamp);
}

void source_event_time::flush() {
  emitter_.flush(context_->output());
  check_waiting();
}

// ---- alignment

void source_event_time::split_advanced(input& i) {
  i.time.advanced = context_->clock().now();
  if (limit_ && i.time.watermark > *limit_ && splits_.size() > 1) set_paused(i, true);
}

void source_event_time::set_paused(input& i, bool paused) {
  if (i.time.paused == paused) return;
  i.time.paused = paused;
  const auto now = context_->clock().now();
  if (paused)
    i.paused_since = now;
  else
    i.paused_for += now - *std::exchange(i.paused_since, {});
  reader_->pause_split(i.time.split, paused);
}

void source_event_time::limit(timestamp most) {
  limit_ = most;
  for (auto& [id, i] : splits_) {
    if (i.time.watermark <= most)
      set_paused(i, false);
    else if (splits_.size() > 1) // a single one cannot overtake others: the source waits as a whole
      set_paused(i, true);
  }
  check_waiting();
}

void source_event_time::check_waiting() {
  const bool waits = limit_ && emitter_.current() > *limit_ && emitter_.current() != max_timestamp;
  if (waits == waiting_since_.has_value()) return;
  const auto now = context_->clock().now();
  if (waits)
    waiting_since_ = now;
  else
    waited_ += now - *std::exchange(waiting_since_, {});
}

std::vector<split_time> source_event_time::splits() const {
  std::vector<split_time> all;
  for (auto& [id, i] : splits_)
    all.push_back(i.time);
  return all;
}

// ---- state

void source_event_time::snapshot(state_writer& out) const {
  auto& source = out.part();
  source.fixed<std::uint8_t>(0);
  source.fixed<std::uint8_t>(emitter_.is_idle() ? 1 : 0);
  source.fixed<std::int64_t>(next_tick_.count());
  for (auto& [id, i] : splits_) {
    auto& bytes = out.part();
    bytes.fixed<std::uint8_t>(1);
    bytes.text(id);
    byte_writer of_split;
    of_split.fixed(i.time.watermark);
    of_split.fixed<std::uint8_t>(i.time.idle ? 1 : 0);
    of_split.fixed<std::uint8_t>(i.idleness ? 1 : 0);
    if (i.idleness) i.idleness->snapshot(of_split, active_time(i));
    of_split.text(i.generator->kind());
    i.generator->snapshot(of_split);
    bytes.text(of_split.buffer());
  }
}

void source_event_time::restore(const state_part& part) {
  byte_reader in{part.bytes};
  if (in.fixed<std::uint8_t>() == 0) { // of some reader: that it was idle is said again, or taken back
    if (in.fixed<std::uint8_t>() != 0) emitter_.restore(min_timestamp, true);
    restored_tick_ = std::chrono::milliseconds{in.fixed<std::int64_t>()};
    return;
  }
  auto split = std::string{in.text()};
  restored_[std::move(split)] = std::string{in.text()};
}

} // namespace dataflow
