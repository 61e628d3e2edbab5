/// async::ask: each record is a request to a user's actor, its answer is the result.
///
///   auto scores = async::ask<score>(clicks, scorer, 50ms);      // scorer: [](const click&) -> score { ... }
///   auto scores = async::ask(clicks, typed_scorer, 50ms);       // a typed actor says what it answers
///
/// The actor gets the record itself, as a request, so a record type of one's own must be a message:
/// CAF_ALLOW_UNSAFE_MESSAGE_TYPE(click), see docs/actors.md. At most options.capacity requests of a subtask are under
/// way. Results leave as they come (ask_ordered: in the order of the records) and never overtake a watermark; requests
/// without an answer are asked again after a restart, so an actor may get a record twice.
/// Threading: any thread builds; each subtask has an actor that asks for it. Ownership: the graph holds the actor.
/// Errors: invalid_argument at once for no actor, or one of another process. A request fails with timed_out,
/// component_lost (the actor has ended), invalid_argument (no handler, or one that answers something else) or the error
/// that the actor answered; retries and failures as in async_options.
/// Source: `ask` of Akka Streams; the requests are those of CAF.
#pragma once

#include <dataflow/actors/connectors/asked_actor.hpp>
#include <dataflow/actors/errors.hpp>
#include <dataflow/api/async.hpp>

#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/response_type.hpp>
#include <caf/send.hpp>

namespace dataflow::actors::detail {

/// operator -> its asker, INTERNAL: a record to ask for.
template <class I, class O>
struct ask_record {
  I record;
  async_result<O> result;
};

/// Asks on behalf of one subtask. Ends with it.
template <class I, class O>
class asker final : public caf::event_based_actor {
public:
  asker(caf::actor_config& config, caf::actor to, std::chrono::milliseconds timeout)
      : event_based_actor(config), to_(std::move(to)), timeout_(timeout) {
    keep_exception_texts(*this);
  }
  caf::behavior make_behavior() override {
    return {[this](ask_record<I, O>& m) {
      auto result = m.result;
      request(to_, timeout_, std::move(m.record))
          .then([result](O& answer) { result.complete_with(std::move(answer)); },
                [this, result](caf::error& e) { result.fail(failed_request(e, timeout_)); });
    }};
  }
  void on_exit() override { to_ = nullptr; }
  const char* name() const override { return "dataflow.ask"; }

private:
  caf::actor to_;
  const std::chrono::milliseconds timeout_;
};

/// The function of asynchronous I/O that asks an actor.
template <class I, class O>
struct ask_function {
  caf::actor to;
  std::chrono::milliseconds timeout;
  caf::actor asker = {};
  void open(runtime_context&) { asker = to.home_system().template spawn<detail::asker<I, O>>(to, timeout); }
  void close() {
    if (asker) caf::anon_send_exit(asker, caf::exit_reason::user_shutdown);
    asker = nullptr;
  }
  void operator()(const I& record, async_result<O> result) const {
    caf::anon_send(asker, ask_record<I, O>{record, std::move(result)});
  }
};

template <class O, class I>
data_stream<O> add_ask(const data_stream<I>& in, caf::actor to, std::chrono::milliseconds timeout,
                       async_options<I, O> options, bool ordered) {
  check_asked_actor(to);
  options.timeout = timeout;
  return dataflow::detail::add_async<I, O>(in, ask_function<I, O>{std::move(to), timeout}, std::move(options), ordered)
      .name("Ask");
}

/// What a typed actor answers to an I.
template <class Typed, class I>
using typed_answer = typename caf::response_type<typename Typed::signatures, I>::type;
template <class List>
struct single_answer;
template <class O>
struct single_answer<caf::detail::type_list<O>> {
  using type = O;
};
template <class Typed, class I>
using answer_of = typename single_answer<typed_answer<Typed, I>>::type;

} // namespace dataflow::actors::detail

namespace caf {
template <class I, class O>
struct allowed_unsafe_message_type<dataflow::actors::detail::ask_record<I, O>> : std::true_type {};
} // namespace caf

namespace dataflow::async {

/// `timeout`: for one answer; it takes the place of options.timeout.
template <class O, class I>
data_stream<O> ask(const data_stream<I>& in, caf::actor to, std::chrono::milliseconds timeout,
                   async_options<I, O> options = {}) {
  return actors::detail::add_ask<O>(in, std::move(to), timeout, std::move(options), false);
}
template <class O, class I>
data_stream<O> ask_ordered(const data_stream<I>& in, caf::actor to, std::chrono::milliseconds timeout,
                           async_options<I, O> options = {}) {
  return actors::detail::add_ask<O>(in, std::move(to), timeout, std::move(options), true);
}
/// Typed actors say what they answer.
template <class I, class Typed, class O = actors::detail::answer_of<Typed, I>>
data_stream<O> ask(const data_stream<I>& in, const Typed& to, std::chrono::milliseconds timeout,
                   async_options<I, O> options = {}) {
  return actors::detail::add_ask<O>(in, caf::actor_cast<caf::actor>(to), timeout, std::move(options), false);
}
template <class I, class Typed, class O = actors::detail::answer_of<Typed, I>>
data_stream<O> ask_ordered(const data_stream<I>& in, const Typed& to, std::chrono::milliseconds timeout,
                           async_options<I, O> options = {}) {
  return actors::detail::add_ask<O>(in, caf::actor_cast<caf::actor>(to), timeout, std::move(options), true);
}

} // namespace dataflow::async
