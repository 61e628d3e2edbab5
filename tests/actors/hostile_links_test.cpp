// What a link does with a peer that does not keep to the rules.
#include <dataflow/actors/errors.hpp>
#include <dataflow/util/log.hpp>

#include <tests/actors/linked_nodes.hpp>

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

/// A task that counts what it is told.
struct listener {
  explicit listener(caf::actor_system& system) {
    actor = system.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](const actors::element_received& m) {
                std::lock_guard lock{mutex};
                payloads.emplace_back(m.what.payload.bytes);
              },
              [this](const actors::channel_credit_grant& m) {
                credit_bytes += m.bytes;
                credits += m.batches;
              },
              [this](const actors::link_broken& m) {
                std::lock_guard lock{mutex};
                broken.push_back(m.why);
              }};
    });
  }
  ~listener() {
    caf::anon_send_exit(actor, caf::exit_reason::kill);
    actor = nullptr;
  }
  std::size_t received() {
    std::lock_guard lock{mutex};
    return payloads.size();
  }
  std::size_t failures() {
    std::lock_guard lock{mutex};
    return broken.size();
  }
  caf::actor actor;
  std::mutex mutex;
  std::vector<std::string> payloads;
  std::vector<error> broken;
  std::atomic<int> credits{0};
  std::atomic<std::uint64_t> credit_bytes{0};
};

/// The other end of a link, played by the test: an actor system that connects as task manager "a" to "z".
struct false_peer {
  struct settings : caf::actor_system_config {
    settings() {
      actors::configure(*this, 1);
      actors::configure_links(*this);
    }
  } config;
  caf::actor_system system{config};
  caf::scoped_actor self{system};
  caf::actor door, link;
  std::vector<actors::link_reset> resets;

  explicit false_peer(std::uint16_t port) {
    auto d = system.middleman().remote_actor("127.0.0.1", port);
    REQUIRE(d);
    door = *d;
  }
  /// What the door says; empty: the link is up.
  std::string hello(std::uint64_t epoch, std::string to = "z", std::uint32_t version = link_version) {
    std::string refusal;
    self->request(door, 20s, actors::link_hello{version, "a", std::move(to), epoch, caf::actor_cast<caf::actor>(self)})
        .receive([&](const actors::link_welcome& m) { link = m.link; },
                 [&](caf::error& e) { refusal = actors::from_caf(e, "it").to_string(); });
    return refusal;
  }
  void send(std::string frame) { self->send(link, actors::link_frame{{}, shared_bytes{std::move(frame)}}); }
  actors::link_reset next_reset() {
    actors::link_reset reset;
    self->receive([&](const actors::link_reset& m) { reset = m; }, caf::after(20s) >> [] { FAIL("no reset came"); });
    return reset;
  }
  std::vector<std::string> frames(std::uint64_t epoch, int elements) {
    frame_writer writer{"test"};
    writer.begin(epoch);
    std::vector<std::string> all;
    for (int i = 0; i < elements; ++i) {
      writer.add(link_element{7, 0, 0, static_cast<std::uint64_t>(i), 0, shared_bytes{"element " + std::to_string(i)}});
      writer.flush();
      for (auto& f : writer.take())
        all.push_back(f.joined());
    }
    return all;
  }
};

struct attacked {
  log_capture log;
  linked_node node;
  listener task{*node.system};
  false_peer peer{node.links->port()};
  explicit attacked(const actors::data_links_settings& settings = linked_node::quick()) : node("z", settings) {
    node.links->add_task(7, task.actor);
    auto link = node.links->link_to({"a", "127.0.0.1", 1});
    caf::anon_send(link, actors::use_link{7, task.actor});
  }
};

/// The side that others connect to, played by the test: task manager "z", which answers each hello as the test says.
struct false_door {
  using answer = std::function<caf::result<actors::link_welcome>(const actors::link_hello&)>;
  false_peer::settings config;
  caf::actor_system system{config};
  std::mutex mutex; // guards what follows
  std::vector<actors::link_hello> hellos;
  std::vector<actors::link_reset> resets;
  std::vector<std::string> frames;
  caf::actor actor;
  std::uint16_t port = 0;

  explicit false_door(answer answers) {
    actor = system.spawn([this, answers = std::move(answers)](caf::event_based_actor* self) -> caf::behavior {
      return {[this, self, answers](const actors::link_hello& m) {
                {
                  std::lock_guard lock{mutex};
                  hellos.push_back(m);
                }
                return answers(m);
              },
              [this](const actors::link_reset& m) {
                std::lock_guard lock{mutex};
                resets.push_back(m);
              },
              [this](const actors::link_frame& m) {
                std::lock_guard lock{mutex};
                frames.emplace_back(m.whole.bytes);
              }};
    });
    port = actors::listen(system, actor, 0);
  }
  ~false_door() {
    actors::stop_listening(system, port);
    hellos.clear();
    caf::anon_send_exit(actor, caf::exit_reason::kill);
    actor = nullptr;
  }
  template <class Of>
  std::size_t count(const std::vector<Of>& what) {
    std::lock_guard lock{mutex};
    return what.size();
  }
};

struct test_clock final : dataflow::clock {
  steady_time now() const noexcept override { return steady_time{now_.load()}; }
  std::chrono::milliseconds wall() const noexcept override { return {}; }
  void advance(steady_time by) { now_ += by.count(); }
  std::atomic<steady_time::rep> now_{1};
};

/// What frames of one connection carry.
frame_reader::items items_of(const std::vector<std::string>& frames, std::uint64_t epoch) {
  frame_reader reader{"test"};
  reader.begin(epoch);
  frame_reader::items all;
  for (auto& f : frames)
    REQUIRE(reader.receive(shared_bytes{f}, all));
  return all;
}

} // namespace

TEST_CASE("frames of a peer reach the task that they are for; those for others are counted") {
  attacked t;
  REQUIRE(t.peer.hello(5) == "");
  for (auto& f : t.peer.frames(5, 3))
    t.peer.send(f);
  CHECK(eventually([&] { return t.task.received() == 3; }));
  t.node.links->remove_task(7);
  auto more = t.peer.frames(5, 4);
  t.peer.send(more[3]);
  CHECK(eventually([&] { return t.node.links->statistics().unknown_tasks == 1; }));
  CHECK(t.task.received() == 3);
}

TEST_CASE("credit of a peer reaches the task that it is for, in batches and in bytes") {
  attacked t;
  REQUIRE(t.peer.hello(5) == "");
  frame_writer writer{"test"};
  writer.begin(5);
  writer.add(link_credit{7, 0, 0, 1, 4, 5000});
  writer.add(link_credit{7, 0, 0, 2, 1, 100});
  writer.flush();
  for (auto& f : writer.take())
    t.peer.send(f.joined());
  CHECK(eventually([&] { return t.task.credits == 5; }));
  CHECK(t.task.credit_bytes == 5100);
}

TEST_CASE("a peer of another version, or with the wrong name, is refused") {
  attacked t;
  CHECK(t.peer.hello(5, "z", link_version + 1).starts_with("incompatible_library: "));
  CHECK(t.peer.hello(5, "y").starts_with("stale_message: there is no task manager y"));
  CHECK(t.node.links->statistics().connections == 0);
}

TEST_CASE("a changed, missing, repeated or foreign frame breaks the link: its tasks fail, the peer is told") {
  auto damage = [](int kind, std::vector<std::string> f) -> std::vector<std::string> {
    switch (kind) {
    case 0:
      f[1][f[1].size() / 2] ^= 1;
      return f;
    case 1:
      return {f[0], f[2]};
    case 2:
      return {f[0], f[0]};
    case 3:
      return {f[0], "garbage"};
    case 4:
      return {f[0], ""};
    default:
      return {f[0], std::string(largest_frame, 'x')};
    }
  };
  for (int kind = 0; kind < 6; ++kind) {
    attacked t;
    REQUIRE(t.peer.hello(5) == "");
    for (auto& f : damage(kind, t.peer.frames(5, 3)))
      t.peer.send(f);
    REQUIRE(eventually([&] { return t.task.failures() == 1; }));
    CHECK(eventually([&] { return t.task.received() == 1; })); // and nothing behind the damage
    CHECK(t.task.broken[0].code() == errc::connection_failed);
    CHECK(t.task.broken[0].cause().find("the link from task manager z to a") == 0);
    CHECK(t.peer.next_reset().epoch == 5);
    // The node is unaffected.
    REQUIRE(t.peer.hello(6) == "");
    t.peer.send(t.peer.frames(6, 1)[0]);
    CHECK(eventually([&] { return t.task.received() == 2; }));
  }
}

TEST_CASE("frames of a connection that is over are refused, counted, and logged once") {
  attacked t;
  REQUIRE(t.peer.hello(5) == "");
  auto old = t.peer.frames(5, 3);
  t.peer.send(old[0]);
  REQUIRE(eventually([&] { return t.task.received() == 1; }));
  REQUIRE(t.peer.hello(6) == "");
  CHECK(eventually([&] { return t.task.failures() == 1; })); // what was under way may be lost
  t.peer.send(old[1]);
  t.peer.send(old[2]);
  t.peer.send(t.peer.frames(6, 1)[0]);
  CHECK(eventually([&] { return t.task.received() == 2; }));
  CHECK(t.node.links->statistics().stale_frames == 2);
  CHECK(t.peer.next_reset().epoch == 5);
  int logged = 0;
  for (auto& line : t.log.lines())
    logged += line.find("a frame of an earlier connection was refused") != std::string::npos;
  CHECK(logged == 1);
}

TEST_CASE("a reset of the connection that is up breaks it, one of an earlier connection does not") {
  attacked t;
  REQUIRE(t.peer.hello(5) == "");
  t.peer.self->send(t.peer.link, actors::link_reset{4, "late"});
  t.peer.send(t.peer.frames(5, 1)[0]);
  REQUIRE(eventually([&] { return t.task.received() == 1; }));
  CHECK(t.task.failures() == 0);
  t.peer.self->send(t.peer.link, actors::link_reset{5, "a frame was bad"});
  REQUIRE(eventually([&] { return t.task.failures() == 1; }));
  CHECK(t.task.broken[0].cause().find("a frame was bad") != std::string::npos);
}

TEST_CASE("a task that was deployed before its link broke learns of it, also when it asks for the link afterwards") {
  attacked t;
  listener late{*t.node.system};
  t.node.links->add_task(8, late.actor);
  REQUIRE(t.peer.hello(5) == "");
  t.peer.self->send(t.peer.link, actors::link_reset{5, "over"});
  REQUIRE(eventually([&] { return t.task.failures() == 1; }));
  auto link = t.node.links->link_to({"a", "127.0.0.1", 1});
  caf::anon_send(link, actors::use_link{8, late.actor});
  REQUIRE(eventually([&] { return late.failures() == 1; }));
  CHECK(late.broken[0].cause().find("while the task was being deployed") != std::string::npos); // not for impatience
  listener fresh{*t.node.system};
  t.node.links->add_task(9, fresh.actor);
  caf::anon_send(link, actors::use_link{9, fresh.actor});
  REQUIRE(t.peer.hello(6) == "");
  caf::anon_send(link, actors::send_credit{link_credit{1, 2, 3, 4, 5, 6}});
  t.peer.self->receive([](const actors::link_frame&) {}, caf::after(20s) >> [] { FAIL("no frame came"); });
  CHECK(fresh.failures() == 0);
}

TEST_CASE("an answer to another attempt, or one without a link, is no connection: the next attempt makes it") {
  const log_capture log;
  int asked = 0;
  caf::actor self;
  false_door door{[&](const actors::link_hello& m) -> caf::result<actors::link_welcome> {
    switch (asked++) {
    case 0:
      return actors::link_welcome{m.epoch + 2, self};
    case 1:
      return actors::link_welcome{m.epoch, {}};
    default:
      return actors::link_welcome{m.epoch, self};
    }
  }};
  self = door.actor;
  linked_node node{"a"};
  listener task{*node.system};
  node.links->add_task(7, task.actor);
  const auto link = node.links->link_to({"z", "127.0.0.1", door.port});
  caf::anon_send(link, actors::use_link{7, task.actor});
  caf::anon_send(link, actors::send_credit{link_credit{1, 2, 3, 4, 5, 6}});
  REQUIRE(eventually([&] { return door.count(door.frames) == 1; }));
  self = nullptr;
  CHECK(node.links->statistics().connections == 1);
  CHECK(task.failures() == 0);
  CHECK(log.contains("an attempt failed: it answered an earlier attempt"));
  std::lock_guard lock{door.mutex};
  REQUIRE(door.hellos.size() == 3);
  CHECK(items_of(door.frames, door.hellos[2].epoch).credits.size() == 1);
}

TEST_CASE("frames of an attempt that has failed are refused, and whoever sends them is told") {
  const log_capture log;
  false_door door{[](const actors::link_hello&) -> caf::result<actors::link_welcome> {
    return actors::to_caf(error{errc::stale_message, "not today"});
  }};
  auto settings = linked_node::quick();
  settings.links.first_delay = settings.links.longest_delay = 1h; // no other attempt
  linked_node node{"a", settings};
  listener task{*node.system};
  node.links->add_task(7, task.actor);
  caf::anon_send(node.links->link_to({"z", "127.0.0.1", door.port}), actors::use_link{7, task.actor});
  REQUIRE(eventually([&] { return log.contains("an attempt failed: "); }));
  frame_writer writer{"test"};
  const auto [epoch, link] = [&] {
    std::lock_guard lock{door.mutex};
    return std::pair{door.hellos.at(0).epoch, door.hellos[0].link};
  }();
  writer.begin(epoch);
  writer.add(link_element{7, 0, 0, 0, 0, shared_bytes{std::string{"element"}}});
  writer.flush();
  caf::send_as(door.actor, link, actors::link_frame{{}, shared_bytes{writer.take().at(0).joined()}});
  REQUIRE(eventually([&] { return door.count(door.resets) == 1; }));
  CHECK(door.resets[0].epoch == epoch);
  CHECK(node.links->statistics().stale_frames == 1);
  CHECK(task.received() == 0);
}

TEST_CASE("what tasks have sent over a link that did not come up goes to nobody when it does") {
  auto settings = linked_node::quick();
  settings.links.patience = 50ms;
  attacked t{settings};
  const auto link = t.node.links->link_to({"a", "127.0.0.1", 1});
  caf::anon_send(link, actors::send_element{link_element{1, 2, 3, 4, 5, shared_bytes{std::string{"in vain"}}}});
  REQUIRE(eventually([&] { return t.task.failures() == 1; }));
  REQUIRE(t.peer.hello(5) == "");
  caf::anon_send(link, actors::send_credit{link_credit{1, 2, 3, 4, 5, 6}});
  std::vector<std::string> frames;
  t.peer.self->receive([&](const actors::link_frame& m) { frames.emplace_back(m.whole.bytes); },
                       caf::after(20s) >> [] { FAIL("no frame came"); });
  const auto items = items_of(frames, 5);
  CHECK(items.elements.empty());
  CHECK(items.credits.size() == 1);
}

TEST_CASE("nobody waits for a link any more when its only task has ended: the next one has all of the patience") {
  const log_capture log;
  test_clock time;
  linked_node node{"z", linked_node::quick(), {}, time}; // a patience of 20 s
  false_peer peer{node.links->port()};
  const auto link = node.links->link_to({"a", "127.0.0.1", 1});
  const auto stale = peer.frames(99, 1)[0];
  auto until_heard = [&, n = std::uint64_t{0}]() mutable { // whatever the link was sent
    caf::anon_send(link, actors::link_frame{{}, shared_bytes{stale}});
    ++n;
    REQUIRE(eventually([&] { return node.links->statistics().stale_frames == n; }));
  };
  const auto wants = [&](listener& task, std::uint64_t address) {
    node.links->add_task(address, task.actor);
    caf::anon_send(link, actors::use_link{address, task.actor});
    until_heard();
  };
  {
    listener ends{*node.system};
    peer.self->monitor(ends.actor); // before the link does: whoever monitors last hears of it first
    wants(ends, 7);
    caf::anon_send_exit(ends.actor, caf::exit_reason::kill);
    peer.self->receive([](const caf::down_msg&) {}, caf::after(20s) >> [] { FAIL("the task has not ended"); });
    until_heard();
  }
  listener next{*node.system}, later{*node.system};
  time.advance(15s);
  wants(next, 8);
  time.advance(10s);
  wants(later, 9); // the link looks who has waited too long
  REQUIRE(peer.hello(5) == "");
  frame_writer writer{"test"};
  writer.begin(5);
  writer.add(link_element{8, 0, 0, 0, 0, shared_bytes{std::string{"element"}}});
  writer.flush();
  peer.send(writer.take().at(0).joined());
  REQUIRE(eventually([&] { return next.received() == 1; }));
  CHECK(next.failures() == 0);
}

TEST_CASE("two processes cannot listen on one port") {
  log_capture log;
  linked_node a{"a"};
  auto settings = linked_node::quick();
  settings.port = a.links->port();
  const auto failure = [&] {
    try {
      linked_node b{"b", settings};
    } catch (const error& e) {
      return e;
    }
    return error{};
  }();
  CHECK(failure.code() == errc::io_failed);
  CHECK(failure.cause().find(std::to_string(settings.port)) != std::string::npos);
}
