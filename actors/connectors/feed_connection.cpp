#include <dataflow/actors/connectors/feed_connection.hpp>
#include <dataflow/actors/interfaces.hpp>

#include <caf/send.hpp>

namespace dataflow::actors::detail {

namespace {

class feed_enumerator final : public split_enumerator {
public:
  void start(enumerator_context&) override {}
  void split_requested(enumerator_context&, std::uint32_t) override {}
  void splits_returned(enumerator_context&, std::uint32_t, std::vector<source_split>) override {}
  std::string snapshot(std::uint64_t) override { return {}; }
};

template <class Message>
void tell(const caf::weak_actor_ptr& feed, Message m) {
  if (auto strong = feed.lock()) caf::anon_send(caf::actor_cast<caf::actor>(strong), std::move(m));
}

} // namespace

std::unique_ptr<split_enumerator> make_feed_enumerator() { return std::make_unique<feed_enumerator>(); }

std::shared_ptr<feed_queue> make_feed_queue(const std::string& name, const actor_source_options& options) {
  if (options.credit == 0)
    throw error{errc::invalid_argument, "actor source \"" + name + "\" has a credit of 0: nobody could send",
                "let each sender have at least one message under way"};
  return std::make_shared<feed_queue>(name);
}

feed_connection::feed_connection(std::shared_ptr<feed_queue> queue, const caf::actor& feed)
    : queue_(std::move(queue)), feed_(caf::actor_cast<caf::weak_actor_ptr>(feed)) {
  queue_->on_taken([to = feed_](std::vector<std::uint64_t> numbers) { tell(to, feed_taken{std::move(numbers)}); });
}

feed_connection::~feed_connection() { end("its pipeline was dropped without being run"); }

void feed_connection::job_submitted(const std::string& id, const std::string& name) {
  queue_->bind(id, name);
  std::lock_guard lock{mutex_};
  job_ = "job \"" + name + "\" (" + id + ")";
}

void feed_connection::job_ended(const error& failure) noexcept {
  std::string job;
  {
    std::lock_guard lock{mutex_};
    job = job_;
  }
  end(failure ? job + " has ended: " + failure.to_string() : job + " has finished");
}

void feed_connection::end(const std::string& why) noexcept {
  {
    std::lock_guard lock{mutex_};
    if (std::exchange(ended_, true)) return;
  }
  queue_->end();
  tell(feed_,
       feed_over{{errc::feed_closed, "the feed of actor source \"" + queue_->source() + "\" takes nothing more: " + why,
                  "send what was not acknowledged to the actor source of a new job"}});
}

} // namespace dataflow::actors::detail
