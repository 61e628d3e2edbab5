// Tasks of one job on several task managers, over links.
#include <dataflow/util/log.hpp>

#include <tests/actors/linked_nodes.hpp>
#include <tests/support/tcp_proxy.hpp>

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

std::shared_ptr<stream_graph> ending_job(const std::shared_ptr<job_control>& control) {
  control->may_end = true;
  return paced_job(control);
}

/// A job whose tasks are on two task managers.
struct linked_pair {
  log_capture log;
  linked_node a, b;
  std::shared_ptr<job_control> control = std::make_shared<job_control>();
  linked_job job{paced_job(control), {&a, &b}};
  explicit linked_pair(const actors::data_links_settings& settings = linked_node::quick())
      : a("a", settings), b("b", settings) {}
};

} // namespace

TEST_CASE("a job whose tasks are on two task managers gets every record across, and ends") {
  linked_pair p;
  p.control->may_end = true;
  p.job.start(0);
  CHECK(eventually([&] { return p.job.all(0, task_status::finished); }));
  CHECK(p.control->consumed == 100);
  CHECK(p.a.links->statistics().connections == 1);
  CHECK(p.b.links->statistics().connections == 1);
  CHECK(p.a.links->statistics().frames_sent > 0);
  CHECK(p.b.links->statistics().frames_received > 0);
  CHECK(p.a.links->statistics().stale_frames == 0);
}

TEST_CASE("one connection serves all tasks of a pair of task managers, whoever asks first") {
  log_capture log;
  linked_node a{"a"}, b{"b"}, c{"c"};
  auto control = std::make_shared<job_control>();
  auto other = std::make_shared<job_control>();
  linked_job first{ending_job(control), {&c, &b, &a}}, second{ending_job(other), {&a, &b, &c}};
  first.start(0);
  second.start(0);
  CHECK(eventually([&] { return first.all(0, task_status::finished) && second.all(0, task_status::finished); }));
  CHECK(control->consumed == 100);
  CHECK(other->consumed == 100);
  for (auto* n : {&a, &b, &c}) {
    CHECK(n->links->statistics().connections <= 2);
    CHECK(n->links->statistics().broken == 0);
  }
}

TEST_CASE("batches cross a link compressed where that is configured") {
  auto settings = linked_node::quick();
  settings.compress = compression::lz4;
  linked_pair p{settings};
  p.control->may_end = true;
  p.job.start(0);
  CHECK(eventually([&] { return p.job.all(0, task_status::finished); }));
  CHECK(p.control->consumed == 100);
}

TEST_CASE("when a link is cut, the tasks that use it fail, and their next attempt runs over a new connection") {
  linked_pair p;
  tcp_proxy proxy{p.b.links->port()};
  auto to_proxy = p.b.address;
  to_proxy.data_port = proxy.port();
  for (std::uint32_t attempt = 0; attempt < 3; ++attempt) {
    const auto before = p.control->consumed.load();
    p.job.start(attempt, {p.a.address, to_proxy});
    REQUIRE(eventually([&] { return p.control->consumed > before + 200; }));
    proxy.cut();
    REQUIRE(eventually([&] { return p.job.all(attempt, task_status::failed); }));
    for (task_index t = 0; t < p.job.tasks(); ++t) {
      const auto failure = p.job.failure(t, attempt);
      CHECK(failure.code() == errc::connection_failed);
      CHECK(failure.cause().find("the link from task manager ") == 0);
      CHECK(failure.cause().find("broke") != std::string::npos);
    }
  }
  p.control->may_end = true;
  p.job.start(3, {p.a.address, to_proxy});
  CHECK(eventually([&] { return p.job.all(3, task_status::finished); }));
  CHECK(p.a.links->statistics().connections == 4);
  CHECK(p.a.links->statistics().broken == 3);
}

TEST_CASE("when a task manager ends, the tasks of others that exchange records with it fail at once") {
  log_capture log;
  linked_node a{"a"};
  auto b = std::make_unique<linked_node>("b");
  auto control = std::make_shared<job_control>();
  linked_job job{paced_job(control), {&a, b.get()}};
  job.start(0);
  REQUIRE(eventually([&] { return control->consumed > 200; }));
  b->stop();
  CHECK(eventually([&] { return a.status({0, 0}) == task_status::failed && a.status({2, 0}) == task_status::failed; }));
  CHECK(a.failure({0, 0}).cause().find("to b") != std::string::npos);
}

TEST_CASE("a link that cannot be made fails its tasks when patience is over, with the reason") {
  log_capture log;
  auto settings = linked_node::quick();
  settings.links.patience = 100ms;
  linked_node a{"a", settings};
  std::uint16_t nobody = 0;
  { // a port on which nobody listens any more
    linked_node gone{"b"};
    nobody = gone.links->port();
  }
  auto control = std::make_shared<job_control>();
  linked_node b{"b", settings};
  linked_job job{paced_job(control), {&a, &b}};
  auto nowhere = b.address;
  nowhere.data_port = nobody;
  job.start(0, {a.address, nowhere});
  REQUIRE(eventually([&] { return job.all(0, task_status::failed); }));
  CHECK(job.failure(0, 0).code() == errc::connection_failed);
  CHECK(job.failure(0, 0).cause().find("could not be made within 100 ms") != std::string::npos);
  CHECK(job.failure(0, 0).cause().find(std::to_string(nobody)) != std::string::npos);
  CHECK(job.failure(1, 0).cause().find("could not be made within 100 ms") != std::string::npos); // it waited
}

TEST_CASE("a task manager that is another one by now refuses the links of the former") {
  auto settings = linked_node::quick();
  settings.links.patience = 200ms;
  linked_pair p{settings};
  p.b.links->become("new-b");
  p.job.start(0);
  REQUIRE(eventually([&] { return p.a.status({0, 0}) == task_status::failed; }));
  CHECK(p.a.failure({0, 0}).cause().find("there is no task manager b at this address") != std::string::npos);
  CHECK(p.a.links->statistics().connections == 0);
}

TEST_CASE("a task manager that registers anew ends its links; so do those at the other side") {
  linked_pair p;
  p.job.start(0);
  REQUIRE(eventually([&] { return p.control->consumed > 100; }));
  p.a.links->become("a-2");
  p.a.address.id = "a-2";
  CHECK(eventually([&] { return p.job.all(0, task_status::failed); }));
  p.control->may_end = true;
  p.job.start(1);
  CHECK(eventually([&] { return p.job.all(1, task_status::finished); }));
}

TEST_CASE("a record that does not decode fails the task that reads it, with the text of its codec") {
  log_capture log;
  linked_node a{"a"};
  auto control = std::make_shared<job_control>();
  linked_job job{paced_job(control), {&a}};
  job.start(0);
  REQUIRE(eventually([&] { return control->consumed > 0; }));
  // Task 3 is the sink; its first channel is at some sequence, so the codec's word comes first.
  link_element e;
  e.channel = 1;
  e.payload = shared_bytes{std::string{"\x00\x00\x09", 3}};
  caf::anon_send(a.task({3, 0}), actors::element_received{e});
  REQUIRE(eventually([&] { return a.status({3, 0}) == task_status::failed; }));
  CHECK(a.failure({3, 0}).code() == errc::malformed_record);
}
