/// Actors of a user and a pipeline, for the tests of actor sources and sinks.
#pragma once

#include <dataflow/actors/actors.hpp>

#include <caf/all.hpp>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <tests/actors/test_cluster.hpp>

namespace dataflow::test {

using numbers = std::vector<std::int64_t>;

/// The records from..to, both included.
inline numbers range(std::int64_t from, std::int64_t to) {
  numbers all;
  for (auto i = from; i <= to; ++i)
    all.push_back(i);
  return all;
}

/// A list that a sink fills and a test waits for.
class kept_records {
public:
  void add(std::int64_t n) {
    std::lock_guard lock{mutex_};
    records_.push_back(n);
    changed_.notify_all();
  }
  void wait_for(std::size_t size) {
    std::unique_lock lock{mutex_};
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds{90}, [&] { return records_.size() >= size; }));
  }
  numbers all() const {
    std::lock_guard lock{mutex_};
    return records_;
  }
  numbers sorted() const {
    auto r = all();
    std::sort(r.begin(), r.end());
    return r;
  }

private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  numbers records_;
};

/// What a user's actor was sent, and what it has not answered yet.
struct receiver_state {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<actors::sink_batch<std::int64_t>> messages;
  std::size_t unanswered = 0, most_unanswered = 0;
  bool answers = true;

  void wait_for(std::size_t size) {
    std::unique_lock lock{mutex};
    REQUIRE(changed.wait_for(lock, std::chrono::seconds{90}, [&] { return messages.size() >= size; }));
  }
  numbers records() {
    std::lock_guard lock{mutex};
    numbers all;
    for (auto& m : messages)
      all.insert(all.end(), m.records.begin(), m.records.end());
    return all;
  }
};

struct answer_now {
  bool all = false; ///< from now on each at once
};

struct leave_now {};

/// A user's actor: keeps what comes, answers at once or when it is told.
class receiver final : public caf::event_based_actor {
public:
  receiver(caf::actor_config& config, std::shared_ptr<receiver_state> state)
      : event_based_actor(config), state_(std::move(state)) {}
  caf::behavior make_behavior() override {
    return {
        [this](actors::sink_batch<std::int64_t>& m) -> caf::response_promise {
          auto promise = make_response_promise();
          {
            std::lock_guard lock{state_->mutex};
            state_->messages.push_back(std::move(m));
            state_->most_unanswered = std::max(state_->most_unanswered, ++state_->unanswered);
            state_->changed.notify_all();
          }
          open_.push_back(promise);
          if (state_->answers) answer();
          return promise;
        },
        [this](const answer_now& m) {
          state_->answers = m.all;
          while (!open_.empty()) {
            answer();
            if (!m.all) break;
          }
        },
        [this](leave_now) { quit(); },
    };
  }
  void on_exit() override { open_.clear(); }

private:
  void answer() {
    {
      std::lock_guard lock{state_->mutex};
      --state_->unanswered;
    }
    open_.front().deliver(caf::unit);
    open_.pop_front();
  }
  std::shared_ptr<receiver_state> state_;
  std::deque<caf::response_promise> open_;
};

/// A cluster in a system of its own, an environment that runs there, and somebody who sends.
struct actor_io {
  explicit actor_io(configuration settings = {})
      : cluster(std::make_shared<actors::embedded_cluster>(std::move(settings))), self(cluster->system()) {}

  caf::actor spawn_receiver(const std::shared_ptr<receiver_state>& state) {
    return cluster->system().spawn<receiver>(state);
  }
  /// The answer: an ack or an error.
  struct answer {
    actors::feed_ack ack;
    error failure;
  };
  template <class Message>
  auto request(const caf::actor& feed, Message m) {
    return self->request(feed, std::chrono::seconds{90}, std::move(m));
  }
  template <class Handle>
  answer answer_of(Handle&& handle) {
    answer a;
    handle.receive([&](actors::feed_ack ack) { a.ack = ack; },
                   [&](caf::error& e) { a.failure = actors::from_caf(e, "the feed"); });
    return a;
  }
  answer ask(const caf::actor& feed, std::uint64_t sequence, numbers records) {
    return answer_of(request(feed, actors::feed_batch<std::int64_t>{sequence, std::move(records)}));
  }
  error close(const caf::actor& feed) {
    error failure;
    request(feed, actors::feed_close{})
        .receive([] {}, [&](caf::error& e) { failure = actors::from_caf(e, "the feed"); });
    return failure;
  }

  std::shared_ptr<actors::embedded_cluster> cluster;
  environment env;
  caf::scoped_actor self;
};

inline bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

} // namespace dataflow::test

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::test::answer_now)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::test::leave_now)
