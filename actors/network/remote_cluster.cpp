#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/client/watched_job.hpp>
#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/actors/network/content_hash.hpp>
#include <dataflow/actors/network/guarded_connection.hpp>
#include <dataflow/actors/network/random_id.hpp>
#include <dataflow/actors/network/remote_cluster.hpp>
#include <dataflow/actors/network/transport.hpp>
#include <dataflow/actors/network/wire.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/platform.hpp>
#include <dataflow/util/random.hpp>

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include <algorithm>
#include <charconv>
#include <future>
#include <mutex>
#include <utility>
#include <variant>

namespace dataflow::actors {

namespace {

constexpr std::chrono::milliseconds shortest_pause{100}, longest_pause{2000};
constexpr std::chrono::seconds answer_deadline{30}, longest_silence{10};

struct client_config : caf::actor_system_config {
  explicit client_config(const tls_files& tls) {
    configure(*this, 1);
    add_wire_types(*this);
    use_network(*this, longest_silence);
    if (tls.enabled()) use_tls(*this, tls);
  }
};

/// What a promise brings, also where somebody has to step those that keep it.
template <class T>
T waited_for(std::future<T>& future, const node_ground& ground) {
  const auto ready = [&] { return future.wait_for(std::chrono::seconds{0}) == std::future_status::ready; };
  if (ground.run_until && !ground.run_until(ready, std::chrono::hours{24}))
    throw error{errc::component_lost, "nothing happens any more, and no answer has come"};
  return future.get();
}

/// One question to an actor in another process: ends also when that process does, of which a request alone would not
/// hear.
template <class Answer, class Question>
Answer ask(caf::actor_system& system, const caf::actor& whom, Question question, std::chrono::milliseconds deadline,
           const std::string& subject, const node_ground& ground) {
  // An error is a value here: who drops an exception last is counted by libstdc++ alone, unseen by the thread
  // sanitizer.
  struct slot {
    std::promise<std::variant<Answer, error>> promise;
    bool done = false;
  };
  auto answered = std::make_shared<slot>();
  auto future = answered->promise.get_future();
  system.spawn([=](caf::event_based_actor* self) {
    const auto fail = [=](const caf::error& e) {
      if (std::exchange(answered->done, true)) return;
      answered->promise.set_value(from_caf(e, subject));
      self->quit();
    };
    self->monitor(whom);
    self->set_down_handler([=](const caf::down_msg& m) { fail(m.reason); });
    const auto deliver = [=](Answer& answer) {
      if (std::exchange(answered->done, true)) return;
      answered->promise.set_value(std::move(answer));
      self->quit();
    };
    const auto late = [=](caf::error& e) {
      if (e == caf::sec::request_timeout) return fail(to_caf(error{errc::timed_out, subject + " did not answer"}));
      fail(e);
    };
    if constexpr (std::is_same_v<Answer, caf::unit_t>)
      self->request<caf::message_priority::high>(whom, deadline, question)
          .then(
              [=]() mutable {
                auto unit = caf::unit;
                deliver(unit);
              },
              late);
    else
      self->request<caf::message_priority::high>(whom, deadline, question).then(deliver, late);
    return caf::behavior{[](attach_client) {}}; // waits for the answer only
  });
  auto brought = waited_for(future, ground);
  if (auto* e = std::get_if<error>(&brought)) throw std::move(*e);
  return std::get<Answer>(std::move(brought));
}

} // namespace

struct remote_cluster::impl {
  explicit impl(const tls_files& tls) : config(tls) {}

  remote_address where;
  std::function<remote_address()> leader;
  std::chrono::milliseconds patience{0};
  node_ground ground;
  client_config config;
  std::unique_ptr<caf::actor_system> system;
  std::mutex mutex;
  caf::actor gateway;
  welcome met;
  std::function<void(const std::string&)> waiting;
  std::uint64_t ids_drawn = 0;

  ~impl() {
    gateway = nullptr;
    met = {};
    if (system && ground.stepped()) system->await_actors_before_shutdown(false); // whoever steps them sees to it
    system.reset();                                                              // what its actors use is still there
  }
  std::uint64_t next_id() {
    std::lock_guard lock{mutex};
    return random_source{ground.seed() + ids_drawn++}();
  }
  void connect_once() {
    if (leader) where = leader();
    auto found = std::make_shared<std::promise<std::variant<caf::actor, error>>>(); // see ask()
    system->spawn([found, this](caf::event_based_actor* self) {
      const auto failed = [found, this, self](const error& e) {
        found->set_value(error{errc::component_lost,
                               "no job manager can be reached at " + where.to_string() + " (" + e.cause() + ")",
                               "start one with `dataflow jobmanager`, or name another with -m host:port"});
        self->quit();
      };
      connect_to(
          *self, where.host, where.port,
          [found, self](const caf::actor& who) {
            found->set_value(who);
            self->quit();
          },
          failed);
      return caf::behavior{[](attach_client) {}};
    });
    auto future = found->get_future();
    auto found_or_not = waited_for(future, ground);
    if (auto* e = std::get_if<error>(&found_or_not)) throw std::move(*e);
    auto who = std::get<caf::actor>(std::move(found_or_not));
    auto answer =
        ask<welcome>(*system, who, hello{process_stamp(), {}, {}}, answer_deadline, "the job manager", ground);
    std::lock_guard lock{mutex};
    gateway = std::move(who);
    met = std::move(answer);
  }
  template <class Answer, class Question>
  Answer ask_root(Question question, std::chrono::milliseconds deadline = answer_deadline) {
    return ask<Answer>(*system, root(), std::move(question), deadline, "the job manager at " + where.to_string(),
                       ground);
  }
  job_accepted ask_gateway(submit_origin question) {
    caf::actor whom;
    {
      std::lock_guard lock{mutex};
      whom = gateway;
    }
    return ask<job_accepted>(*system, whom, std::move(question), std::chrono::minutes{3},
                             "the job manager at " + where.to_string(), ground);
  }
  caf::actor root() {
    std::lock_guard lock{mutex};
    return met.job_manager;
  }
  void say_waiting(const std::string& what) {
    std::lock_guard lock{mutex};
    if (waiting && !what.empty()) waiting(what);
  }
};

namespace {

/// client actor -> itself, INTERNAL, delayed.
struct attach_again {};

} // namespace
} // namespace dataflow::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::actors::attach_again)

namespace dataflow::actors {
namespace {

struct job_listener_settings {
  std::string id;
  remote_address where;
  std::function<remote_address()> leader; ///< null: always there
  std::chrono::milliseconds patience;
  const clock* time;
  std::shared_ptr<job_state> state;
  std::function<void(const std::string&)> waiting;
  std::function<void(const welcome&, const caf::actor&)> reconnected;
};

/// Takes the news of a job, and finds it again when the connection was lost.
class job_listener_actor final : public caf::event_based_actor {
public:
  job_listener_actor(caf::actor_config& config, job_listener_settings settings)
      : event_based_actor(config), settings_(std::move(settings)) {
    keep_exception_texts(*this);
    set_down_handler([this](caf::down_msg& m) {
      if (root_ && m.source == root_.address())
        lost();
      else if (m.source == gateway_)
        later(error{errc::component_lost, "the job manager is gone"});
    });
  }
  caf::behavior make_behavior() override {
    return {
        [this](const welcome& m) { follow(m.job_manager); },
        [this](const job_update& m) {
          settings_.state->update(m.status);
          settings_.waiting(m.waits_for);
        },
        [this](const job_ended& m) { end(m.result); },
        [this](attach_again) { connect(); },
    };
  }
  const char* name() const override { return "dataflow.job-listener"; }

private:
  void follow(const caf::actor& root) {
    if (root_) demonitor(root_);
    root_ = root;
    monitor(root_);
  }
  void lost() {
    root_ = nullptr;
    if (since_ == steady_time{-1}) since_ = settings_.time->now();
    connect();
  }
  void connect() {
    const auto round = ++round_;
    if (settings_.leader) {
      try {
        settings_.where = settings_.leader();
      } catch (...) {
        return later(current_error(errc::internal));
      }
    }
    connect_to(
        *this, settings_.where.host, settings_.where.port,
        [this, round](const caf::actor& gateway) {
          if (round == round_) greet(gateway);
        },
        [this, round](const error&) {
          if (round == round_) later(error{errc::component_lost, "the job manager is out of reach"});
        });
  }
  /// For a moment CAF may know whoever listened there before: a request to it would wait for its deadline.
  void greet(const caf::actor& gateway) {
    gateway_ = gateway.address();
    monitor(gateway);
    request(gateway, answer_deadline, hello{process_stamp(), {}, {}})
        .then(
            [this, gateway, round = round_](const welcome& m) {
              if (round != round_) return;
              forget_gateway();
              settings_.reconnected(m, gateway);
              attach(m.job_manager);
            },
            [this, round = round_](caf::error& e) {
              if (round == round_) later(from_caf(e, "the job manager"));
            });
  }
  void attach(const caf::actor& root) {
    follow(root);
    request(root, answer_deadline, attach_client{settings_.id, caf::actor_cast<caf::actor>(this)})
        .then(
            [this, round = round_](const job_update& m) {
              if (round != round_) return;
              since_ = steady_time{-1};
              pause_ = shortest_pause;
              settings_.state->update(m.status);
            },
            [this, round = round_](caf::error& e) {
              if (round != round_) return;
              const auto why = from_caf(e, "the job manager");
              if (why.code() == errc::job_not_found) return give_up(why);
              later(why);
            });
  }
  void forget_gateway() {
    if (gateway_) demonitor(gateway_);
    gateway_ = nullptr;
  }
  void later(const error& why) {
    ++round_;
    forget_gateway();
    if (root_) demonitor(root_);
    root_ = nullptr;
    if (settings_.time->now() - since_ > settings_.patience) return give_up(why);
    delayed_send(this, pause_, attach_again{});
    pause_ = std::min(2 * pause_, longest_pause);
  }
  void give_up(const error& why) {
    auto r = std::make_shared<job_result>();
    r->id = settings_.id;
    r->status = job_status::failed;
    r->failure = error{errc::component_lost,
                       "the connection to the job at " + settings_.where.to_string() + " is lost: " + why.cause(),
                       "the job may still run: see `dataflow list -m " + settings_.where.to_string() + "`"};
    end(std::move(r));
  }
  void end(std::shared_ptr<const job_result> result) {
    settings_.state->end(std::move(result));
    quit();
  }

  job_listener_settings settings_;
  caf::actor root_;
  caf::actor_addr gateway_; // while it is greeted
  std::uint64_t round_ = 0; // of connecting; what belongs to an earlier one comes too late
  steady_time since_{-1};   // when the connection was lost
  std::chrono::milliseconds pause_ = shortest_pause;
};

} // namespace

class remote_job_client final : public watched_job {
public:
  remote_job_client(std::shared_ptr<remote_cluster> cluster, std::string id)
      : watched_job(std::move(id), std::make_shared<job_state>()), cluster_(std::move(cluster)) {
    auto& c = *cluster_->impl_;
    // The listener ends with the system, before the cluster does.
    listener_ = c.system->spawn<job_listener_actor>(
        job_listener_settings{id_, c.where, c.leader, c.patience, c.ground.outside().clock, state_,
                              [&c](const std::string& what) { c.say_waiting(what); },
                              [&c](const welcome& m, const caf::actor& gateway) {
                                std::lock_guard lock{c.mutex};
                                c.met = m;
                                c.gateway = gateway;
                              }});
    std::lock_guard lock{c.mutex}; // another job's listener may be reconnecting
    caf::anon_send(listener_, c.met);
  }
  ~remote_job_client() override { caf::anon_send_exit(listener_, caf::exit_reason::user_shutdown); }

  const caf::actor& listener() const noexcept { return listener_; }
  void cancel() override {
    try {
      cluster_->cancel(id_);
    } catch (const error&) { // out of reach: the next Ctrl-C asks again
    }
  }
  job_result wait() override {
    if (const auto& run_until = cluster_->impl_->ground.run_until)
      if (!run_until([this] { return ended(); }, std::chrono::hours{24 * 365}))
        throw error{errc::timed_out, "job " + id_ + " hangs: nothing happens any more"};
    return watched_job::wait();
  }
  bool wait_for(std::chrono::milliseconds timeout) override {
    if (const auto& run_until = cluster_->impl_->ground.run_until)
      return run_until([this] { return ended(); }, timeout);
    return watched_job::wait_for(timeout);
  }

protected:
  std::string take(const checkpoint_request& what) override {
    const auto taken = cluster_->take(id_, what);
    if (what.after != after_savepoint::go_on || what.cancel) wait();
    return taken.path;
  }
  job_report ask_report() override { return cluster_->report(id_); }

private:
  bool ended() const {
    std::lock_guard lock{state_->mutex};
    return state_->result != nullptr;
  }
  const std::shared_ptr<remote_cluster> cluster_;
  caf::actor listener_;
};

remote_address remote_address::parse(const std::string& text) {
  const auto colon = text.rfind(':');
  unsigned port = 0;
  if (colon != std::string::npos && colon > 0) {
    const auto* end = text.data() + text.size();
    const auto [at, e] = std::from_chars(text.data() + colon + 1, end, port);
    if (e == std::errc{} && at == end && port > 0 && port < 65536)
      return {text.substr(0, colon), static_cast<std::uint16_t>(port)};
  }
  throw error{errc::invalid_option, "\"" + text + "\" is no address of a job manager", "write host:port"};
}

remote_cluster::remote_cluster(std::unique_ptr<impl> i) : impl_(std::move(i)) {}
remote_cluster::~remote_cluster() = default;

std::shared_ptr<remote_cluster> remote_cluster::connect(const remote_address& where, std::chrono::milliseconds patience,
                                                        std::function<remote_address()> leader, const tls_files& tls,
                                                        node_ground ground) {
  auto i = std::make_unique<impl>(tls);
  i->ground = std::move(ground);
  if (i->ground.adapt) i->ground.adapt(i->config);
  i->where = where;
  i->leader = std::move(leader);
  i->patience = patience;
  i->system = make_system(i->config);
  i->connect_once();
  return std::shared_ptr<remote_cluster>{new remote_cluster{std::move(i)}};
}

std::string remote_cluster::upload(const std::string& library) {
  const auto file = impl_->ground.outside().files->open_read(library);
  const auto size = file->size();
  std::string piece;
  const auto read = [&](std::uint64_t at) -> std::string& { // it may be larger than what one wants to hold
    piece.resize(largest_frame);
    piece.resize(file->read_at(piece.data(), piece.size(), at));
    return piece;
  };
  content_hasher hasher;
  for (std::uint64_t at = 0; at < size && !read(at).empty(); at += piece.size())
    hasher.add(piece);
  const auto hash = hasher.finish();
  caf::actor artifacts;
  {
    std::lock_guard lock{impl_->mutex};
    artifacts = impl_->met.artifacts;
  }
  const std::string subject = "the upload of " + library;
  auto there =
      ask<artifact_state>(*impl_->system, artifacts, query_artifact{hash}, answer_deadline, subject, impl_->ground);
  while (!there.complete) {
    if (there.size >= size)
      throw error{errc::invalid_argument, library + " is empty", "name the lib<job>.so that dataflow_add_job builds"};
    artifact_frame frame{hash, size, there.size, read(there.size)};
    there = ask<artifact_state>(*impl_->system, artifacts, std::move(frame), answer_deadline, subject, impl_->ground);
  }
  return hash;
}

namespace {

/// A larger message would end the connection, here and on the way to task managers.
void check_size(const job_origin& origin) {
  constexpr std::size_t room = 1 << 20; // for what stands around it
  const auto size = encode(origin).size();
  if (size + room <= largest_message) return;
  std::string files;
  for (const auto& [path, content] : origin.files)
    files += (files.empty() ? ": " : ", ") + path + " (" + std::to_string(content.size()) + " bytes)";
  throw error{errc::record_too_large,
              "what is submitted of the job has " + std::to_string(size) + " bytes, " +
                  std::to_string(largest_message - room) + " are allowed; files that args.file() reads go with it" +
                  files,
              "read large inputs with a source"};
}

} // namespace

std::shared_ptr<job_client> remote_cluster::submit(std::shared_ptr<const job_origin> origin) {
  check_size(*origin);
  auto client = std::make_shared<remote_job_client>(shared_from_this(), make_id(impl_->next_id()));
  impl_->ask_gateway(submit_origin{client->id(), std::move(origin), client->listener()});
  return client;
}

job_accepted remote_cluster::check(std::shared_ptr<const job_origin> origin) {
  check_size(*origin);
  return impl_->ask_gateway(submit_origin{make_id(impl_->next_id()), std::move(origin), nullptr, true});
}

origin_found remote_cluster::origin_of(const std::string& id) {
  return impl_->ask_root<origin_found>(query_origin{id});
}

std::shared_ptr<job_client> remote_cluster::attach(const std::string& id) {
  auto client = std::make_shared<remote_job_client>(shared_from_this(), id);
  impl_->ask_root<job_update>(attach_client{id, client->listener()});
  return client;
}

std::vector<job_overview> remote_cluster::jobs() { return impl_->ask_root<jobs_listed>(list_jobs{}).jobs; }

void remote_cluster::cancel(const std::string& id) { impl_->ask_root<caf::unit_t>(cancel_job{id}); }

checkpoint_taken remote_cluster::take(const std::string& id, const checkpoint_request& what) {
  return impl_->ask_root<checkpoint_taken>(request_checkpoint{id, what}, std::chrono::hours{1});
}

void remote_cluster::ask_for_checkpoint(const std::string& id) {
  caf::anon_send(impl_->root(), request_checkpoint{id, {}});
}

job_report remote_cluster::report(const std::string& id) { return impl_->ask_root<job_report>(query_job{id}); }

void remote_cluster::on_waiting(std::function<void(const std::string&)> f) {
  std::lock_guard lock{impl_->mutex};
  impl_->waiting = std::move(f);
}

} // namespace dataflow::actors
