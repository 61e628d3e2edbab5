#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/supervision/supervised_children.hpp>
#include <dataflow/util/log.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>
#include <doctest/doctest.h>

using namespace dataflow;
using namespace dataflow::actors;
using namespace std::chrono_literals;

namespace {

/// Everything runs in this thread, in virtual time.
struct world {
  struct settings : caf::actor_system_config {
    settings() { set("scheduler.policy", caf::atom("testing")); }
  } config;
  caf::actor_system system{config};
  caf::scheduler::test_coordinator& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  struct virtual_clock final : clock {
    explicit virtual_clock(caf::scheduler::test_coordinator& s) : scheduler(s) {}
    steady_time now() const noexcept override { return scheduler.clock().now().time_since_epoch(); }
    std::chrono::milliseconds wall() const noexcept override { return {}; }
    caf::scheduler::test_coordinator& scheduler;
  } time{scheduler};

  void run() { scheduler.run(); }
  void pass(std::chrono::milliseconds d) {
    scheduler.advance_time(d);
    run();
  }
};

/// What happened, in order: "start a#0", "down a".
using diary = std::vector<std::string>;

class child_actor final : public caf::event_based_actor {
public:
  child_actor(caf::actor_config& c, std::string id, std::uint32_t attempt, std::shared_ptr<diary> d)
      : event_based_actor(c), id_(std::move(id)), diary_(std::move(d)) {
    keep_exception_texts(*this);
    diary_->push_back("start " + id_ + "#" + std::to_string(attempt));
  }
  caf::behavior make_behavior() override {
    return {[](const std::string& text) { throw std::runtime_error{text}; }, [this](int) { quit(); }};
  }
  void on_exit() override { diary_->push_back("end " + id_); }

private:
  std::string id_;
  std::shared_ptr<diary> diary_;
};

class parent_actor final : public caf::event_based_actor {
public:
  parent_actor(caf::actor_config& c, world& w, supervisor_settings s, std::vector<child_spec> specs,
               std::shared_ptr<diary> d)
      : event_based_actor(c), children(*this, w.time, "parent", std::move(s)), specs_(std::move(specs)),
        diary_(std::move(d)) {
    set_down_handler([this](caf::down_msg& m) {
      if (!children.child_down(m)) diary_->push_back("a stranger is down");
    });
  }
  caf::behavior make_behavior() override {
    for (const auto& spec : specs_) {
      children.start(spec, [this, id = spec.id](std::uint32_t attempt) -> caf::actor {
        if (throwing_constructors > 0) {
          --throwing_constructors;
          throw std::runtime_error{"cannot be built"};
        }
        return spawn<child_actor>(id, attempt, diary_);
      });
    }
    return {[this](const respawn_child& m) { children.respawn(m); },
            [this](const std::string& id) { children.stop(id); }};
  }
  void on_exit() override { children.stop_all(); }

  supervised_children children;
  int throwing_constructors = 0;

private:
  std::vector<child_spec> specs_;
  std::shared_ptr<diary> diary_;
};

struct family {
  family(supervisor_settings s, std::vector<child_spec> specs) {
    auto handle = w.system.spawn<parent_actor>(w, std::move(s), std::move(specs), events);
    parent = caf::actor_cast<parent_actor*>(handle);
    parent->attach_functor([this](const caf::error& reason) { end = from_caf(reason, "parent"); });
    keep = handle;
    w.run();
  }
  ~family() {
    caf::anon_send_exit(keep, caf::exit_reason::kill);
    w.run();
  }
  void crash(const std::string& id, const std::string& why = "boom") {
    caf::anon_send(parent->children.child(id), why);
    w.run();
  }
  diary take() { return std::exchange(*events, {}); }

  log_capture log;
  std::shared_ptr<diary> events = std::make_shared<diary>();
  world w;
  caf::actor keep;
  parent_actor* parent = nullptr;
  error end;
};

supervisor_settings with(supervision_strategy strategy) {
  supervisor_settings s;
  s.strategy = strategy;
  return s;
}

} // namespace

TEST_CASE("a child that throws is started again, its siblings are left alone") {
  family f{with(supervision_strategy::one_for_one), {{"a"}, {"b"}}};
  CHECK(f.take() == diary{"start a#0", "start b#0"});
  f.crash("a", "bad luck");
  CHECK(f.take() == diary{"end a", "start a#1"});
  const auto tree = f.parent->children.describe();
  CHECK(tree.find("a, restarted 1 times; last failure: internal: std::runtime_error: bad luck") != std::string::npos);
  CHECK(!f.end);
}

TEST_CASE("a region is stopped before any of it starts again") {
  family f{with(supervision_strategy::region),
           {{"a1", child_restart::transient, "a"},
            {"a2", child_restart::transient, "a"},
            {"b", child_restart::transient, "b"}}};
  f.take();
  f.crash("a2");
  CHECK(f.take() == diary{"end a2", "end a1", "start a1#1", "start a2#1"});
}

TEST_CASE("killed children come back, those that end normally do not") {
  family f{with(supervision_strategy::one_for_one), {{"a"}, {"b"}}};
  f.take();
  caf::anon_send_exit(f.parent->children.child("a"), caf::exit_reason::kill);
  caf::anon_send(f.parent->children.child("b"), 1);
  f.w.run();
  CHECK(f.take() == diary{"end a", "end b", "start a#1"});
  CHECK(!f.parent->children.child("b"));
}

TEST_CASE("the back-off is waited out") {
  auto s = with(supervision_strategy::all);
  s.backoff = restart_settings::fixed(2, 500ms);
  family f{s, {{"a"}, {"b"}}};
  f.take();
  f.crash("a");
  CHECK(f.take() == diary{"end a", "end b"});
  f.w.pass(499ms);
  CHECK(f.take().empty());
  f.w.pass(1ms);
  CHECK(f.take() == diary{"start a#1", "start b#1"});
}

TEST_CASE("too many failures end the supervisor with the whole chain of causes, and its children with it") {
  auto s = with(supervision_strategy::one_for_one);
  s.intensity = restart_intensity{1, 1s};
  family f{s, {{"a"}, {"b"}}};
  f.crash("a", "first");
  CHECK(!f.end);
  f.take();
  f.crash("a", "second");
  CHECK(f.end.code() == errc::restart_limit_exceeded);
  CHECK(f.end.cause().find("parent gave up restarting: 2 failures within 1 s") != std::string::npos);
  CHECK(f.end.cause().find("caused by internal: std::runtime_error: second") != std::string::npos);
  CHECK(f.take() == diary{"end a", "end b"});
}

TEST_CASE("failures that are far enough apart never add up") {
  auto s = with(supervision_strategy::one_for_one);
  s.intensity = restart_intensity{1, 1s};
  family f{s, {{"a"}}};
  for (int i = 0; i < 20; ++i) {
    f.crash("a");
    f.w.pass(1001ms);
  }
  CHECK(!f.end);
  CHECK(f.parent->children.state().restarts() == 20);
}

TEST_CASE("an exception in a child's constructor counts as its failure") {
  auto s = with(supervision_strategy::one_for_one);
  s.intensity = restart_intensity{5, 1s};
  family f{s, {{"a"}}};
  f.take();
  f.parent->throwing_constructors = 2;
  f.crash("a");
  CHECK(f.take() == diary{"end a", "start a#3"});
  f.parent->throwing_constructors = 100;
  f.crash("a");
  CHECK(f.end.code() == errc::restart_limit_exceeded);
  CHECK(f.end.cause().find("cannot be built") != std::string::npos);
}

TEST_CASE("a child that is stopped on purpose stays away") {
  family f{with(supervision_strategy::one_for_one), {{"a"}, {"b"}}};
  f.take();
  caf::anon_send(f.keep, std::string{"a"});
  f.w.run();
  CHECK(f.take() == diary{"end a"});
  CHECK(f.parent->children.state().child("a") == nullptr);
  CHECK(f.parent->children.state().restarts() == 0);
}
