/// The queue behind asynchronous I/O: requests and, between them, the control elements that their results must not
/// overtake.
///
/// Threading: the task's own. Ownership: owns copies of the records until their results have gone on.
/// Source: Flink's OrderedStreamElementQueue and UnorderedStreamElementQueue.
#pragma once

#include <dataflow/exchange/element.hpp>
#include <dataflow/operators/async_result.hpp>
#include <dataflow/record/codec.hpp>
#include <dataflow/state/declared_state.hpp>
#include <dataflow/time/timestamp.hpp>

#include <deque>
#include <limits>
#include <optional>

namespace dataflow {

enum class request_status : std::uint8_t {
  unasked,  ///< restored; not asked yet
  asked,    ///< an answer is to come
  retrying, ///< waits for its next attempt
  answered, ///< its results wait for those before it
  emitted,  ///< gone on; its place is given up when those before it have gone
  control,  ///< no request: a control element
};

template <class I, class O>
struct async_request {
  request_status status = request_status::unasked;
  bool stamped = false, timed_out = false;
  std::uint32_t attempt = 0; // of the last call, from 1
  timestamp at = no_timestamp;
  std::optional<I> record;
  std::shared_ptr<detail::async_call<O>> call;
  std::vector<O> values;
  error failure;
  element control;
};

template <class I, class O>
class async_requests final : public declared_state {
public:
  using request = async_request<I, O>;

  bool empty() const noexcept { return queue_.empty(); }
  /// Requests whose results have not gone on.
  std::size_t open() const noexcept { return open_; }
  std::uint64_t begin() const noexcept { return first_; }
  std::uint64_t end() const noexcept { return first_ + queue_.size(); }
  /// Null when it is no longer there.
  request* find(std::uint64_t id) noexcept {
    return id < first_ || id >= end() ? nullptr : &queue_[static_cast<std::size_t>(id - first_)];
  }
  request& front() noexcept { return queue_.front(); }

  std::uint64_t add(I record, bool stamped, timestamp at) {
    auto& r = queue_.emplace_back();
    r.record.emplace(std::move(record));
    r.stamped = stamped;
    r.at = at;
    ++open_;
    return end() - 1;
  }
  /// Behind all requests so far. Of watermarks that follow each other the last one counts. REQUIRES: not empty.
  void add_control(element e) {
    auto& last = queue_.back();
    if (last.status == request_status::control && last.control.kind == element_kind::watermark &&
        e.kind == element_kind::watermark) {
      last.control = std::move(e);
      return;
    }
    auto& r = queue_.emplace_back();
    r.status = request_status::control;
    r.control = std::move(e);
    controls_.push_back(end() - 1);
  }
  /// The first control element: what is answered before it may go on in any order.
  std::uint64_t first_control() const noexcept {
    return controls_.empty() ? std::numeric_limits<std::uint64_t>::max() : controls_.front();
  }
  /// The results of a request have gone on: nothing of it is remembered.
  void emitted(request& r) noexcept {
    r.status = request_status::emitted;
    r.record.reset();
    r.call.reset();
    r.values = {};
    --open_;
  }
  /// REQUIRES: front() is emitted or a control element.
  void pop() noexcept {
    if (queue_.front().status == request_status::control) controls_.pop_front();
    queue_.pop_front();
    ++first_;
  }

  // declared_state: what has no results yet that went on, to be asked for again
  state_info info() const override {
    return {"unanswered requests", state_kind::list, "requests of " + to_string(codec<I>::describe())};
  }
  void snapshot(state_writer& out) const override {
    for (auto& r : queue_) {
      if (!r.record) continue;
      auto& bytes = out.part();
      bytes.fixed<std::uint8_t>(r.stamped);
      bytes.fixed<std::int64_t>(r.at.time_since_epoch().count());
      codec<I>::encode(*r.record, bytes);
    }
  }
  void restore(const state_part& part) override {
    byte_reader in{part.bytes};
    const bool stamped = in.fixed<std::uint8_t>() != 0;
    const timestamp at{std::chrono::milliseconds{in.fixed<std::int64_t>()}};
    I record{};
    codec<I>::decode(record, in);
    add(std::move(record), stamped, at);
  }

private:
  std::deque<request> queue_; // requests stay where they are while others come and go at the ends
  std::deque<std::uint64_t> controls_;
  std::uint64_t first_ = 0;
  std::size_t open_ = 0;
};

} // namespace dataflow
