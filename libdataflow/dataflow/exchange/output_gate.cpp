#include <dataflow/exchange/output_gate.hpp>
#include <dataflow/record/record_type.hpp>

#include <algorithm>

namespace dataflow {

output_gate::output_gate(output_gate_config config, batch_pool::handle pool, element_sender& sender)
    : config_(std::move(config)), pool_(std::move(pool)), sender_(sender), random_(config_.seed) {
  if (config_.factory) partitioner_ = config_.factory();
  channels_.resize(config_.channels);
  for (auto& c : channels_)
    c.credit = config_.initial_credit;
  builders_.resize(config_.channels);
  // Subtasks begin at different consumers, so that few records do not all go to the first one.
  next_target_ = config_.channels == 0 ? 0 : config_.subtask % config_.channels;
}

void output_gate::push(batch_ptr b) {
  if (!b || b->size() == 0 || channels_.empty()) return;
  if (b->origin || origin_) [[unlikely]]
    change_origin(b->origin);
  records_sent_ += b->size();
  if (config_.kind == partitioning_kind::broadcast) {
    for (std::uint32_t c = 0; c < channels_.size(); ++c)
      push_whole(channels_[c], c, b);
    return;
  }
  if (config_.kind == partitioning_kind::hash && !b.unique()) { // the hashes are written into the batch
    auto copy = pool_->get();
    b->type().append(*copy, *b, 0, b->size(), false);
    copy->origin = b->origin;
    b = std::move(copy);
  }
  const bool one_target = channels_.size() == 1 || config_.kind == partitioning_kind::global;
  if (!one_target || partitioner_) choose_targets(*b);
  if (one_target) return push_whole(channels_[0], 0, std::move(b));
  const bool may_move = b.unique();
  spread(*b, may_move);
}

void output_gate::choose_targets(batch_base& b) {
  const auto n = b.size();
  const auto channels = static_cast<std::uint32_t>(channels_.size());
  targets_.resize_for_overwrite(n);
  switch (config_.kind) {
  case partitioning_kind::rebalance:
  case partitioning_kind::rescale:
    for (std::size_t i = 0; i < n; ++i) {
      targets_[i] = next_target_;
      if (++next_target_ == channels) next_target_ = 0;
    }
    return;
  case partitioning_kind::shuffle:
    for (std::size_t i = 0; i < n; ++i)
      targets_[i] = static_cast<std::uint32_t>(random_.below(channels));
    return;
  default:
    break;
  }
  std::uint64_t* hashes = nullptr;
  if (partitioner_->provides_hashes()) {
    b.hashes.resize_for_overwrite(n);
    hashes = b.hashes.data();
  }
  partitioner_->select(b, 0, n, channels, config_.max_parallelism, targets_.data(), hashes);
}

/// Traced records leave in batches of their own, which say where they come from.
void output_gate::change_origin(std::shared_ptr<const record_origin> origin) {
  flush();
  origin_ = std::move(origin);
}

/// A batch that goes to one channel as it is: sent at once when it is worth a message, else collected.
void output_gate::push_whole(channel& c, std::uint32_t index, batch_ptr b) {
  const auto& type = b->type();
  const auto bytes = type.byte_size(*b, 0, b->size());
  const bool worthwhile = b->size() * 2 >= config_.limits.records || bytes * 2 >= config_.limits.bytes;
  if (worthwhile || b->size() > config_.limits.records) {
    seal(c, index);
    return dispatch(c, index, element::of(std::move(b)));
  }
  if (c.partial &&
      (c.partial->size() + b->size() > config_.limits.records || c.partial_bytes + bytes > config_.limits.bytes ||
       c.partial->has_timestamps() != b->has_timestamps()))
    seal(c, index);
  if (!c.partial) {
    ++partial_;
    c.partial_bytes = 0;
    if (b.unique()) {
      c.partial = std::move(b);
      c.partial_bytes = bytes;
      return;
    }
    c.partial = pool_->get();
  }
  const bool may_move = b.unique();
  type.append(*c.partial, *b, 0, b->size(), may_move);
  c.partial_bytes += bytes;
}

/// Records go to channels one by one. Large records go in small portions, so that a batch stays near its byte bound.
void output_gate::spread(batch_base& b, bool may_move) {
  const auto& type = b.type();
  const auto n = b.size();
  const auto each = type.fixed_size() != 0 ? type.fixed_size() : type.byte_size(b, 0, n) / n + 1;
  const auto portion = std::clamp<std::size_t>(config_.limits.bytes / each, 1, n);
  if (portion == n) return spread_part(b, 0, n, each, may_move);
  for (std::size_t begin = 0; begin < n; begin += portion) {
    const auto end = std::min(n, begin + portion);
    spread_part(b, begin, end, type.byte_size(b, begin, end) / (end - begin) + 1, may_move);
  }
}

void output_gate::spread_part(batch_base& b, std::size_t begin, std::size_t end, std::size_t bytes_each,
                              bool may_move) {
  const auto n = end - begin;
  const auto channels = static_cast<std::uint32_t>(channels_.size());
  for (std::uint32_t c = 0; c < channels; ++c) {
    auto& channel = channels_[c];
    if (channel.partial && channel.partial->has_timestamps() != b.has_timestamps()) seal(channel, c);
    if (!channel.partial) {
      channel.partial = pool_->get();
      channel.partial_bytes = 0;
      ++partial_;
    }
    builders_[c] = channel.partial.get();
  }
  b.type().scatter(b, begin, end, targets_.data() + begin, builders_.data(), channels, may_move);
  for (std::uint32_t c = 0; c < channels; ++c) {
    auto& channel = channels_[c];
    if (channel.partial->size() == 0) {
      channel.partial.reset();
      --partial_;
      continue;
    }
    channel.partial_bytes = b.type().fixed_size() != 0 ? channel.partial->size() * bytes_each
                                                       : channel.partial_bytes + bytes_each * (n / channels + 1);
    if (channel.partial->size() >= config_.limits.records || channel.partial_bytes >= config_.limits.bytes)
      seal(channel, c);
  }
}

void output_gate::seal(channel& c, std::uint32_t index) {
  if (!c.partial) return;
  --partial_;
  c.partial_bytes = 0;
  if (origin_) [[unlikely]]
    c.partial->origin = origin_;
  dispatch(c, index, element::of(std::move(c.partial)));
  c.partial.reset();
}

void output_gate::push_control(const element& e) {
  const bool ahead = e.kind == element_kind::barrier && config_.overtakes && e.value == overtaking_;
  for (std::uint32_t c = 0; c < channels_.size(); ++c) {
    seal(channels_[c], c);
    if (ahead && !channels_[c].waiting.empty())
      overtake(channels_[c], c, e);
    else
      dispatch(channels_[c], c, e);
  }
}

namespace {
bool is_barrier_of(const element& e, std::int64_t checkpoint) {
  return e.kind == element_kind::barrier && e.value == checkpoint;
}
} // namespace

void output_gate::let_overtake(std::int64_t checkpoint) {
  if (!config_.overtakes || checkpoint <= overtaking_) return;
  overtaking_ = checkpoint;
  overtaken_.clear();
  for (std::uint32_t c = 0; c < channels_.size(); ++c)
    for (auto& e : channels_[c].waiting)
      if (is_barrier_of(e, checkpoint)) {
        overtake(channels_[c], c, element{e});
        break;
      }
}

bool output_gate::holds_barrier(std::int64_t checkpoint) const noexcept {
  if (!config_.overtakes || blocked_ == 0) return false;
  return std::any_of(channels_.begin(), channels_.end(), [&](const channel& c) {
    return std::any_of(c.waiting.begin(), c.waiting.end(),
                       [&](const element& e) { return is_barrier_of(e, checkpoint); });
  });
}

/// Earlier barriers that wait there are of checkpoints that were given up: the receiver sees that they do not come.
void output_gate::overtake(channel& c, std::uint32_t index, element barrier) {
  overtaken_batches overtaken{index, {}};
  for (auto& e : c.waiting) {
    if (is_barrier_of(e, barrier.value)) break;
    if (e.is_batch()) overtaken.batches.push_back(e.data);
  }
  queued_ -=
      c.waiting.erase_if([&](const element& e) { return e.kind == element_kind::barrier && e.value <= barrier.value; });
  if (c.waiting.empty()) --blocked_;
  if (!overtaken.batches.empty()) overtaken_.push_back(std::move(overtaken));
  send(c, index, std::move(barrier));
}

void output_gate::flush() {
  if (partial_ == 0) return;
  for (std::uint32_t c = 0; c < channels_.size(); ++c)
    seal(channels_[c], c);
}

void output_gate::dispatch(channel& c, std::uint32_t index, element e) {
  if (c.waiting.empty() && (config_.feedback || c.credit.allows(e))) return send(c, index, std::move(e));
  if (c.waiting.empty()) ++blocked_;
  c.waiting.push_back(std::move(e));
  ++queued_;
}

void output_gate::send(channel& c, std::uint32_t index, element e) {
  std::uint64_t bytes = 0;
  if (e.is_batch()) {
    bytes = e.data->type().byte_size(*e.data, 0, e.data->size());
    bytes_sent_ += bytes;
    c.credit.batches -= 1;
  } else if (!config_.feedback && channel_credit::takes_bytes(e.kind)) {
    bytes = channel_credit::bytes_of_control;
  }
  c.credit.bytes -= static_cast<std::int64_t>(bytes);
  sender_.send(config_.index, index, c.next_sequence++, bytes, std::move(e));
}

void output_gate::grant(std::uint32_t index, std::uint32_t batches, std::uint64_t bytes) {
  auto& c = channels_[index];
  c.credit.batches += batches;
  c.credit.bytes += static_cast<std::int64_t>(bytes);
  if (c.waiting.empty()) return;
  while (!c.waiting.empty() && c.credit.allows(c.waiting.front())) {
    auto e = std::move(c.waiting.front());
    c.waiting.pop_front();
    --queued_;
    send(c, index, std::move(e));
  }
  if (c.waiting.empty()) --blocked_;
}

} // namespace dataflow
