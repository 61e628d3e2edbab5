#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/actors/network/link_actor.hpp>
#include <dataflow/actors/network/transport.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

#include <utility>

namespace dataflow::actors {

namespace {

constexpr std::chrono::seconds hello_deadline{2};

std::string name_of(const link_arguments& a) {
  auto name = "the link from task manager " + a.own_id + " to " + a.peer.id;
  if (a.peer.data_port != 0) name += " at " + a.peer.host + ":" + std::to_string(a.peer.data_port);
  return name;
}

} // namespace

link_actor::link_actor(caf::actor_config& config, link_arguments arguments)
    : event_based_actor(config), arguments_(std::move(arguments)), name_(name_of(arguments_)),
      state_(arguments_.settings, arguments_.own_id < arguments_.peer.id, arguments_.seed), writer_(name_),
      reader_(name_), random_(arguments_.seed ^ 0x6c696e6b) {
  keep_exception_texts(*this);
  set_down_handler([this](const caf::down_msg& m) { down(m); });
}

caf::behavior link_actor::make_behavior() {
  return {
      [this](const use_link& m) { use(m); },
      [this](const send_element& m) {
        try {
          writer_.add(m.what);
          schedule_flush();
        } catch (...) {
          if (auto who = caf::actor_cast<caf::actor>(current_sender()))
            send<caf::message_priority::high>(who, link_broken{current_error(errc::internal)});
        }
      },
      [this](const send_credit& m) {
        writer_.add(m.what);
        schedule_flush();
      },
      [this](flush_link) {
        flush_pending_ = false;
        writer_.flush();
        flush();
      },
      [this](const link_frame& m) { received(m); },
      [this](const link_hello& m) {
        broke(lost("the other side has connected anew"));
        begin(m.epoch);
        // The answer goes first, frames behind it.
        auto answer = make_response_promise<link_welcome>();
        answer.deliver(link_welcome{m.epoch, caf::actor_cast<caf::actor>(this)});
        connected(m.link);
        return answer;
      },
      [this](const link_reset& m) {
        if (m.epoch == reader_.epoch()) broke(lost("the other side reads no more: " + m.why));
      },
      [this](const link_timer& m) {
        if (!armed_ || steady_time{m.at} != *armed_) return;
        armed_.reset();
        drive();
      },
  };
}

error link_actor::lost(std::string why) const {
  return error{errc::connection_failed, name_ + " broke: " + std::move(why),
               "the tasks that used it restart; the connection is made anew when they are there"};
}

/// What was sent to the task before it came here may have been lost already: the task was there, and is not new.
void link_actor::use(const use_link& m) {
  if (arguments_.directory->is_older(m.address, broke_at_)) {
    send<caf::message_priority::high>(m.task, link_broken{lost("it did so while the task was being deployed")});
    return;
  }
  if (users_.emplace(m.task.address(), m.task).second) monitor(m.task);
  state_.want(arguments_.time->now());
  drive();
}

/// Does what is due, and comes back when more will be.
void link_actor::drive() {
  const auto now = arguments_.time->now();
  if (state_.give_up(now)) {
    auto why = "it could not be made within " + std::to_string(arguments_.settings.patience.count()) + " ms";
    if (!last_failure_.empty()) why += ": " + last_failure_;
    fail_users(lost(std::move(why)));
  }
  if (state_.start_attempt(now)) attempt();
  const auto next = state_.next();
  if (!next || (armed_ && *armed_ <= *next)) return;
  armed_ = next;
  delayed_send(this, *next > now ? *next - now : steady_time{0}, link_timer{next->count()});
}

void link_actor::attempt() {
  const auto& peer = arguments_.peer;
  connect_to(
      *this, peer.host, peer.data_port,
      [this](const caf::actor& door) {
        const auto epoch = random_() | 1; // 0 is no epoch
        begin(epoch);
        request(
            door, hello_deadline,
            link_hello{link_version, arguments_.own_id, arguments_.peer.id, epoch, caf::actor_cast<caf::actor>(this)})
            .then(
                [this](const link_welcome& m) {
                  if (m.epoch == reader_.epoch() && m.link)
                    connected(m.link);
                  else
                    attempt_failed("it answered an earlier attempt");
                },
                [this](caf::error& e) { attempt_failed(from_caf(e, "it").cause()); });
      },
      [this](const error& e) { attempt_failed(e.cause()); });
}

void link_actor::attempt_failed(const std::string& why) {
  last_failure_ = why;
  log_info({"link", {}, {}}, name_ + ": an attempt failed: " + why);
  if (!peer_) reader_.end();
  state_.failed(arguments_.time->now());
  drive();
}

void link_actor::begin(std::uint64_t epoch) {
  writer_.begin(epoch);
  reader_.begin(epoch);
  stale_logged_ = false;
}

void link_actor::connected(const caf::actor& peer) {
  peer_ = peer;
  monitor(peer_);
  state_.connected();
  last_failure_.clear();
  arguments_.directory->counts.connections.fetch_add(1, std::memory_order_relaxed);
  log_info({"link", {}, {}}, name_ + " is up");
  writer_.flush();
  flush();
}

/// What comes in one go shares frames.
void link_actor::schedule_flush() {
  if (!peer_) return;
  flush(); // full frames need not wait
  if (!writer_.has_pending() || std::exchange(flush_pending_, true)) return;
  send(this, flush_link{});
}

void link_actor::flush() {
  if (!peer_) return;
  auto& counts = arguments_.directory->counts;
  for (auto& f : writer_.take()) {
    counts.frames_sent.fetch_add(1, std::memory_order_relaxed);
    counts.bytes_sent.fetch_add(f.size(), std::memory_order_relaxed);
    send(peer_, link_frame{std::move(f), {}});
  }
}

void link_actor::received(const link_frame& m) {
  auto& counts = arguments_.directory->counts;
  if (!m.whole.owner) return;
  try {
    items_.elements.clear();
    items_.credits.clear();
    if (reader_.receive(m.whole, items_)) {
      counts.frames_received.fetch_add(1, std::memory_order_relaxed);
      counts.bytes_received.fetch_add(m.whole.bytes.size(), std::memory_order_relaxed);
      return dispatch(items_);
    }
  } catch (const error& e) {
    const auto epoch = reader_.epoch();
    const auto other = peer_ ? peer_ : caf::actor_cast<caf::actor>(current_sender());
    if (other) send(other, link_reset{epoch, e.cause()});
    reader_.end();
    return broke(e);
  }
  counts.stale_frames.fetch_add(1, std::memory_order_relaxed);
  if (std::exchange(stale_logged_, true)) return;
  log_warn({"link", {}, {}}, name_ + ": a frame of an earlier connection was refused; further ones are only counted");
  if (auto other = caf::actor_cast<caf::actor>(current_sender()))
    send(other, link_reset{reader_.stale_epoch(), "that connection is over"});
}

void link_actor::dispatch(frame_reader::items& items) {
  auto deliver = [this](std::uint64_t to, auto&& message) {
    if (auto task = arguments_.directory->find(to))
      send(task, std::forward<decltype(message)>(message));
    else
      arguments_.directory->counts.unknown_tasks.fetch_add(1, std::memory_order_relaxed);
  };
  for (auto& e : items.elements)
    deliver(e.to, element_received{std::move(e)});
  for (auto& c : items.credits)
    deliver(c.to, channel_credit_grant{c.attempt, c.gate, c.channel, c.batches, c.bytes});
  items.elements.clear(); // they hold the frame
}

/// The connection is of no more use: who used it fails.
void link_actor::broke(const error& why) {
  if (!peer_) return;
  demonitor(peer_.address());
  peer_ = nullptr;
  reader_.end();
  state_.lost(arguments_.time->now());
  arguments_.directory->counts.broken.fetch_add(1, std::memory_order_relaxed);
  log_warn({"link", {}, {}}, why.cause());
  fail_users(why);
}

void link_actor::fail_users(const error& why) {
  writer_.clear();
  broke_at_ = arguments_.directory->tasks_so_far();
  for (auto& [address, task] : users_) {
    demonitor(address);
    send<caf::message_priority::high>(task, link_broken{why});
  }
  users_.clear();
}

void link_actor::down(const caf::down_msg& m) {
  if (peer_ && m.source == peer_.address()) {
    broke(lost("the other side " +
               std::string{m.reason == caf::exit_reason::user_shutdown ? "has ended" : "is out of reach"}));
    return;
  }
  if (users_.erase(m.source) > 0 && users_.empty()) state_.unwant();
}

void link_actor::on_exit() {
  fail_users(lost("its task manager is none any more"));
  peer_ = nullptr;
  items_ = {};
  arguments_.directory.reset();
  arguments_.alive.reset();
}

} // namespace dataflow::actors
