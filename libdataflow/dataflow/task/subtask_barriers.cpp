// What a subtask does with barriers: those that wait for their turn, and those that overtake.
#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/record/record_type.hpp>
#include <dataflow/task/subtask.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <utility>

namespace dataflow {

namespace {
using std::chrono::milliseconds;

bool stops(const element& barrier) { return barrier.options && barrier.options->after != after_savepoint::go_on; }

/// See checkpoint_options.
milliseconds overtakes_from(const element& barrier) {
  return barrier.options ? barrier.options->overtakes_from() : milliseconds::max();
}
} // namespace

void subtask::give_up(element barrier, std::string why) {
  host_.snapshot_taken({std::move(barrier), {}, error{errc::checkpoint_failed, std::move(why)}, true, false});
}

void subtask::trigger_checkpoint(element barrier) {
  if (chain_->finished() && chain_->awaits_checkpoint()) {
    host_.barrier_passed(barrier.value);
    auto taken = chain_->snapshot_at_end(std::move(barrier));
    return host_.snapshot_taken(
        {std::move(taken.barrier), std::move(taken.state), std::move(taken.failure), false, true});
  }
  if (!is_source()) {
    if (input_->all_ended()) return give_up(std::move(barrier), "the task has come to its end");
    return input_->expect_checkpoint(std::move(barrier));
  }
  if (source_ended_) return give_up(std::move(barrier), "the source has come to its end");
  triggered_.push_back(std::move(barrier));
}

void subtask::abort_checkpoint(std::int64_t checkpoint) {
  std::erase_if(triggered_, [&](const element& e) { return e.value == checkpoint; });
  if (input_) input_->abort_checkpoint(checkpoint);
  if (snapshot_ && snapshot_->barrier.value == checkpoint) snapshot_.reset();
  if (overtaking_ == checkpoint)
    for (auto& g : gates_)
      g->take_overtaken();
  if (stop_ == checkpoint && !stopped_) stop_.reset();
  chain_->checkpoint_aborted(checkpoint);
}

void subtask::checkpoint_completed(std::int64_t checkpoint) {
  chain_->checkpoint_completed(checkpoint);
  if (source_) source_->reader().checkpoint_completed(static_cast<std::uint64_t>(checkpoint));
  stopped_ = stop_ == checkpoint;
}

/// Between two polls: what the reader has delivered is in front of the barrier.
void subtask::inject_barrier() {
  auto barrier = std::move(triggered_.front());
  triggered_.pop_front();
  try {
    taken_splits_ = source_->reader().snapshot(static_cast<std::uint64_t>(barrier.value));
  } catch (...) {
    auto why = current_error().within("the reader of source \"" + config_.stages[0].name + "\"");
    host_.snapshot_taken({std::move(barrier), {}, std::move(why), false, false});
    return;
  }
  if (stops(barrier)) stop_ = barrier.value;
  if (stops(barrier) && barrier.options->after == after_savepoint::drain) {
    if (event_time_)
      event_time_->finish();
    else
      chain_->feed_source(element::watermark(max_timestamp));
  }
  in_chain_ = barrier;
  chain_->feed_source(std::move(barrier));
}

void subtask::snapshot_taken(chain_snapshot taken) {
  if (stops(taken.barrier)) stop_ = taken.barrier.value;
  if (is_source()) taken.state.operators[config_.stages[0].uid].splits = std::exchange(taken_splits_, {});
  host_.barrier_passed(taken.barrier.value);
  for (auto& c : std::exchange(rest_, {}))
    taken.state.operators[config_.stages[0].uid].inputs.push_back(std::move(c));
  subtask_snapshot snapshot{std::move(taken.barrier), std::move(taken.state), std::move(taken.failure), false, false};
  if (overtakes_from(snapshot.barrier) == milliseconds::max()) return host_.snapshot_taken(std::move(snapshot));
  snapshot_ = std::move(snapshot);
  complete_snapshot();
}

/// The barrier that is to pass next, if nothing but what it may overtake is before it.
const element* subtask::barrier_to_come() const noexcept {
  if (chain_->barrier_inside()) return &in_chain_;
  if (is_source()) return source_ && !source_ended_ && !triggered_.empty() ? &triggered_.front() : nullptr;
  return input_->waiting_barrier();
}

bool subtask::may_overtake(const element& barrier) const {
  const auto from = overtakes_from(barrier);
  if (from == milliseconds::max() || (from > milliseconds::min() && world_.clock->wall() < from)) return false;
  return is_source() || chain_->barrier_inside() || input_->may_overtake();
}

/// When a barrier that waits will begin to overtake.
std::optional<milliseconds> subtask::overtaking_at() const {
  std::optional<milliseconds> at;
  const auto ask = [&](const element& barrier) {
    const auto from = overtakes_from(barrier);
    if (from == milliseconds::max() || barrier.value <= overtaking_ || world_.clock->wall() >= from) return;
    at = std::min(from, at.value_or(from));
  };
  if (snapshot_) ask(snapshot_->barrier);
  if (const auto* barrier = barrier_to_come()) ask(*barrier);
  return at;
}

void subtask::let_overtake(std::int64_t checkpoint) {
  if (overtaking_ >= checkpoint) return;
  overtaking_ = checkpoint;
  for (auto& g : gates_)
    g->let_overtake(checkpoint);
}

/// False: none overtakes now. Else where run_ahead() came to.
std::optional<chain_state> subtask::overtake(steady_time deadline) {
  if (snapshot_ && snapshot_->barrier.value > overtaking_ && world_.clock->wall() >= overtakes_from(snapshot_->barrier))
    let_overtake(snapshot_->barrier.value);
  const auto* barrier = barrier_to_come();
  if (!barrier || !may_overtake(*barrier)) return std::nullopt;
  let_overtake(barrier->value);
  if (!chain_->barrier_inside()) {
    if (is_source()) {
      inject_barrier();
    } else {
      rest_ = rest_of_input();
      in_chain_ = input_->overtake();
      chain_->overtake(in_chain_);
    }
  }
  return chain_->run_ahead(deadline);
}

channel_state subtask::received(std::uint32_t edge, std::uint32_t number) const {
  const auto& e = config_.edges.at(edge);
  return {e.edge, number, {}, e.peer, to_string(e.type->describe())};
}

/// What the first stage was given before anything that is still in the gate.
std::vector<channel_state> subtask::rest_of_input() const {
  std::vector<channel_state> rest;
  const auto add = [&](std::uint32_t edge, batch_ptr data) {
    auto& c = rest.emplace_back(received(edge, 0));
    c.elements.push_back(in_flight(std::move(data), config_.edges[edge].hashed, config_.info.max_parallelism));
  };
  if (auto data = chain_->rest_of_input()) add(fed_edge_, std::move(data));
  for (auto& r : restored_)
    add(r.edge, r.data);
  return rest;
}

void subtask::tell_given_up() {
  for (auto id : input_->take_given_up()) {
    if (snapshot_ && snapshot_->barrier.value == id) snapshot_.reset();
    give_up(element::barrier(id, false, nullptr), "barriers of a later checkpoint came before its own");
  }
}

/// Hands the snapshot in when all that the barrier has overtaken is known: on the channels where it has not come yet,
/// and in the outputs where it waits itself.
void subtask::complete_snapshot() {
  if (input_) tell_given_up();
  if (!snapshot_ || (input_ && input_->recording())) return;
  const auto checkpoint = snapshot_->barrier.value;
  for (auto& g : gates_)
    if (g->holds_barrier(checkpoint)) return;
  auto& operators = snapshot_->state.operators;
  if (input_)
    for (auto& o : input_->take_overtaken()) {
      if (o.batches.empty()) continue;
      const auto& channel = config_.channels[o.channel];
      auto c = received(channel.edge, channel.number);
      for (auto& b : o.batches)
        c.elements.push_back(in_flight(std::move(b), config_.edges[channel.edge].hashed, config_.info.max_parallelism));
      operators[config_.stages[0].uid].inputs.push_back(std::move(c));
    }
  for (std::size_t g = 0; overtaking_ == checkpoint && g < gates_.size(); ++g)
    for (auto& o : gates_[g]->take_overtaken()) {
      const auto& output = config_.outputs[g];
      channel_state c{output.edge, o.channel, {}, output.peer, to_string(output.type->describe())};
      for (auto& b : o.batches)
        c.elements.push_back(
            in_flight(std::move(b), output.gate.kind == partitioning_kind::hash, output.gate.max_parallelism));
      operators[config_.stages[output.stage].uid].outputs.push_back(std::move(c));
    }
  auto whole = std::move(*snapshot_);
  snapshot_.reset();
  host_.snapshot_taken(std::move(whole));
}

void subtask::restore_inputs() {
  const auto& info = config_.info;
  const auto ours = range_of(info.subtask, info.parallelism, info.max_parallelism);
  for (auto& c : std::exchange(config_.restored_inputs, {}))
    for (auto& e : c.elements) {
      const auto& edge = config_.edges.at(c.edge);
      auto buffers = pool(*edge.type);
      auto data = buffers->get();
      try {
        byte_reader in{e.bytes};
        edge.type->decode(in, *data);
      } catch (...) {
        throw current_error().within("records that were under way from operator '" + edge.peer + "'");
      }
      if (edge.hashed) data = only_key_groups(std::move(data), ours, info.max_parallelism, buffers);
      if (!data) continue;
      if (config_.trace.wanted())
        trace_restored(c.edge, *data);
      else
        restored_.push_back({c.edge, std::move(data)});
    }
}

/// One by one, with what is known of them, and without those that are to be left out.
void subtask::trace_restored(std::uint32_t edge, batch_base& data) {
  const auto& type = data.type();
  for (std::size_t i = 0; i < data.size(); ++i) {
    auto one = pool(type)->get();
    type.append(*one, data, i, i + 1, false);
    byte_writer bytes;
    type.encode(*one, bytes);
    const auto number = std::to_string(++traced_);
    record_origin origin{config_.stages[0].uid, config_.stages[0].name, "under way", number + " " + bytes.take(),
                         number + " of those on their way from operator '" + config_.edges[edge].peer + "'"};
    origin.under_way = true;
    if (std::any_of(config_.trace.skip.begin(), config_.trace.skip.end(),
                    [&](const record_origin& o) { return o.same_record(origin); })) {
      record_skipped(origin);
      continue;
    }
    one->origin = std::make_shared<const record_origin>(std::move(origin));
    restored_.push_back({edge, std::move(one)});
  }
}

subtask::fed subtask::feed_restored() {
  auto next = std::move(restored_.front());
  restored_.pop_front();
  metrics_.records_in.add(next.data->size());
  fed_edge_ = next.edge;
  chain_->feed(config_.edges[next.edge].input, element::of(std::move(next.data)));
  return fed::element;
}

} // namespace dataflow
