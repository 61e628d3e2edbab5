/// Sinks that publish in two phases: what was written since the last barrier is prepared with the checkpoint, and shown
/// to readers when that checkpoint is complete.
///
/// A sink is two objects per subtask. Its writer takes records; at a barrier it makes durable what it was given and
/// hands out committables, small descriptions of what is to be published. They are stored in the checkpoint. When it is
/// complete the committer publishes them. The word that it is complete may never come (a crash): so after a restore the
/// committables in the checkpoint are published again, and commit() must be repeatable. What was prepared or written
/// behind the restored checkpoint is in nobody's state; the writer removes it when it opens.
///
///   class my_sink : public committing_sink<event, my_committable, my_position> {
///   public:
///     std::unique_ptr<my_writer> make_writer(delivery_guarantee g) const;      // : committing_writer<...>
///     std::unique_ptr<my_committer> make_committer(delivery_guarantee g) const; // : committer<my_committable>
///   };
///   stream.sink_to(my_sink{...}.deliver(delivery_guarantee::exactly_once));
///
/// Guarantees: exactly_once as above. at_least_once publishes as soon as something is prepared, and prepares at least
/// at every barrier. none publishes likewise, is not asked to make anything durable and keeps no state. Nothing asked
/// for: exactly_once in jobs that make checkpoints, else at_least_once. A job whose input ends makes one more
/// checkpoint behind its end, so that all is published before it has FINISHED.
///
/// Threading: a sink is shared and read-only; writer and committer belong to one task, one call at a time, and may take
/// as long as they need. Ownership: the engine owns all three.
/// Errors: what write() throws (nothing of the record may be written then) is dealt with by the record-error policy;
/// what any other member throws fails the task, which goes on from the last complete checkpoint.
/// Source: Flink's Sink V2 (FLIP-143, FLIP-191): SinkWriter, CommittingSinkWriter, StatefulSinkWriter, Committer;
/// FLIP-147 for the end of the input.
#pragma once

#include <dataflow/connectors/delivery_guarantee.hpp>
#include <dataflow/operators/runtime_context.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/time/timestamp.hpp>
#include <dataflow/util/error.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dataflow {

/// The state of writers that keep none.
struct no_writer_state {
  char nothing = 0;
};

/// What a writer starts from.
template <class Committable, class State>
struct restored_sink {
  std::vector<State> own;           ///< what this subtask goes on with
  std::vector<State> all;           ///< of all subtasks: belongs to somebody, and must not be cleaned up
  std::vector<Committable> pending; ///< of all subtasks: being published
};

template <class T, class Committable, class State = no_writer_state>
class committing_writer {
public:
  virtual ~committing_writer() = default;
  /// The committables of the restored checkpoint that are this subtask's have been published.
  virtual void open(runtime_context& /*context*/, const restored_sink<Committable, State>& /*restored*/) {}
  /// Before the records of a batch or of a part of one. `wall`: milliseconds since 1970 UTC.
  virtual void begin_batch(std::chrono::milliseconds /*wall*/) {}
  /// `time`: the record's event time, no_timestamp when it has none. Should not do what can fail for other reasons than
  /// the record: flush() does.
  virtual void write(const T& record, timestamp time) = 0;
  /// Behind the records of a batch or of a part of one.
  virtual void flush() {}
  /// A barrier has come: everything written so far must be durable on return. Not called for guarantee none.
  virtual void barrier() {}
  /// What is ready to be published since the last call. Called behind flush(), barrier(), wake() and finish().
  virtual std::vector<Committable> prepare_commit() = 0;
  /// What the writer goes on from. Called behind barrier() and prepare_commit().
  virtual std::vector<State> snapshot() { return {}; }
  /// The input has ended: whatever is left belongs to the next prepare_commit().
  virtual void finish() {}
  /// When wake() has something to do; asked after every call.
  virtual std::optional<std::chrono::milliseconds> next_wake() const { return {}; }
  virtual void wake(std::chrono::milliseconds /*wall*/) {}
  /// After the last call, also after failures.
  virtual void close() noexcept {}
};

/// One committable on its way to be published, and what became of it. Source: Flink's Committer.CommitRequest.
template <class Committable>
class commit_request {
public:
  explicit commit_request(Committable what, std::uint32_t tries = 0) : what_(std::move(what)), tries_(tries) {}
  const Committable& committable() const noexcept { return what_; }
  /// How often it was tried before.
  std::uint32_t tries() const noexcept { return tries_; }
  /// Not now: it is tried again, as often as the sink says.
  void retry_later() noexcept { again_ = true; }
  /// The same with another description, when a part of it is done.
  void update_and_retry_later(Committable what) {
    what_ = std::move(what);
    again_ = true;
  }
  /// The engine's side.
  bool to_be_retried() const noexcept { return again_; }
  Committable take() noexcept { return std::move(what_); }

private:
  Committable what_;
  std::uint32_t tries_;
  bool again_ = false;
};

template <class Committable>
class committer {
public:
  virtual ~committer() = default;
  virtual void open(runtime_context& /*context*/) {}
  /// Publishes. Each may have been published before, by this committer or by another: then nothing is to be done.
  /// What returns without retry_later() is published for good.
  virtual void commit(std::vector<commit_request<Committable>>& requests) = 0;
  virtual void close() noexcept {}
};

/// How often and at what distance a committable is tried again before the task fails.
struct commit_retries {
  std::uint32_t most = 10; ///< Flink's sink.committer.retries
  std::chrono::milliseconds delay{1000};
};

/// Base of two-phase sinks; see the top of the file for the two members that it needs.
template <class T, class Committable, class State = no_writer_state>
class committing_sink {
  static_assert(has_codec<Committable> && has_codec<State>,
                "committables and writer states are stored in checkpoints: name their fields with DATAFLOW_RECORD");

public:
  using record = T;
  using committable = Committable;
  using writer_state = State;
  virtual ~committing_sink() = default;
  /// Shown in the plan behind "Sink: ".
  virtual std::string name() const { return "Unnamed"; }
  /// What was asked for.
  std::optional<delivery_guarantee> delivery() const noexcept { return delivery_; }
  virtual commit_retries retries() const { return {}; }

protected:
  std::optional<delivery_guarantee> delivery_;
};

} // namespace dataflow

#include <dataflow/connectors/committing_operator.hpp>
