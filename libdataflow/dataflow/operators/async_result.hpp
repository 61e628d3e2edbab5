/// async_result: how a function of asynchronous I/O answers, from any thread, now or later.
///
/// The first answer counts; later ones, and those that come after the task has ended, are ignored.
/// Threading: copies may be used from any thread at any time. Ownership: shared with the operator; it may outlive it.
#pragma once

#include <dataflow/util/error.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace dataflow {

namespace detail {

template <class O>
struct async_answer {
  std::uint64_t request = 0;
  std::uint32_t attempt = 0;
  std::vector<O> values;
  error failure; ///< errc::none: values count
};

/// Where answers wait for the task. Its methods may be called from any thread.
template <class O>
class async_mailbox {
public:
  /// wake: makes the task look here soon; safe from any thread, also after the task is gone.
  explicit async_mailbox(std::function<void()> wake) : wake_(std::move(wake)) {}
  void put(async_answer<O> a) {
    {
      std::lock_guard lock{mutex_};
      if (closed_) return;
      const bool wanted = answers_.empty() && !attended_;
      answers_.push_back(std::move(a));
      if (!wanted) return;
    }
    wake_();
  }
  /// The task is at work and will call take() before it leaves: nobody needs to wake it.
  void attend() {
    std::lock_guard lock{mutex_};
    attended_ = true;
  }
  /// REQUIRES: `into` is empty.
  void take(std::vector<async_answer<O>>& into) {
    std::lock_guard lock{mutex_};
    attended_ = false;
    into.swap(answers_);
  }
  void close() {
    std::vector<async_answer<O>> dropped;
    std::lock_guard lock{mutex_};
    closed_ = true;
    dropped.swap(answers_);
  }

private:
  std::function<void()> wake_;
  std::mutex mutex_; // guards what follows
  std::vector<async_answer<O>> answers_;
  bool attended_ = false, closed_ = false;
};

/// One call of the user's function.
template <class O>
struct async_call {
  std::shared_ptr<async_mailbox<O>> mailbox;
  std::uint64_t request = 0;
  std::uint32_t attempt = 0;
  std::atomic<bool> answered{false};

  async_call(std::shared_ptr<async_mailbox<O>> m, std::uint64_t r, std::uint32_t a) noexcept
      : mailbox(std::move(m)), request(r), attempt(a) {}
  /// Whether the caller is the first.
  bool claim() noexcept { return !answered.exchange(true, std::memory_order_acq_rel); }
};

} // namespace detail

template <class O>
class async_result {
public:
  using value_type = O;

  /// Any number of results; none is an answer, too.
  void complete(std::vector<O> values) const {
    if (call_->claim()) call_->mailbox->put({call_->request, call_->attempt, std::move(values), {}});
  }
  /// One result.
  void complete_with(O value) const {
    std::vector<O> values;
    values.push_back(std::move(value));
    complete(std::move(values));
  }
  void fail(error e) const {
    if (!e) e = error{errc::user_function_failed, "an asynchronous request failed without saying why"};
    if (call_->claim()) call_->mailbox->put({call_->request, call_->attempt, {}, std::move(e)});
  }
  void fail(std::string cause) const { fail(error{errc::user_function_failed, std::move(cause)}); }
  /// Answered, or given up after its timeout: a function may stop working on it.
  bool done() const noexcept { return call_->answered.load(std::memory_order_acquire); }

  // The engine's side.
  explicit async_result(std::shared_ptr<detail::async_call<O>> call) noexcept : call_(std::move(call)) {}

private:
  std::shared_ptr<detail::async_call<O>> call_;
};

} // namespace dataflow
