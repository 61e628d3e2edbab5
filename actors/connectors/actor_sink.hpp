/// An actor sink: records leave a pipeline as messages to a user's own actor.
///
///   stream.sink_to(actors::actor_sink<total>{dashboard});
///   ... in the dashboard: [](const actors::sink_batch<total>& m) { ... }
///
/// Each subtask sends sink_batch<T> requests, at most `credit` of them unanswered; a handler's answer (nothing:
/// returning is enough; or a response promise, delivered later) is the acknowledgement. While none comes, the task
/// waits and holds no thread, and the pipeline before it is held back. The input's end waits for all acknowledgements.
/// Messages travel within this process only: records need no inspect().
/// Threading: a value, copied into the graph. Ownership: it holds the actor, and so does the graph.
/// Delivery: at least once: a job that restarts sends its records again, with a higher attempt.
/// Errors: invalid_argument at once for no actor, one of another process, or a credit of 0. The task fails when the
/// actor ends before the stream (component_lost, with its reason), answers with an error, or does not answer within the
/// timeout (timed_out).
#pragma once

#include <dataflow/actors/interfaces.hpp>
#include <dataflow/operators/operator.hpp>
#include <dataflow/record/record_type.hpp>

#include <caf/actor.hpp>

#include <mutex>
#include <utility>

namespace dataflow::actors {

struct actor_sink_options {
  std::uint32_t credit = 4; ///< unanswered messages of one subtask; at least 1
  /// How long the actor may take for one message; 0: for ever.
  std::chrono::milliseconds timeout{std::chrono::minutes{1}};
};

template <class T>
class actor_sink {
public:
  using record = T;
  explicit actor_sink(caf::actor to, actor_sink_options options = {});

  const caf::actor& to() const noexcept { return to_; }
  const actor_sink_options& options() const noexcept { return options_; }

private:
  caf::actor to_;
  actor_sink_options options_;
};

namespace detail {

/// Throws what is wrong.
void check_actor_sink(const caf::actor& to, const actor_sink_options& options);

/// One subtask's way to the user's actor, without the record type. Its courier, an actor, asks and watches the other.
class sink_line {
public:
  sink_line(caf::actor to, const actor_sink_options& options) : to_(std::move(to)), options_(options) {}
  ~sink_line() { close(); }
  sink_line(const sink_line&) = delete;
  void open(std::function<void()> wake_up);
  void close() noexcept;
  /// Throws when the actor is lost.
  void check() const;
  std::uint64_t sent() const noexcept { return sent_; }
  bool has_credit() const;
  bool all_answered() const;
  void send(caf::message batch);

  /// Shared with the courier.
  struct state {
    mutable std::mutex mutex;
    std::uint64_t answered = 0;
    error failure;
    std::function<void()> wake_up;
  };

private:
  const caf::actor to_;
  const actor_sink_options options_;
  std::shared_ptr<state> state_;
  caf::actor courier_;
  std::uint64_t sent_ = 0;
};

template <class T>
class actor_sink_operator final : public stream_operator {
public:
  explicit actor_sink_operator(const actor_sink<T>& sink) : line_(sink.to(), sink.options()) {}

  void open(operator_context& context) override {
    stream_operator::open(context);
    line_.open(context.wake_up());
  }
  /// All that is there of a batch becomes one message.
  void process(unsigned, batch_slice& slice) override {
    line_.check();
    if (!line_.has_credit()) return context().wait_for_wake_up();
    auto& records = slice.data.as<T>().records;
    sink_batch<T> message{context().subtask_index(), context().attempt(), line_.sent() + 1, {}};
    const bool owned = slice.data.unique();
    message.records.reserve(records.size() - slice.cursor);
    for (; slice.cursor < records.size(); ++slice.cursor) {
      if (owned)
        message.records.push_back(std::move(records[slice.cursor]));
      else
        message.records.push_back(std::as_const(records)[slice.cursor]);
    }
    line_.send(caf::make_message(std::move(message)));
  }
  void on_wake_up() override {
    if (!ending_) line_.check(); // also when nothing is to be sent
  }
  progress finish() override {
    ending_ = true;
    if (line_.all_answered()) return progress::done; // and the actor may go
    line_.check();
    context().wait_for_wake_up();
    return progress::yielded;
  }
  void close() noexcept override { line_.close(); }

private:
  sink_line line_;
  bool ending_ = false;
};

} // namespace detail

template <class T>
actor_sink<T>::actor_sink(caf::actor to, actor_sink_options options) : to_(std::move(to)), options_(options) {
  detail::check_actor_sink(to_, options_);
}

/// What stream.sink_to() calls.
template <class T>
operator_factory sink_operators(actor_sink<T> sink) {
  return [sink = std::move(sink)]() -> std::unique_ptr<stream_operator> {
    return std::make_unique<detail::actor_sink_operator<T>>(sink);
  };
}

} // namespace dataflow::actors
