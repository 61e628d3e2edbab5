#include <dataflow/actors/connectors/actor_sink.hpp>
#include <dataflow/actors/errors.hpp>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

namespace dataflow::actors::detail {

namespace {

constexpr std::string_view advice = "keep the actor of a sink alive until its jobs have ended";

/// Passes batches on and watches the user's actor, on behalf of one sink operator. Ends with it.
class sink_courier final : public caf::event_based_actor {
public:
  sink_courier(caf::actor_config& config, caf::actor to, std::chrono::milliseconds timeout,
               std::shared_ptr<sink_line::state> state)
      : event_based_actor(config), to_(std::move(to)), timeout_(timeout), state_(std::move(state)) {
    keep_exception_texts(*this);
    set_down_handler([this](caf::down_msg& m) { lost(m.reason); });
    monitor(to_);
  }
  caf::behavior make_behavior() override {
    return {[this](deliver_batch& m) {
      const auto patience = timeout_.count() > 0 ? caf::duration{timeout_} : caf::duration{caf::infinite};
      request(to_, patience, std::move(m.batch)).then([this] { answered(); }, [this](caf::error& e) { refused(e); });
    }};
  }
  void on_exit() override {
    to_ = nullptr;
    state_.reset();
  }
  const char* name() const override { return "dataflow.sink"; }

private:
  void answered() {
    std::function<void()> wake;
    {
      std::lock_guard lock{state_->mutex};
      ++state_->answered;
      wake = state_->wake_up;
    }
    if (wake) wake();
  }
  void lost(const caf::error& reason) {
    if (!reason || reason == caf::exit_reason::normal)
      return fail({errc::component_lost, "the actor of the sink ended before the stream did", std::string{advice}});
    const auto why = from_caf(reason, "the actor of the sink");
    fail({errc::component_lost,
          why.code() == errc::component_lost ? why.cause() : "the actor of the sink ended: " + why.to_string(),
          std::string{advice}});
  }
  void refused(const caf::error& e) {
    if (e == caf::sec::request_receiver_down) return; // its reason comes with the down message
    if (e == caf::sec::request_timeout)
      return fail({errc::timed_out,
                   "the actor of the sink did not answer within " + std::to_string(timeout_.count()) + " ms",
                   "answer each sink_batch, or set actor_sink_options::timeout"});
    if (e == caf::sec::unexpected_message)
      return fail({errc::invalid_argument, "the actor of the sink has no handler for its sink_batch",
                   "handle sink_batch<T> of the sink's record type"});
    if (e == caf::sec::unexpected_response)
      return fail({errc::invalid_argument, "the actor of the sink answered a sink_batch with a value",
                   "let its handler return nothing"});
    const auto why = from_caf(e, "the actor of the sink");
    fail({why.code(), "the actor of the sink answered with an error: " + why.cause(), why.advice()});
  }
  void fail(error why) {
    std::function<void()> wake;
    {
      std::lock_guard lock{state_->mutex};
      if (state_->failure) return;
      state_->failure = std::move(why);
      wake = state_->wake_up;
    }
    if (wake) wake();
  }

  caf::actor to_;
  const std::chrono::milliseconds timeout_;
  std::shared_ptr<sink_line::state> state_;
};

} // namespace

void check_actor_sink(const caf::actor& to, const actor_sink_options& options) {
  if (!to) throw error{errc::invalid_argument, "an actor sink needs an actor"};
  if (to.node() != to.home_system().node())
    throw error{errc::invalid_argument, "the actor of a sink must be one of this process",
                "send to an actor of one's own that passes the records on"};
  if (options.credit == 0)
    throw error{errc::invalid_argument, "an actor sink with a credit of 0 could send nothing",
                "allow at least one unanswered message"};
}

void sink_line::open(std::function<void()> wake_up) {
  state_ = std::make_shared<state>();
  state_->wake_up = std::move(wake_up);
  courier_ = to_.home_system().spawn<sink_courier>(to_, options_.timeout, state_);
}

void sink_line::close() noexcept {
  if (!courier_) return;
  caf::anon_send_exit(courier_, caf::exit_reason::user_shutdown);
  courier_ = nullptr;
}

void sink_line::check() const {
  std::lock_guard lock{state_->mutex};
  if (state_->failure) throw state_->failure;
}

bool sink_line::has_credit() const {
  std::lock_guard lock{state_->mutex};
  return sent_ - state_->answered < options_.credit;
}

bool sink_line::all_answered() const {
  std::lock_guard lock{state_->mutex};
  return state_->answered == sent_;
}

void sink_line::send(caf::message batch) {
  ++sent_;
  caf::anon_send(courier_, deliver_batch{std::move(batch)});
}

} // namespace dataflow::actors::detail
