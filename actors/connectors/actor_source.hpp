/// An actor source: a stream that a user's own actors feed.
///
///   auto [feed, clicks] = actors::actor_source<click>(env, system, "clicks");
///   ... an actor: self->request(feed, caf::infinite, actors::feed_batch<click>{1, {...}}).then(...);
///
/// Messages: feed_batch<T>, T itself and feed_close; answers: feed_ack or an error (interfaces.hpp, docs/actors.md).
/// They travel within this process only: records need no inspect().
/// Threading: the feed is an actor; building the stream is as all of the environment. Ownership: whoever sends holds
/// the feed; the stream does not. The actor_system must outlive the environment and its jobs.
/// Delivery: a batch is acknowledged when a reader has taken it. What was acknowledged and is still inside the pipeline
/// is lost when the job restarts (at most once). An acknowledgement says that the sender may forget the batch; senders
/// that rely on nothing else keep their guarantee when it comes later, with a completed checkpoint.
/// Errors: invalid_argument for a credit of 0; a feed serves one job, the next one is refused with invalid_graph.
#pragma once

#include <dataflow/actors/connectors/feed_actor.hpp>
#include <dataflow/actors/connectors/feed_connection.hpp>
#include <dataflow/api/environment.hpp>
#include <dataflow/connectors/source.hpp>

#include <caf/actor_system.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace dataflow::actors {

/// What actor_source() makes.
template <class T>
struct actor_feed {
  caf::actor feed;
  data_stream<T> stream;
};

namespace detail {

template <class T>
class feed_reader final : public source_reader<T> {
public:
  explicit feed_reader(std::shared_ptr<feed_queue> queue) : queue_(std::move(queue)) {}
  void open(reader_context& context) override { place_ = queue_->enter(context.wake_up()); }
  void add_splits(std::vector<source_split>) override {}
  void no_more_splits() override {}
  std::vector<source_split> snapshot(std::uint64_t) override { return {}; }
  poll_result poll(source_output<T>& out) override {
    auto result = poll_result::more();
    while (!out.full()) {
      if (!at_hand_.records) {
        const auto found = queue_->take(place_, at_hand_);
        if (found == feed_queue::found::nothing) result = poll_result::wait();
        if (found == feed_queue::found::end) result = poll_result::end();
        if (found != feed_queue::found::batch) break;
      }
      auto& records = *static_cast<std::vector<T>*>(at_hand_.records.get());
      while (at_hand_.next < records.size() && !out.full())
        out.collect(std::move(records[at_hand_.next++])); // when this throws, the record is not to be read again
      if (at_hand_.next < records.size()) break;
      taken_.push_back(at_hand_.number);
      at_hand_ = {};
    }
    queue_->report(std::exchange(taken_, {}));
    return result;
  }
  void close() noexcept override {
    if (place_ == 0) return;
    queue_->report(std::exchange(taken_, {}));
    queue_->leave(std::exchange(place_, 0), std::exchange(at_hand_, {}));
  }

private:
  std::shared_ptr<feed_queue> queue_;
  std::uint64_t place_ = 0;
  fed_batch at_hand_;
  std::vector<std::uint64_t> taken_;
};

template <class T>
class feed_source final : public source<T> {
public:
  explicit feed_source(std::shared_ptr<feed_connection> connection) : connection_(std::move(connection)) {}
  boundedness bounds() const noexcept override { return boundedness::unbounded; }
  std::unique_ptr<source_reader<T>> make_reader() const override {
    return std::make_unique<feed_reader<T>>(connection_->queue());
  }
  std::unique_ptr<split_enumerator> make_enumerator() const override { return make_feed_enumerator(); }
  std::unique_ptr<split_enumerator> restore_enumerator(const std::string&) const override { return make_enumerator(); }
  std::shared_ptr<source_listener> listener() const override { return connection_; }

private:
  std::shared_ptr<feed_connection> connection_;
};

} // namespace detail

/// A stream, and the actor that feeds it, in this actor_system: the cluster's own or any other of the process. Read at
/// parallelism 1 by default: more readers share the batches, and records of one sender may then overtake each other.
template <class T>
actor_feed<T> actor_source(environment& env, caf::actor_system& system, const std::string& name,
                           const actor_source_options& options = {}) {
  auto queue = detail::make_feed_queue(name, options);
  caf::actor feed = system.spawn<typed_feed_actor<T>>(queue, options.credit);
  auto connection = std::make_shared<detail::feed_connection>(std::move(queue), feed);
  return {std::move(feed), env.from(detail::feed_source<T>{std::move(connection)}, name).set_parallelism(1)};
}

} // namespace dataflow::actors
