/// What waits between the feed of an actor source and the source's readers.
///
/// Bounded by the feed, which takes no batch beyond a sender's credit. A batch belongs to one reader from take() on; it
/// is reported when its last record has been read, and what a reader leaves of it goes to the next one.
/// Threading: all members are safe from any thread; callbacks run on the caller's, without a lock held. Ownership:
/// shared by feed, source and readers; it holds none of them.
/// Errors: take() throws what fail() was given; bind() throws invalid_graph.
#pragma once

#include <dataflow/util/error.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace dataflow::actors {

/// Records of one message on their way to a reader.
struct fed_batch {
  std::uint64_t number = 0;      ///< the feed's own count
  std::shared_ptr<void> records; ///< a std::vector of the source's record type; null: no batch
  std::size_t next = 0;          ///< where reading goes on
};

class feed_queue {
public:
  /// taken: told which batches have been read to their end.
  explicit feed_queue(std::string source) : source_(std::move(source)) {}
  void on_taken(std::function<void(std::vector<std::uint64_t>)> taken) { taken_ = std::move(taken); }
  const std::string& source() const noexcept { return source_; }

  // The feed's side.
  void push(fed_batch b);
  /// Nothing more will come: readers end when the queue is empty.
  void close();
  /// Nothing more can come: readers throw this.
  void fail(error why);

  // The job's side.
  /// Only one job may read.
  void bind(const std::string& job, const std::string& job_name);
  /// The job is over: whatever waits is dropped.
  void end();

  // The readers' side.
  enum class found : std::uint8_t { batch, nothing, end };
  /// wake: called when there is something after take() found nothing.
  std::uint64_t enter(std::function<void()> wake);
  /// With what is left of its batch, if any.
  void leave(std::uint64_t reader, fed_batch rest);
  found take(std::uint64_t reader, fed_batch& into);
  void report(std::vector<std::uint64_t> numbers);

private:
  struct reader {
    std::function<void()> wake;
    bool waiting = false;
  };
  /// Those that wait; to be called after the lock is gone. REQUIRES: the lock.
  std::vector<std::function<void()>> waiting();

  const std::string source_;
  std::function<void(std::vector<std::uint64_t>)> taken_;
  std::mutex mutex_;
  std::deque<fed_batch> batches_;
  std::map<std::uint64_t, reader> readers_;
  std::uint64_t last_reader_ = 0;
  bool closed_ = false;
  error failure_;
  std::string job_, job_name_;
};

} // namespace dataflow::actors
