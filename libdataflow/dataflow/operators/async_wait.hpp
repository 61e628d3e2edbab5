/// Asynchronous I/O: the operator that asks, waits without a thread, and puts the answers out.
///
/// The function is called on the task's thread with a record and a result handle, and returns at once; the handle is
/// answered from any thread. The record stays where it is until then, but is the task's: copy what another thread
/// needs. Ordered: results leave in the order of their records. Unordered: in the order of the answers, but never
/// across a watermark. Results carry their record's timestamp. Requests whose results have not gone on are state: they
/// are asked again after a restart. The end of the input waits for all; a cancel waits for none. Retries and timeouts
/// run in processing time, by operator_context::wake_at(). Threading: the task's own, but for the handles. Errors:
/// errc::timed_out, or what the function failed with. Source: Flink's AsyncWaitOperator, AsyncFunction and
/// RichAsyncFunction.
#pragma once

#include <dataflow/operators/async_options.hpp>
#include <dataflow/operators/async_requests.hpp>
#include <dataflow/operators/collector.hpp>
#include <dataflow/operators/record_loop.hpp>
#include <dataflow/operators/side_collectors.hpp>
#include <dataflow/state/last_watermark.hpp>
#include <dataflow/util/clock.hpp>

#include <functional>
#include <optional>
#include <queue>
#include <tuple>

namespace dataflow {

template <class I, class O, class F>
class async_wait_operator final : public stream_operator {
public:
  async_wait_operator(F f, async_settings settings, async_options<I, O> options)
      : f_(std::move(f)), settings_(settings), options_(std::move(options)) {}
  ~async_wait_operator() override {
    if (mailbox_) mailbox_->close();
  }

  void open(operator_context& context) override {
    stream_operator::open(context);
    mailbox_ = std::make_shared<detail::async_mailbox<O>>(context.wake_up());
    out_.emplace(context, context.output());
    sides_.emplace(context);
    context.states().declare(requests_);
    context.states().declare(held_watermark_);
    restored_ = requests_.end();
    if (!requests_.empty() && held_watermark_.value() != min_timestamp)
      requests_.add_control(element::watermark(held_watermark_.value()));
    open_function(f_, context);
    ask_restored();
    arm();
  }
  void close() noexcept override {
    if (mailbox_) mailbox_->close();
    close_function(f_);
  }

  void process(unsigned, batch_slice& slice) override {
    mailbox_->attend();
    auto& in = slice.data.as<I>();
    const bool owned = slice.data.unique(), stamped = in.has_timestamps();
    while (slice.cursor < slice.limit) {
      if (full()) {
        drain();
        if (full()) {
          context().wait_for_wake_up();
          break;
        }
        mailbox_->attend();
      }
      I& record = in.records[slice.cursor];
      ask(requests_.add(owned ? I(std::move(record)) : I(record), stamped,
                        stamped ? in.timestamps[slice.cursor] : no_timestamp));
      ++slice.cursor;
      if (context().pause_requested()) break;
    }
    finish_call();
  }

  void on_wake_up() override { finish_call(); }

  progress advance_processing_time(std::chrono::milliseconds now) override {
    mailbox_->attend();
    armed_ = never;
    while (!retries_.empty() && retries_.top().at <= now) {
      const auto due = retries_.top();
      retries_.pop();
      if (auto* r = requests_.find(due.request); r && r->status == request_status::retrying) ask(due.request);
    }
    while (!deadlines_.empty() && (over(deadlines_.front()) || deadlines_.front().at <= now)) {
      const auto due = deadlines_.front();
      deadlines_.pop_front();
      if (!over(due)) time_out(due.request);
    }
    finish_call();
    return progress::done;
  }

  progress advance_watermark(timestamp t) override {
    if (requests_.empty()) return stream_operator::advance_watermark(t);
    held_watermark_.set(t);
    requests_.add_control(element::watermark(t));
    return progress::done;
  }
  void change_status(bool idle) override {
    if (requests_.empty()) return stream_operator::change_status(idle);
    requests_.add_control(element::control(idle ? element_kind::idle : element_kind::active));
  }
  void pass_control(element e) override {
    if (requests_.empty()) return stream_operator::pass_control(std::move(e));
    requests_.add_control(std::move(e));
  }
  progress finish() override {
    if (requests_.empty()) return progress::done;
    context().wait_for_wake_up();
    return progress::yielded;
  }

private:
  struct due_time {
    std::chrono::milliseconds at;
    std::uint64_t request;
    bool operator>(const due_time& o) const noexcept { return std::pair{at, request} > std::pair{o.at, o.request}; }
  };
  static constexpr auto never = std::chrono::milliseconds::max();

  bool full() const noexcept { return next_restored_ < restored_ || requests_.open() >= settings_.capacity; }
  bool over(const due_time& d) noexcept {
    auto* r = requests_.find(d.request);
    return !r || r->status == request_status::answered || r->status == request_status::emitted;
  }

  void ask_restored() {
    // All of them are open already; what counts is how many of them wait for an answer.
    while (next_restored_ < restored_ && next_restored_ - requests_.begin() < settings_.capacity)
      ask(next_restored_++);
  }

  void ask(std::uint64_t id) {
    auto& r = *requests_.find(id);
    if (r.attempt == 0) {
      const auto at = context().clock().wall();
      deadlines_.push_back({at > never - settings_.timeout ? never : at + settings_.timeout, id});
    }
    r.status = request_status::asked;
    r.call = std::make_shared<detail::async_call<O>>(mailbox_, id, ++r.attempt);
    call(r, [&](async_result<O> result) { f_(std::as_const(*r.record), std::move(result)); });
  }
  template <class Call>
  void call(async_request<I, O>& r, Call&& f) {
    async_result<O> result{r.call};
    try {
      f(result);
    } catch (...) {
      result.fail(current_error());
    }
  }

  /// The deadline has come. An answer that is on its way still counts.
  void time_out(std::uint64_t id) {
    auto& r = *requests_.find(id);
    if (r.status == request_status::asked && !r.call->claim()) return;
    auto failure = detail::async_timeout(settings_.timeout, r.attempt);
    if constexpr (requires(F & f, const I& i, async_result<O> o) { f.timeout(i, o); }) {
      if (!r.timed_out) { // the handler may take as long again
        r.timed_out = true;
        r.status = request_status::asked;
        r.call = std::make_shared<detail::async_call<O>>(mailbox_, id, ++r.attempt);
        deadlines_.push_back({context().clock().wall() + settings_.timeout, id});
        return call(r, [&](async_result<O> result) { f_.timeout(std::as_const(*r.record), std::move(result)); });
      }
    }
    fail(id, r, std::move(failure));
  }

  /// Takes the answers that have come, puts out what may go on, and asks for the next wake-up.
  void finish_call() {
    drain();
    ask_restored();
    flush();
    arm();
  }
  void drain() {
    std::vector<detail::async_answer<O>> answers;
    mailbox_->take(answers);
    for (auto& a : answers)
      take(a);
    put_out();
  }

  void take(detail::async_answer<O>& a) {
    auto* r = requests_.find(a.request);
    if (!r || r->status != request_status::asked || r->attempt != a.attempt) return; // of an earlier attempt
    const bool failed = static_cast<bool>(a.failure);
    if (!r->timed_out && r->attempt <= settings_.retry.retries() &&
        (failed ? !options_.retry_on_error || options_.retry_on_error(a.failure)
                : options_.retry_on_result && options_.retry_on_result(a.values))) {
      r->status = request_status::retrying;
      retries_.push({context().clock().wall() + settings_.retry.delay(r->attempt), a.request});
      return;
    }
    if (failed) return fail(a.request, *r, std::move(a.failure));
    r->values = std::move(a.values);
    answered(a.request, *r);
  }
  void fail(std::uint64_t id, async_request<I, O>& r, error failure) {
    const auto policy = context().on_record_error().action;
    if (!options_.failures && (policy == record_error_policy::kind::fail || policy == record_error_policy::kind::retry))
      throw failure;
    r.failure = std::move(failure);
    answered(id, r);
  }
  void answered(std::uint64_t id, async_request<I, O>& r) {
    r.status = request_status::answered;
    r.call.reset();
    if (!settings_.ordered && id < requests_.first_control()) emit_results(r);
  }

  /// From the front: what is complete leaves, and the control elements that nothing stands before any more.
  void put_out() {
    while (!requests_.empty()) {
      auto& r = requests_.front();
      if (r.status == request_status::control) {
        flush();
        if (r.control.kind == element_kind::watermark && r.control.time() == held_watermark_.value())
          held_watermark_.set(min_timestamp);
        context().output().emit_control(r.control);
        requests_.pop();
        if (!settings_.ordered) put_out_segment();
        continue;
      }
      if (r.status == request_status::answered) emit_results(r);
      if (r.status != request_status::emitted) return;
      requests_.pop();
    }
  }
  /// Unordered: what was answered behind a control element that has just gone.
  void put_out_segment() {
    const auto end = std::min(requests_.first_control(), requests_.end());
    for (auto id = requests_.begin(); id < end; ++id)
      if (auto& r = *requests_.find(id); r.status == request_status::answered) emit_results(r);
  }

  void emit_results(async_request<I, O>& r) {
    if (r.stamped != stamped_) { // a batch has timestamps for all of its records, or for none
      flush();
      stamped_ = r.stamped;
    }
    if (r.stamped)
      out_->set_timestamp(r.at);
    else
      out_->clear_timestamp();
    sides_->set_timestamp(r.stamped, r.at);
    if (r.failure)
      emit_failure(r);
    else
      for (auto& v : r.values)
        out_->collect(std::move(v));
    requests_.emitted(r);
  }
  void emit_failure(async_request<I, O>& r) {
    if (options_.failures) return sides_->collect(*options_.failures, {std::move(*r.record), r.failure.to_string()});
    try {
      throw r.failure;
    } catch (...) {
      handle_record_error(
          context(), [] { throw; },
          [&](std::uint64_t tag) { divert_record(context(), tag, *r.record, r.at, r.stamped); });
    }
  }
  void flush() {
    out_->flush();
    sides_->flush();
  }
  void arm() {
    while (!deadlines_.empty() && over(deadlines_.front()))
      deadlines_.pop_front();
    auto next = deadlines_.empty() ? never : deadlines_.front().at;
    if (!retries_.empty()) next = std::min(next, retries_.top().at);
    if (next >= armed_) return;
    armed_ = next;
    context().wake_at(next);
  }

  F f_;
  const async_settings settings_;
  const async_options<I, O> options_;
  async_requests<I, O> requests_;
  last_watermark held_watermark_{"held watermark"}; // in the queue; min_timestamp: none
  std::shared_ptr<detail::async_mailbox<O>> mailbox_;
  std::optional<collector<O>> out_;
  std::optional<side_collectors> sides_;
  std::uint64_t next_restored_ = 0, restored_ = 0; // restored requests from here on are not asked yet
  std::deque<due_time> deadlines_;                 // in the order of time
  std::priority_queue<due_time, std::vector<due_time>, std::greater<>> retries_;
  std::chrono::milliseconds armed_ = never; // when the next call was asked for
  bool stamped_ = false;
};

} // namespace dataflow
