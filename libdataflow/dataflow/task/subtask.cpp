#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/task/blocking_source.hpp>
#include <dataflow/task/subtask.hpp>
#include <dataflow/task/traced_source.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/log.hpp>

#include <algorithm>
#include <utility>

namespace dataflow {

subtask::subtask(subtask_config config, dataflow::platform& world, subtask_host& host, task_metrics& metrics,
                 std::shared_ptr<std::atomic<bool>> pause)
    : config_(std::move(config)), world_(world), host_(host), metrics_(metrics), pause_(std::move(pause)) {
  std::vector<chain_output> outputs;
  for (auto& o : config_.outputs) {
    gates_.push_back(std::make_unique<output_gate>(o.gate, pool(*o.type), host_));
    outputs.push_back({gates_.back().get(), o.stage, o.side});
  }
  std::vector<operator_metrics*> operators;
  for (auto& s : config_.stages) {
    auto& m = metrics_.operators.emplace_back();
    m.name = s.name;
    m.uid = s.uid;
    operators.push_back(&m);
  }
  const bool loops =
      std::any_of(config_.channels.begin(), config_.channels.end(), [](const input_channel& c) { return c.feedback; });
  if (loops)
    feedback_ = std::make_unique<feedback_queue>(config_.feedback, world_.files,
                                                 config_.info.job_id + "-" + config_.info.task_name + "-" +
                                                     std::to_string(config_.info.subtask));
  owed_.resize(config_.channels.size());
  if (!is_source()) input_ = std::make_unique<input_gate>(config_.channels, config_.inputs, config_.names);
  chain_ = std::make_unique<operator_chain>(config_.info, config_.stages, std::move(outputs), config_.limits,
                                            std::max(1u, config_.inputs), *pause_, static_cast<chain_host&>(*this));
  chain_->set_metrics(std::move(operators));
}

subtask::~subtask() { close(); }

void subtask::open() {
  if (!config_.trace.skip.empty()) skipped_ = &counter(0, "numPoisonedRecordsSkipped");
  chain_->open();
  if (is_source() && !ends_at_once()) open_source();
  restore_inputs();
  last_ = world_.clock->now();
  publish_event_time(last_);
}

void subtask::open_source() {
  auto driver = config_.source->make_reader();
  if (config_.trace.wanted())
    driver = make_traced_source(std::move(driver), {config_.stages[0].uid, config_.stages[0].name, config_.trace,
                                                    [this](const record_origin& o) { record_skipped(o); }});
  auto buffers = pool(driver->type());
  source_ = config_.source->blocking && world_.threads
                ? make_blocking_source(std::move(driver), std::move(buffers), config_.limits, world_)
                : std::move(driver);
  if (config_.source->make_event_time) {
    event_time_ = config_.source->make_event_time();
    event_time_->open(chain_->context(0), source_->reader(), [this](timestamp t) { host_.report_watermark(t); });
  }
  // Before it is opened: a reader that has splits need not ask for one.
  if (config_.restored_splits && !config_.restored_splits->empty()) add_splits(*config_.restored_splits);
  source_->reader().open(*this);
}

/// Perhaps on the reader's thread.
void subtask::record_skipped(const record_origin& record) {
  skipped_->add(1);
  log_warn({"task", config_.info.job_id, config_.info.task_name},
           record.to_string() + " is left out: it failed the job (execution.poisoned-record.policy)");
  host_.record_skipped(record);
}

void subtask::close() noexcept {
  pause_->store(true, std::memory_order_relaxed);
  if (source_) {
    source_->reader().close();
    source_.reset();
  }
  if (chain_) chain_->close();
}

void subtask::receive(std::uint32_t channel, std::uint64_t sequence, std::uint64_t bytes, element e) {
  if (feedback_ && channel < config_.channels.size() && config_.channels[channel].feedback)
    feedback_->push({channel, sequence, bytes, std::move(e)});
  else
    input_->receive(channel, sequence, bytes, std::move(e));
}

batch_pool& subtask::pool_of_channel(std::uint32_t channel) {
  if (channel >= config_.channels.size())
    throw error{errc::channel_gap,
                "an element for channel " + std::to_string(channel) + " of " + std::to_string(config_.channels.size())};
  return *pool(*config_.edges.at(config_.channels[channel].edge).type);
}

void subtask::credit(std::uint32_t gate, std::uint32_t channel, std::uint32_t batches, std::uint64_t bytes) {
  gates_.at(gate)->grant(channel, batches, bytes);
}

void subtask::add_splits(std::vector<source_split> splits) {
  if (event_time_) {
    event_time_->add_splits(splits);
  } else { // nobody knows when one of them is finished: the last ones that came
    event_times_.splits.clear();
    for (auto& s : splits)
      event_times_.splits.emplace_back().split = s.id;
  }
  if (source_) source_->reader().add_splits(std::move(splits));
}

void subtask::no_more_splits() {
  if (source_) source_->reader().no_more_splits();
}

void subtask::limit_watermark(timestamp most) {
  if (event_time_ && !source_ended_) event_time_->limit(most);
}

step_result subtask::step() {
  const auto start = world_.clock->now();
  account(start);
  const auto deadline = start + config_.step_time;
  for (;;) {
    const auto ahead = overtake(deadline);
    if (ahead == chain_state::drained && world_.clock->now() < deadline) continue;
    const auto state = ahead == chain_state::drained ? chain_state::yielded : ahead ? *ahead : chain_->run(deadline);
    if (state == chain_state::blocked) return finish_step(step_result::kind::wait_credit);
    if (state == chain_state::yielded) return finish_step(step_result::kind::again);
    if (chain_->finished()) {
      if (!chain_->awaits_checkpoint()) return finish_step(step_result::kind::finished);
      if (!std::exchange(said_that_it_waits_, true)) host_.awaits_checkpoint();
      return finish_step(step_result::kind::wait_input);
    }
    if (pause_->load(std::memory_order_relaxed)) return finish_step(step_result::kind::again);
    if (stopped_) return finish_step(step_result::kind::finished);
    if (event_time_ && !source_ended_ && !stop_)
      if (const auto wall = world_.clock->wall(); wall >= event_time_->next() && event_time_->advance(wall)) continue;
    const auto got = is_source() ? feed_from_source() : feed_from_gate();
    if (got == fed::nothing) return finish_step(step_result::kind::wait_input);
    // A chain that is always drained does not look at the time for us: whoever sends a message must get a turn.
    if (!chain_->finished() && gates_writable() && world_.clock->now() >= deadline)
      return finish_step(step_result::kind::again);
  }
}

subtask::fed subtask::feed_from_source() {
  if (source_ended_ || stop_) return fed::nothing;
  if (!source_) {
    source_ended_ = true;
    chain_->feed_source(element::watermark(max_timestamp));
    chain_->feed_source(element::control(element_kind::end));
    return fed::element;
  }
  if (!triggered_.empty()) {
    inject_barrier();
    return fed::element;
  }
  source_at_ = step_result::never;
  if (event_time_ && event_time_->must_wait()) return fed::nothing;
  marks_.clear();
  auto into = pool(source_->type())->get();
  poll_result polled;
  bool any = false;
  std::shared_ptr<const record_origin> origin;
  auto limits = config_.limits;
  limits.records = records_to_poll();
  try {
    polled = source_->poll(*into, limits, event_time_ ? &marks_ : nullptr);
    any = into->size() > 0;
    polled_ = into->size();
    origin = into->origin;
    if (origin) [[unlikely]]
      chain_->set_origin(origin);
    if (event_time_) event_time_->polled(std::move(into), marks_);
  } catch (...) {
    auto why = current_error();
    if (origin) why = why.within(origin->to_string());
    failed_at_ = std::move(origin);
    throw why.within("source \"" + config_.stages[0].name + "\" (" + std::to_string(config_.info.subtask + 1) + "/" +
                     std::to_string(config_.info.parallelism) + ") attempt " + std::to_string(config_.info.attempt));
  }
  if (any && into) chain_->feed_source(element::of(std::move(into)));
  if (origin) [[unlikely]]
    chain_->set_origin(nullptr);
  switch (polled.what) {
  case poll_result::kind::more:
    return fed::element;
  case poll_result::kind::wait:
    return any ? fed::element : fed::nothing;
  case poll_result::kind::wait_until:
    if (any) return fed::element;
    source_at_ = polled.time;
    return fed::nothing;
  case poll_result::kind::end:
    source_ended_ = true;
    for (auto& barrier : std::exchange(triggered_, {}))
      give_up(std::move(barrier), "the source has come to its end");
    if (event_time_)
      event_time_->finish();
    else
      chain_->feed_source(element::watermark(max_timestamp));
    chain_->feed_source(element::control(element_kind::end));
    return fed::element;
  }
  return fed::nothing;
}

/// So many that the chain is through with them in time; more again when it was quick.
std::size_t subtask::records_to_poll() {
  const auto busy = chain_->busy_time();
  const auto fitting = polled_ > 0 ? operator_chain::fitting(polled_, busy - busy_at_poll_) : config_.limits.records;
  const auto more = most_polled_ == 0 ? config_.limits.records : most_polled_ * 2;
  busy_at_poll_ = busy;
  most_polled_ = std::min({fitting, more, config_.limits.records});
  return most_polled_;
}

subtask::fed subtask::feed_from_gate() {
  if (!restored_.empty()) return feed_restored();
  if (feedback_ && !feedback_->empty()) {
    auto e = feedback_->pop();
    input_->receive(e.channel, e.sequence, e.bytes, std::move(e.what));
  }
  auto a = input_->next();
  tell_given_up();
  for (auto& c : input_->consumed())
    return_credit(c.channel, 0, c.bytes);
  input_->clear_consumed();
  if (!a) return feedback_ && !feedback_->empty() ? fed::element : fed::nothing;
  if (a->what.is_batch()) {
    metrics_.records_in.add(a->what.data->size());
    metrics_.bytes_in.add(a->bytes);
    return_credit(a->channel, 1, a->bytes);
    const auto& channel = config_.channels[a->channel];
    if (channel.feedback) loop_dirty_ = true;
    fed_edge_ = channel.edge;
    chain_->feed(a->input, std::move(a->what));
  } else if (feedback_ && (a->what.kind == element_kind::end || a->what.kind == element_kind::loop_probe)) {
    feed_loop_control(*a);
  } else {
    if (a->what.kind == element_kind::barrier) in_chain_ = a->what;
    chain_->feed(a->input, std::move(a->what));
  }
  return fed::element;
}

/// The head of an iteration finds the end by counting, not by waiting: when its outer inputs have ended it sends a
/// probe through the loop, behind all records. A probe of round r says whether some record came back during round
/// r - 1, to any head that can reach this one. When a round was quiet for all of them, the loop is empty.
void subtask::feed_loop_control(input_gate::arrival& a) {
  if (a.what.kind == element_kind::end) {
    outer_ended_ = true;
  } else if (!a.what.flag && !last_dirty_) {
    return chain_->feed(0, element::control(element_kind::end));
  }
  last_dirty_ = loop_dirty_ || loop_round_ == 0;
  loop_dirty_ = false;
  chain_->feed(0, element::control(element_kind::loop_probe, ++loop_round_, last_dirty_));
}

void subtask::return_credit(std::uint32_t channel, std::uint32_t batches, std::uint64_t bytes) {
  if (config_.channels[channel].feedback) return;
  auto& o = owed_[channel];
  if (o.batches == 0 && o.bytes == 0) owing_.push_back(channel);
  o.batches += batches;
  o.bytes += bytes;
  if (o.batches * 2 < config_.credit.batches && static_cast<std::int64_t>(o.bytes) * 2 < config_.credit.bytes) return;
  host_.grant(channel, o.batches, o.bytes);
  o = {};
  owing_.erase(std::find(owing_.begin(), owing_.end(), channel));
}

void subtask::send_grants() {
  for (auto c : owing_) {
    host_.grant(c, owed_[c].batches, owed_[c].bytes);
    owed_[c] = {};
  }
  owing_.clear();
}

bool subtask::gates_writable() const noexcept {
  return std::all_of(gates_.begin(), gates_.end(), [](auto& g) { return g->writable(); });
}

void subtask::flush_gates() {
  for (auto& g : gates_)
    g->flush();
  flush_at_ = step_result::never;
}

/// Time since the last step belongs to what the task was waiting for.
void subtask::account(steady_time now) {
  const auto passed = static_cast<std::uint64_t>(std::max<std::int64_t>(0, (now - last_).count()));
  switch (last_state_) {
  case step_result::kind::wait_input:
    metrics_.idle_ns.add(passed);
    break;
  case step_result::kind::wait_credit:
    metrics_.backpressured_ns.add(passed);
    break;
  default:
    metrics_.busy_ns.add(passed);
  }
  last_ = now;
}

step_result subtask::finish_step(step_result::kind what) {
  const auto now = world_.clock->now();
  metrics_.busy_ns.add(static_cast<std::uint64_t>(std::max<std::int64_t>(0, (now - last_).count())));
  last_ = now;
  if (snapshot_) complete_snapshot();
  const bool partial = std::any_of(gates_.begin(), gates_.end(), [](auto& g) { return g->has_partial(); });
  if (!partial)
    flush_at_ = step_result::never;
  else if (config_.buffer_timeout.count() == 0 || now >= flush_at_)
    flush_gates();
  else if (config_.buffer_timeout.count() > 0 && flush_at_ == step_result::never)
    flush_at_ = now + config_.buffer_timeout;
  // Nothing is queued for sure: what was consumed may be granted, so that no sender waits for half a window.
  if (what != step_result::kind::again && !owing_.empty()) send_grants();
  if (what == step_result::kind::finished && !stopped_ && !gates_writable()) what = step_result::kind::wait_credit;
  std::uint64_t records = 0, bytes = 0, waiting = 0;
  for (auto& g : gates_) {
    waiting += g->queued();
    records += g->records_sent();
    bytes += g->bytes_sent();
  }
  metrics_.records_out.set(records);
  metrics_.bytes_out.set(bytes);
  metrics_.input_queue.set(input_ ? input_->queued() : 0);
  metrics_.output_queue.set(waiting);
  last_state_ = what;
  // Whoever asks why nothing happens sees the last step before that.
  constexpr std::chrono::milliseconds busy_interval{50};
  if (what != step_result::kind::again || now - published_ >= busy_interval) publish_event_time(now);
  // A chain without room in its outputs does not run, whatever the time; one that waits for a wake-up does. Neither
  // takes anything from the source.
  const bool waits = what == step_result::kind::wait_credit;
  const auto wake = waits && !gates_writable() && !chain_->held() ? step_result::never : next_wake(now, !waits);
  const auto overtaking = overtaking_at();
  return {what, std::min({wake, flush_at_, what == step_result::kind::wait_input ? source_at_ : step_result::never,
                          overtaking ? steady_of(*overtaking, now) : step_result::never})};
}

/// When an operator or the source has something to do at a wall time.
steady_time subtask::next_wake(steady_time now, bool with_source) const {
  constexpr auto never = std::chrono::milliseconds::max();
  auto at = chain_->next_wake().value_or(never);
  if (with_source && event_time_ && !source_ended_ && !stop_) at = std::min(at, event_time_->next());
  return at == never ? step_result::never : steady_of(at, now);
}

steady_time subtask::steady_of(std::chrono::milliseconds at, steady_time now) const {
  const auto wall = world_.clock->wall();
  if (at <= wall) return now;
  constexpr std::chrono::milliseconds longest = std::chrono::hours{24 * 365}; // later ones are asked for again then
  return now + std::min(at - wall, longest);
}

namespace {
/// Remembers since when a watermark stands.
void move_to(std::int64_t& watermark, steady_time& advanced, std::int64_t now_at, steady_time now) {
  if (watermark == now_at && advanced != steady_time{0}) return;
  watermark = now_at;
  advanced = now;
}
} // namespace

void subtask::publish_event_time(steady_time now) {
  published_ = now;
  auto& t = event_times_;
  t.parallelism = config_.info.parallelism;
  t.source = is_source();
  t.finished = chain_->finished();
  t.operators.resize(config_.stages.size());
  for (std::size_t i = 0; i < t.operators.size(); ++i) {
    auto& o = t.operators[i];
    const auto& m = metrics_.operators[i];
    const auto* op = chain_->operator_at(i);
    o.name = m.name;
    o.makes_watermarks = op && op->makes_watermarks();
    o.input = m.input_watermark.value();
    move_to(o.output, o.advanced, m.output_watermark.value(), now);
    if (const auto records = m.records_in.value(); records != o.records_in || o.last_record == steady_time{0}) {
      o.records_in = records;
      o.last_record = now;
    }
    const auto wait = op ? op->waits_for() : std::nullopt;
    o.waits_for = wait ? std::optional{wait->at.time_since_epoch().count()} : std::nullopt;
    o.waiting = wait ? wait->what : std::string{};
  }
  if (input_) {
    t.channels.resize(input_->inputs());
    for (unsigned i = 0; i < t.channels.size(); ++i) {
      auto& channel = t.channels[i];
      const auto holding = input_->holding(i);
      channel.ended = !holding;
      if (!holding) continue;
      const auto& known = config_.channels[holding->channel];
      if (channel.name.empty() || channel.vertex != std::int64_t{known.vertex} ||
          channel.subtask != std::int64_t{known.subtask}) {
        channel = {};
        channel.name = config_.names ? config_.names(holding->channel) : std::to_string(holding->channel);
        channel.vertex = known.vertex;
        channel.subtask = known.subtask;
        channel.input = i;
      }
      channel.idle = holding->idle;
      move_to(channel.watermark, channel.advanced, holding->watermark.time_since_epoch().count(), now);
    }
  }
  if (event_time_) {
    t.strategy = true;
    t.idle = event_time_->is_idle();
    t.idle_timeout = event_time_->idle_timeout();
    if (auto& alignment = event_time_->alignment()) t.alignment_group = alignment->group;
    if (auto limit = event_time_->limit()) t.limit = limit->time_since_epoch().count();
    t.must_wait = event_time_->must_wait();
    t.splits.clear();
    auto splits = event_time_->splits();
    if (splits.empty()) splits.push_back(event_time_->of_no_split());
    for (auto& s : splits)
      t.splits.push_back({s.split, s.watermark.time_since_epoch().count(), s.idle, s.paused, s.advanced,
                          s.last_record == steady_time{0} ? s.advanced : s.last_record});
  }
  metrics_.event_time.publish(t);
}

batch_pool::handle subtask::pool(const record_type& type) {
  auto& p = pools_[&type];
  if (!p) p = batch_pool::make(type, 32, config_.code);
  return p;
}

accumulator& subtask::accumulator_of(std::string_view name) {
  auto i = accumulators_.find(name);
  return i != accumulators_.end() ? i->second : accumulators_[std::string{name}];
}

accumulator& subtask::counter(std::size_t stage, std::string_view name) {
  return metrics_.operators[stage].own.of(name);
}

void subtask::report_result(std::uint64_t collector, std::string bytes) {
  host_.report_result(collector, std::move(bytes));
}

std::map<std::string, std::int64_t> subtask::accumulators() const {
  std::map<std::string, std::int64_t> values;
  for (auto& [name, a] : accumulators_)
    values[name] = a.value();
  return values;
}

} // namespace dataflow
