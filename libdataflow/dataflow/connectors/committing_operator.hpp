/// Drives the writer and the committer of a two-phase sink, and keeps their state.
///
/// The state is two union lists, so that at every parallelism each subtask knows what belongs to the others:
/// committables with the number of the checkpoint that they wait for, and the states of writers. At the same
/// parallelism each subtask goes on with its own, at another one the items are dealt out one by one. Threading: one
/// task. Ownership: owns writer and committer, shares the sink. Errors: a barrier that fails makes the checkpoint fail,
/// and, as soon as that is known, the task: a writer that could not make its output durable cannot go on.
#pragma once

#include <dataflow/checkpoint/published_output.hpp>
#include <dataflow/connectors/committing_sink.hpp>
#include <dataflow/connectors/sink.hpp>
#include <dataflow/state/declared_state.hpp>
#include <dataflow/util/clock.hpp>

#include <algorithm>
#include <exception>

namespace dataflow {

namespace detail {

/// A union list that remembers whose each item is.
template <class V>
class owned_items final : public declared_state {
public:
  owned_items(std::string name, const runtime_context& context)
      : name_(std::move(name)), subtask_(context.subtask_index()), parallelism_(context.parallelism()) {}
  state_info info() const override { return {name_, state_kind::union_list, to_string(codec<V>::describe())}; }
  void snapshot(state_writer& out) const override {
    for (auto& v : values) {
      auto& to = out.part();
      to.varint(subtask_);
      to.varint(parallelism_);
      codec<V>::encode(v, to);
    }
  }
  void restore(const state_part& part) override {
    byte_reader in{part.bytes};
    const auto owner = in.varint(), parallelism = in.varint();
    V value{};
    codec<V>::decode(value, in);
    const auto position = all.size();
    if (parallelism == parallelism_ ? owner == subtask_ : position % parallelism_ == subtask_) values.push_back(value);
    all.push_back(std::move(value));
  }

  std::vector<V> values; ///< this subtask's
  std::vector<V> all;    ///< of the restored checkpoint

private:
  std::string name_;
  std::uint32_t subtask_, parallelism_;
};

} // namespace detail

template <class S>
class committing_operator final : public stream_operator {
  using record = typename S::record;
  using committable = typename S::committable;
  using writer_state = typename S::writer_state;
  using writer_type = typename decltype(std::declval<const S&>().make_writer(delivery_guarantee::none))::element_type;
  using stored = std::pair<std::uint64_t, committable>; // checkpoint that it waits for

public:
  explicit committing_operator(std::shared_ptr<const S> what) : what_(std::move(what)) {}

  void open(operator_context& context) override {
    stream_operator::open(context);
    guarantee_ = what_->delivery().value_or(context.checkpointing_enabled() ? delivery_guarantee::exactly_once
                                                                            : delivery_guarantee::at_least_once);
    retries_ = what_->retries();
    pending_items_.emplace(std::string{committables_state}, context);
    writer_items_.emplace(std::string{writers_state}, context);
    context.states().declare(*pending_items_);
    context.states().declare(*writer_items_);
    committer_ = what_->make_committer(guarantee_);
    committer_->open(context);
    restored_sink<committable, writer_state> restored;
    for (auto& [checkpoint, c] : pending_items_->all)
      restored.pending.push_back(c);
    restored.own = std::move(writer_items_->values);
    restored.all = std::move(writer_items_->all);
    for (auto& [checkpoint, c] : pending_items_->values)
      pending_.push_back({checkpoint, std::move(c), 0, true});
    store_pending();
    commit_due();
    writer_ = what_->make_writer(guarantee_);
    writer_->open(context, restored);
    ask_for_wake();
  }

  void process(unsigned, batch_slice& slice) override {
    fail_again();
    writer_->begin_batch(context().clock().wall());
    slice.cursor = write_records<record>(
        context(), slice, [this](const record& r, timestamp t) { writer_->write(r, t); }, [this] { writer_->flush(); });
    written();
  }

  progress advance_processing_time(std::chrono::milliseconds now) override {
    fail_again();
    if (std::any_of(pending_.begin(), pending_.end(), [](auto& p) { return p.due; })) commit_due();
    writer_->wake(now);
    written();
    return progress::done;
  }

  void prepare_snapshot(std::int64_t checkpoint) override {
    fail_again();
    if (guarantee_ == delivery_guarantee::none) return;
    try {
      writer_->barrier();
      for (auto& c : prepare_commit())
        add(static_cast<std::uint64_t>(checkpoint), std::move(c));
      writer_items_->values = writer_->snapshot();
      if (guarantee_ != delivery_guarantee::exactly_once) commit_due();
      store_pending();
    } catch (...) {
      failure_ = std::current_exception();
      throw;
    }
  }

  void checkpoint_completed(std::int64_t checkpoint) override {
    fail_again();
    for (auto& p : pending_)
      if (p.checkpoint <= static_cast<std::uint64_t>(checkpoint)) p.due = true;
    commit_due();
  }

  /// What was prepared for it stays prepared and goes into the next one.
  void checkpoint_aborted(std::int64_t) override { fail_again(); }

  progress finish() override {
    fail_again();
    ended_ = true;
    writer_->finish();
    left_ = writer_->prepare_commit();
    if (guarantee_ == delivery_guarantee::exactly_once) return progress::done;
    for (auto& c : std::exchange(left_, {}))
      add(0, std::move(c));
    commit_due();
    return progress::done;
  }

  bool publishes() const noexcept override { return true; }
  bool awaits_checkpoint() const noexcept override { return ended_ && (!pending_.empty() || !left_.empty()); }

  void close() noexcept override {
    if (writer_) writer_->close();
    if (committer_) committer_->close();
  }

private:
  struct waiting {
    std::uint64_t checkpoint;
    committable what;
    std::uint32_t tries;
    bool due; // its checkpoint is complete
  };

  void fail_again() const {
    if (failure_) std::rethrow_exception(failure_);
  }
  void add(std::uint64_t checkpoint, committable c) {
    pending_.push_back({checkpoint, std::move(c), 0, guarantee_ != delivery_guarantee::exactly_once});
  }
  std::vector<committable> prepare_commit() {
    auto all = std::exchange(left_, {});
    for (auto& c : writer_->prepare_commit())
      all.push_back(std::move(c));
    return all;
  }
  /// What needs no checkpoint is published at once.
  void written() {
    writer_->flush();
    if (guarantee_ != delivery_guarantee::exactly_once) {
      for (auto& c : prepare_commit())
        add(0, std::move(c));
      commit_due();
    }
    ask_for_wake();
  }
  void ask_for_wake() {
    if (const auto at = writer_->next_wake()) context().wake_at(*at);
    if (retry_at_) context().wake_at(*retry_at_);
  }

  void commit_due() {
    retry_at_.reset();
    while (try_due()) {
      if (ended_) continue; // nobody calls any more: without a pause, as often as allowed
      retry_at_ = context().clock().wall() + retries_.delay;
      context().wake_at(*retry_at_);
      break;
    }
    store_pending();
  }

  /// Whether some are to be tried again.
  bool try_due() {
    const auto first = std::stable_partition(pending_.begin(), pending_.end(), [](auto& p) { return !p.due; });
    if (first == pending_.end()) return false;
    std::vector<commit_request<committable>> requests;
    std::vector<std::uint64_t> checkpoints;
    for (auto i = first; i != pending_.end(); ++i) {
      requests.emplace_back(i->what, i->tries);
      checkpoints.push_back(i->checkpoint);
    }
    committer_->commit(requests);
    pending_.erase(first, pending_.end());
    bool again = false;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      auto& r = requests[i];
      if (!r.to_be_retried()) continue;
      if (r.tries() >= retries_.most)
        throw error{errc::io_failed,
                    "a part of the output could not be published in " + std::to_string(retries_.most + 1) + " tries"};
      again = true;
      pending_.push_back({checkpoints[i], r.take(), r.tries() + 1, true});
    }
    return again;
  }

  void store_pending() {
    pending_items_->values.clear();
    for (auto& p : pending_)
      pending_items_->values.emplace_back(p.checkpoint, p.what);
  }

  std::shared_ptr<const S> what_;
  delivery_guarantee guarantee_ = delivery_guarantee::at_least_once;
  commit_retries retries_;
  std::optional<detail::owned_items<stored>> pending_items_;
  std::optional<detail::owned_items<writer_state>> writer_items_;
  std::unique_ptr<writer_type> writer_;
  std::unique_ptr<committer<committable>> committer_;
  std::vector<waiting> pending_;  // in the order in which they were prepared
  std::vector<committable> left_; // of the end of the input, for the next checkpoint
  std::optional<std::chrono::milliseconds> retry_at_;
  std::exception_ptr failure_; // of a barrier
  bool ended_ = false;
};

template <class S>
concept two_phase_sink = requires {
  typename S::committable;
  typename S::writer_state;
};

/// The operator of a two-phase sink.
template <two_phase_sink S>
operator_factory sink_operators(S what) {
  return [shared = std::make_shared<const S>(std::move(what))]() -> std::unique_ptr<stream_operator> {
    return std::make_unique<committing_operator<S>>(shared);
  };
}

} // namespace dataflow
