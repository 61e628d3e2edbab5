#include <dataflow/actors/connectors/feed_actor.hpp>
#include <dataflow/actors/errors.hpp>
#include <dataflow/util/log.hpp>

#include <utility>

namespace dataflow::actors {

feed_actor::feed_actor(caf::actor_config& config, std::shared_ptr<feed_queue> queue, std::uint32_t credit)
    : event_based_actor(config), queue_(std::move(queue)), credit_(credit) {
  keep_exception_texts(*this);
  set_down_handler([this](caf::down_msg& m) { senders_.erase(m.source); });
}

caf::message_handler feed_actor::control() {
  return {
      [this](const feed_taken& m) {
        for (auto number : m.numbers)
          taken(number);
      },
      [this](const feed_close&) -> caf::result<void> {
        if (over_) return to_caf(*over_);
        closed_ = true;
        queue_->close();
        return caf::unit;
      },
      [this](const feed_over& m) {
        if (!over_) end(m.why);
      },
  };
}

error feed_actor::closed() const {
  return {errc::feed_closed, "the feed of actor source \"" + queue_->source() + "\" was closed by feed_close",
          "send everything before feed_close, or use another actor source"};
}

caf::response_promise feed_actor::accept(std::optional<std::uint64_t> sequence, std::shared_ptr<void> records) {
  const auto from = caf::actor_cast<caf::actor_addr>(current_sender()); // before the promise takes it
  auto answer = make_response_promise();
  auto refuse = [&](const error& why) {
    answer.deliver(to_caf(why));
    return answer;
  };
  const std::string feed = "the feed of actor source \"" + queue_->source() + "\"";
  if (!from) { // anonymous: it cannot be answered, so nothing could hold it back
    if (!std::exchange(unknown_sender_logged_, true))
      log_warn({"feed", {}, {}}, feed + " drops records of anonymous senders: send them from an actor");
    return answer;
  }
  if (over_) return refuse(*over_);
  auto known = senders_.find(from);
  if (known == senders_.end()) {
    known = senders_.emplace(from, sender{}).first;
    monitor(from);
  }
  auto& s = known->second;
  if (sequence && *sequence<s.next&& * sequence> 0) { // again: nothing is delivered twice
    for (auto& [number, u] : unanswered_) {
      if (u.from != from || u.sequence != *sequence) continue;
      u.promises.push_back(answer);
      return answer;
    }
    answer.deliver(feed_ack{*sequence, 0});
    return answer;
  }
  if (closed_) return refuse(closed());
  if (sequence && *sequence != s.next)
    return refuse(
        {errc::channel_gap,
         feed + " got batch " + std::to_string(*sequence) + " where " + std::to_string(s.next) + " was expected",
         "number the batches of each sender 1, 2, 3 ... and go on with batch " + std::to_string(s.next)});
  if (s.queued >= credit_)
    return refuse({errc::invalid_argument,
                   feed + " got more than the credit of " + std::to_string(credit_) + " unacknowledged messages",
                   "wait for a feed_ack before sending more; this one was not taken"});
  const auto number = ++last_number_;
  unanswered_[number] = {from, sequence ? s.next : 0, {answer}};
  if (sequence) ++s.next;
  ++s.queued;
  queue_->push({number, std::move(records), 0});
  return answer;
}

void feed_actor::taken(std::uint64_t number) {
  auto i = unanswered_.find(number);
  if (i == unanswered_.end()) return;
  auto u = std::move(i->second);
  unanswered_.erase(i);
  feed_ack ack{u.sequence, 1};
  if (auto s = senders_.find(u.from); s != senders_.end()) {
    --s->second.queued;
    if (!std::exchange(s->second.knows_credit, true)) ack.credit = credit_;
  }
  for (auto& p : u.promises) {
    p.deliver(ack);
    ack.credit = 0; // granted once
  }
}

void feed_actor::end(const error& why) {
  over_ = why;
  for (auto& [number, u] : std::exchange(unanswered_, {}))
    for (auto& p : u.promises)
      p.deliver(to_caf(why));
  senders_.clear();
}

void feed_actor::on_exit() {
  const error why{errc::component_lost,
                  "the feed of actor source \"" + queue_->source() + "\" ended before feed_close and before the job",
                  "keep a handle of the feed until everything was sent, then send feed_close"};
  if (!over_ && !closed_) queue_->fail(why);
  if (!over_) end(why);
}

} // namespace dataflow::actors
