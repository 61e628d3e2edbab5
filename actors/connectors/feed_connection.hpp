/// What an actor source is besides its types: the job's hold on the feed. Not for users, but for the options.
///
/// Threading: any thread. Ownership: the source of the graph holds it; it holds the queue, not the feed.
#pragma once

#include <dataflow/actors/connectors/feed_queue.hpp>
#include <dataflow/connectors/source_factories.hpp>

#include <caf/actor.hpp>
#include <caf/actor_control_block.hpp>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace dataflow::actors {

struct actor_source_options {
  /// How many messages of one sender may wait to be taken. At least 1.
  std::uint32_t credit = 8;
};

namespace detail {

/// The job's hold on the queue and the feed.
class feed_connection final : public source_listener {
public:
  explicit feed_connection(std::shared_ptr<feed_queue> queue, const caf::actor& feed);
  ~feed_connection() override; ///< the pipeline is gone, whether it was run or not
  void job_submitted(const std::string& id, const std::string& name) override;
  void job_ended(const error& failure) noexcept override;
  const std::shared_ptr<feed_queue>& queue() const noexcept { return queue_; }

private:
  void end(const std::string& why) noexcept;

  const std::shared_ptr<feed_queue> queue_;
  const caf::weak_actor_ptr feed_;
  std::mutex mutex_;
  std::string job_; // "job "x" (id)"
  bool ended_ = false;
};

/// There are no splits: all readers take from one queue.
std::unique_ptr<split_enumerator> make_feed_enumerator();

/// Throws unless credit is allowed.
std::shared_ptr<feed_queue> make_feed_queue(const std::string& name, const actor_source_options& options);

} // namespace detail

} // namespace dataflow::actors
