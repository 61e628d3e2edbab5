/// Sources: an enumerator at the job master and readers in the tasks.
///
/// The enumerator discovers splits, assigns them on request and takes them back from a failed reader; a reader polls
/// its splits into batches and knows its position in each. File ranges, Kafka partitions and actor feeds fit it.
/// Source: Flink's FLIP-27 (Source, SplitEnumerator, SourceReader).
/// Threading: an enumerator is called by the job master only, a reader by one thread at a time (its task, or its
/// helper thread when the source is blocking). Ownership: the engine owns both.
/// Errors: what they throw fails the job, with the source's name in the text.
#pragma once

#include <dataflow/connectors/split_marks.hpp>
#include <dataflow/operators/operator.hpp>
#include <dataflow/operators/record_size.hpp>
#include <dataflow/record/column.hpp>
#include <dataflow/record/record_type.hpp>
#include <dataflow/record/source_split.hpp>
#include <dataflow/time/timestamp.hpp>
#include <dataflow/util/clock.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace dataflow {

struct platform;
class source_listener;

/// What an enumerator can ask of the job master.
class enumerator_context {
public:
  virtual ~enumerator_context() = default;
  virtual std::uint32_t parallelism() const noexcept = 0;
  /// REQUIRES: that subtask's reader has registered.
  virtual void assign(std::uint32_t subtask, source_split split) = 0;
  /// The reader will get no more splits: it ends when it has read those that it has.
  virtual void no_more_splits(std::uint32_t subtask) = 0;
  virtual dataflow::platform& platform() noexcept = 0;
};

class split_enumerator {
public:
  virtual ~split_enumerator() = default;
  /// Discover; may block (the job master runs it off the scheduler's workers).
  virtual void start(enumerator_context& context) = 0;
  virtual void reader_registered(enumerator_context& /*context*/, std::uint32_t /*subtask*/) {}
  virtual void split_requested(enumerator_context& context, std::uint32_t subtask) = 0;
  /// Splits of a reader that died after the last completed checkpoint.
  virtual void splits_returned(enumerator_context& context, std::uint32_t subtask,
                               std::vector<source_split> splits) = 0;
  /// Everything that a new enumerator needs to go on.
  virtual std::string snapshot(std::uint64_t checkpoint) = 0;
  virtual void checkpoint_completed(std::uint64_t /*checkpoint*/) {}
  virtual void close() noexcept {}
};

/// What a poll found. `wait_until` needs a time.
struct poll_result {
  enum class kind : std::uint8_t {
    more,       ///< call again at once
    wait,       ///< nothing now: the reader calls reader_context::wake_up() when there is
    wait_until, ///< nothing before `time`
    end,        ///< all splits are read and no more will come
  };
  kind what = kind::more;
  steady_time time{0};
  static poll_result more() { return {kind::more, {}}; }
  static poll_result wait() { return {kind::wait, {}}; }
  static poll_result wait_until(steady_time t) { return {kind::wait_until, t}; }
  static poll_result end() { return {kind::end, {}}; }
};

/// What a reader can ask of its task.
class reader_context {
public:
  virtual ~reader_context() = default;
  virtual runtime_context& runtime() noexcept = 0;
  virtual dataflow::platform& platform() noexcept = 0;
  /// Asks the enumerator for a split; the answer is add_splits or no_more_splits, later. Called on the reader's thread.
  virtual void request_split() = 0;
  /// Poll again, please. Safe from any thread, also after the task is gone.
  virtual std::function<void()> wake_up() = 0;
};

/// Where a reader puts its records: into one batch of bounded size. A record above the configured limit is
/// errc::record_too_large.
template <class T>
class source_output {
public:
  /// `marks`: where it is written down which records belong to which split; null: nobody wants to know.
  source_output(batch<T>& into, const batch_limits& limits, split_marks* marks = nullptr) noexcept
      : into_(into), limits_(limits), marks_(marks) {}
  /// What is collected from here on in this poll belongs to this split: watermarks are kept per split.
  void of_split(std::string_view id) {
    if (marks_) marks_->records_of(id, into_.records.size());
  }
  /// The split is read to its end: it holds no watermark back any more.
  void finish_split(std::string_view id) {
    if (marks_) marks_->finished(id, into_.records.size());
  }
  /// Full: return from poll.
  bool full() const noexcept { return into_.records.size() >= limits_.records || bytes_ >= limits_.bytes; }
  /// The largest record that the configuration allows, in bytes (taskmanager.record.max-bytes).
  std::size_t largest_record() const noexcept { return limits_.record_bytes; }
  std::size_t room() const noexcept { return full() ? 0 : limits_.records - into_.records.size(); }
  void collect(T record) {
    count(record);
    into_.records.emplace_back(std::move(record));
  }
  /// Builds the record in its place.
  template <class... Args>
  void emplace(Args&&... args) {
    count(into_.records.emplace_back(std::forward<Args>(args)...));
  }
  /// With an event-time timestamp. Either all records of a poll have one or none.
  void collect(T record, timestamp t) {
    collect(std::move(record));
    into_.timestamps.push_back(t);
  }
  /// For tight loops: the records' column itself; stay within room().
  column<T>& records() noexcept { return into_.records; }

private:
  void count([[maybe_unused]] const T& record) {
    if constexpr (!std::is_trivially_copyable_v<T>) {
      const auto size = codec<T>::size_of(record);
      check_record_size(record, size, limits_.record_bytes);
      bytes_ += size;
    }
  }
  batch<T>& into_;
  const batch_limits& limits_;
  split_marks* marks_;
  std::size_t bytes_ = 0;
};

class source_reader_base {
public:
  virtual ~source_reader_base() = default;
  /// Usual first act: context.request_split().
  virtual void open(reader_context& context) = 0;
  virtual void add_splits(std::vector<source_split> splits) = 0;
  virtual void no_more_splits() = 0;
  /// The assigned splits with their present positions. Of a blocking source it is asked after every poll, with
  /// checkpoint 0, because the reader is ahead of what the task has seen: it must be cheap and change nothing.
  virtual std::vector<source_split> snapshot(std::uint64_t checkpoint) = 0;
  virtual void checkpoint_completed(std::uint64_t /*checkpoint*/) {}
  /// Where a split of snapshot() stands, for people: "byte 17 of 'in.txt'". The default shows the payload.
  virtual std::string describe_position(const source_split& split) const;
  /// Stops (or goes on) reading one split; watermark alignment uses it.
  virtual void pause_split(const std::string& /*id*/, bool /*paused*/) {}
  /// Makes a poll that blocks return soon; of blocking sources. Safe from any thread.
  virtual void interrupt() noexcept {}
  virtual void close() noexcept {}
};

template <class T>
class source_reader : public source_reader_base {
public:
  /// Appends records until full() or nothing is there. Must not block, unless the source says blocking().
  virtual poll_result poll(source_output<T>& out) = 0;
};

enum class boundedness : std::uint8_t { bounded, unbounded };

/// Describes a source; copied into the graph, makes the two halves.
template <class T>
class source {
public:
  using record = T;
  virtual ~source() = default;
  virtual boundedness bounds() const noexcept = 0;
  /// Readers may block in poll: they run on a thread of their own, never on a scheduler's worker. They should come
  /// back within 50 ms all the same (an empty poll is fine), or sooner after interrupt(): cancel waits for them.
  virtual bool blocking() const noexcept { return false; }
  virtual std::unique_ptr<source_reader<T>> make_reader() const = 0;
  virtual std::unique_ptr<split_enumerator> make_enumerator() const = 0;
  /// A new enumerator that goes on from a snapshot.
  virtual std::unique_ptr<split_enumerator> restore_enumerator(const std::string& snapshot) const = 0;
  /// Who wants to know of the job that this source is part of, for sources that are fed from outside.
  virtual std::shared_ptr<source_listener> listener() const { return nullptr; }
};

} // namespace dataflow
