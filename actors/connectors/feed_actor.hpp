/// The feed of an actor source: the actor that a user's actors send records to.
///
/// It keeps the protocol (sequence numbers, credit, answers) per sender; the records wait in a feed_queue until a
/// reader takes them. See docs/actors.md for what a sender may expect. Ends: when nobody holds a handle of it any more.
/// If that happens before feed_close and before the job has ended, the source fails: input that just stops coming must
/// not look like an end.
#pragma once

#include <dataflow/actors/connectors/feed_queue.hpp>
#include <dataflow/actors/interfaces.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/message_handler.hpp>
#include <caf/response_promise.hpp>

#include <map>
#include <optional>

namespace dataflow::actors {

class feed_actor : public caf::event_based_actor {
public:
  feed_actor(caf::actor_config& config, std::shared_ptr<feed_queue> queue, std::uint32_t credit);
  void on_exit() override;
  const char* name() const override { return "dataflow.feed"; }

protected:
  /// What does not depend on the record type.
  caf::message_handler control();
  /// One message of records; its answer. sequence: unset for a single record.
  caf::response_promise accept(std::optional<std::uint64_t> sequence, std::shared_ptr<void> records);

private:
  struct sender {
    std::uint64_t next = 1;    // the sequence number that is expected
    std::uint32_t queued = 0;  // not yet acknowledged
    bool knows_credit = false; // the first answer grants all of it, each other one what it gives back
  };
  struct unanswered {
    caf::actor_addr from;
    std::uint64_t sequence = 0;
    std::vector<caf::response_promise> promises; // more than one: it was sent again
  };
  error closed() const;
  void taken(std::uint64_t number);
  void end(const error& why);

  std::shared_ptr<feed_queue> queue_;
  const std::uint32_t credit_;
  std::map<caf::actor_addr, sender> senders_;
  std::map<std::uint64_t, unanswered> unanswered_; // by the number in the queue
  std::uint64_t last_number_ = 0;
  bool closed_ = false, unknown_sender_logged_ = false;
  std::optional<error> over_;
};

template <class T>
class typed_feed_actor final : public feed_actor {
public:
  using feed_actor::feed_actor;
  caf::behavior make_behavior() override {
    return caf::message_handler{
        [this](feed_batch<T>& m) { return accept(m.sequence, std::make_shared<std::vector<T>>(std::move(m.records))); },
        [this](T& record) {
          auto one = std::make_shared<std::vector<T>>();
          one->push_back(std::move(record));
          return accept({}, std::move(one));
        },
    }
        .or_else(control());
  }
};

} // namespace dataflow::actors
