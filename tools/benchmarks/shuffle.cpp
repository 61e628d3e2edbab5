// Records from one process to another over a link, keyed: source -> key_by -> sink. Beside it, in the same run, what
// CAF's network layer carries alone with messages of the same size.
#include "shuffle.hpp"

#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/jobmanager/job_plan.hpp>
#include <dataflow/actors/network/link_messages.hpp>
#include <dataflow/actors/network/link_system.hpp>
#include <dataflow/actors/taskmanager/task.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/file_system.hpp>

#include <caf/all.hpp>
#include <caf/defaults.hpp>
#include <caf/io/all.hpp>
#include <caf/openssl/manager.hpp>
#include <caf/openssl/publish.hpp>
#include <caf/openssl/remote_actor.hpp>
#include <fmt/core.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <sstream>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.hpp"
#include "workloads.hpp"

namespace bench {
struct text_record {
  std::uint32_t key = 0;
  std::string body;
};
} // namespace bench

DATAFLOW_RECORD(bench::text_record, key, body);

namespace bench {

using namespace dataflow;

namespace {

template <std::size_t Size>
struct fixed_record {
  std::uint32_t key;
  std::array<char, Size - 4> body;
};
template <std::size_t Size>
fixed_record<Size> make_fixed(std::uint64_t x, std::int64_t) {
  fixed_record<Size> r{};
  r.key = static_cast<std::uint32_t>(x >> 32);
  return r;
}
text_record make_text(std::uint64_t x, std::int64_t) {
  return {static_cast<std::uint32_t>(x >> 32), std::string(94, 'x')}; // 100 bytes on the wire
}

/// What the two processes know of a run.
struct run {
  std::string what; ///< "bare", "100", "1024", "text"
  std::uint64_t records = 0;
  std::string certificates; ///< a directory; "-": no TLS

  std::string words() const { return what + " " + std::to_string(records) + " " + certificates; }
  static run of(const std::string& words) {
    run r;
    std::istringstream{words} >> r.what >> r.records >> r.certificates;
    return r;
  }
  actors::tls_files tls(const std::string& node) const {
    if (certificates == "-") return {};
    const auto base = certificates + "/";
    return {base + node + ".pem", base + node + ".key", base + "authority.pem"};
  }
};

struct outcome {
  double seconds = 0, cpu_seconds = 0;
};

/// What the sink has seen.
struct arrivals {
  std::uint64_t records = 0;
  steady_time first{0}, last{0};
};

template <class Record>
struct timing_sink {
  std::shared_ptr<arrivals> seen;
  void operator()(const Record&) {
    if (seen->records++ == 0) seen->first = system_clock().now();
  }
  void close() { seen->last = system_clock().now(); }
};

struct node_config : caf::actor_system_config {
  explicit node_config(const actors::tls_files& tls, bool bare) {
    actors::configure(*this, 0);
    actors::configure_links(*this, tls);
    if (bare) set("middleman.workers", caf::defaults::middleman::workers); // as CAF comes
    if (tls.enabled()) load<caf::openssl::manager>();                      // for CAF alone: links have TLS of their own
  }
};

template <class Record, class Make>
std::shared_ptr<const stream_graph> graph_of(std::uint64_t records, Make make, std::shared_ptr<arrivals> seen) {
  environment env;
  env.set_parallelism(1);
  env.from(counted_source<Record, Make>{records, make}, "records")
      .key_by(&Record::key)
      .sink_to(timing_sink<Record>{std::move(seen)});
  return env.graph("shuffle");
}

std::shared_ptr<const stream_graph> graph_of(const run& r, const std::shared_ptr<arrivals>& seen) {
  if (r.what == "1024") return graph_of<fixed_record<1024>>(r.records, make_fixed<1024>, seen);
  if (r.what == "text") return graph_of<text_record>(r.records, make_text, seen);
  return graph_of<fixed_record<100>>(r.records, make_fixed<100>, seen);
}

/// Runs one of the two tasks on this process, until it has ended. Task 0 is the source and runs on "a".
void run_task(caf::actor_system& system, actors::data_links& links, const run& r, task_index task,
              const actors::task_manager_address& peer, const std::shared_ptr<arrivals>& seen) {
  configuration settings;
  auto submission = actors::make_submission(graph_of(r, seen), settings, 1, system_platform());
  actors::job_description description{"shuffle", "shuffle", actors::plan_of(*submission), {}, {}};
  description.tasks.credit_batches = settings.integer("taskmanager.channel.credit.batches");
  auto job = std::make_shared<const actors::job_description>(std::move(description));
  if (job->plan->tasks().size() != 2) throw std::runtime_error{"the job has not two tasks"};
  std::promise<error> ended;
  auto master = system.spawn([&](caf::event_based_actor*) -> caf::behavior {
    return {[&](const actors::task_update& m) {
              if (is_terminal(m.status)) ended.set_value(m.failure);
            },
            [](const actors::split_request&) {}, [](const actors::watermark_report&) {}};
  });
  actors::task_arguments a{job,    {task, 0}, master, &system_platform(), std::make_shared<actors::task_control>(),
                           nullptr};
  a.links = std::shared_ptr<actors::data_links>{std::shared_ptr<void>{}, &links};
  auto actor = system.spawn<actors::task_actor>(std::move(a));
  links.add_task(link_address("shuffle", task, 0), actor);
  actors::start_task s{{task, 0}, {}, {}, {peer}};
  const actors::channel_peer other{{}, peer.id, {1 - task, 0}, 0, 0, 0};
  if (task == 0)
    s.outputs = {{other}};
  else
    s.inputs = {other};
  caf::anon_send(actor, std::move(s));
  const auto failure = ended.get_future().get();
  caf::anon_send_exit(master, caf::exit_reason::kill);
  if (failure) throw failure;
}

/// Messages of the size of a frame, with so many under way.
constexpr int most_under_way = 32, acknowledged_at_once = 8;

void send_bare(caf::actor_system& system, std::uint16_t port, const run& r) {
  const auto peer = r.certificates == "-" ? system.middleman().remote_actor("127.0.0.1", port)
                                          : caf::openssl::remote_actor(system, "127.0.0.1", port);
  if (!peer) throw std::runtime_error{"cannot connect: " + system.render(peer.error())};
  caf::scoped_actor self{system};
  const auto frame = caf::make_message(std::string(largest_frame - 64, 'x'));
  std::uint64_t sent = 0, acknowledged = 0;
  while (acknowledged < r.records) {
    for (; sent < r.records && sent < acknowledged + most_under_way; ++sent)
      self->send(*peer, frame);
    self->receive([&](std::uint64_t n) { acknowledged = n; },
                  caf::after(std::chrono::seconds{30}) >> [] { throw std::runtime_error{"the peer is silent"}; });
  }
}

outcome receive_bare(caf::actor_system& system, const run& r, std::FILE* out) {
  std::promise<outcome> done;
  arrivals seen;
  auto counter = system.spawn([&](caf::event_based_actor* self) -> caf::behavior {
    return {[&, self](const std::string&) {
      const auto now = system_clock().now();
      if (seen.records++ == 0) seen.first = now;
      const bool all = seen.records == r.records;
      if (all || seen.records % acknowledged_at_once == 0)
        self->send(caf::actor_cast<caf::actor>(self->current_sender()), seen.records);
      if (all) done.set_value({std::chrono::duration<double>(now - seen.first).count(), 0});
    }};
  });
  const auto port = r.certificates == "-" ? system.middleman().publish(counter, 0, "127.0.0.1")
                                          : caf::openssl::publish(counter, 0, "127.0.0.1");
  if (!port) throw std::runtime_error{"cannot listen: " + system.render(port.error())};
  fmt::print(out, "{}\n", *port);
  std::fflush(out);
  auto result = done.get_future().get();
  caf::anon_send_exit(counter, caf::exit_reason::kill);
  return result;
}

outcome receive(caf::actor_system& system, const run& r, std::FILE* out) {
  if (r.what == "bare") return receive_bare(system, r, out);
  actors::data_links_settings settings;
  actors::data_links links{system, system_clock(), settings};
  links.become("b");
  fmt::print(out, "{}\n", links.port());
  std::fflush(out);
  auto seen = std::make_shared<arrivals>();
  run_task(system, links, r, 1, {"a", {}, 0}, seen);
  if (seen->records != r.records) throw std::runtime_error{fmt::format("{} records came", seen->records)};
  return {std::chrono::duration<double>(seen->last - seen->first).count(), 0};
}

/// Another process of this program, and a pipe from it.
struct child {
  pid_t pid = -1;
  std::FILE* in = nullptr;

  explicit child(const run& r) {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error{"no pipe"};
    pid = fork();
    if (pid == 0) {
      dup2(ends[1], 1);
      close(ends[0]);
      close(ends[1]);
      const auto words = r.words();
      execl("/proc/self/exe", "dataflow_bench", "--shuffle-peer", words.c_str(), nullptr);
      _exit(127);
    }
    close(ends[1]);
    in = fdopen(ends[0], "r");
  }
  ~child() {
    std::fclose(in);
    int status = 0;
    waitpid(pid, &status, 0);
  }
};

outcome run_pair(const run& r) {
  child peer{r};
  unsigned port = 0;
  if (std::fscanf(peer.in, "%u", &port) != 1) throw std::runtime_error{"the other process did not start"};
  const auto before = process_cpu_time();
  const auto result = [&] {
    outcome o;
    if (std::fscanf(peer.in, "%lf %lf", &o.seconds, &o.cpu_seconds) != 2)
      throw std::runtime_error{"the other process failed"};
    o.cpu_seconds += std::chrono::duration<double>(process_cpu_time() - before).count();
    return o;
  };
  const auto tls = r.tls("a");
  node_config config{tls, r.what == "bare"};
  caf::actor_system system{config};
  if (r.what == "bare") {
    send_bare(system, static_cast<std::uint16_t>(port), r);
  } else {
    actors::data_links_settings settings;
    actors::data_links links{system, system_clock(), settings};
    links.become("a");
    run_task(system, links, r, 0, {"b", "127.0.0.1", static_cast<std::uint16_t>(port)}, std::make_shared<arrivals>());
    return result(); // what is under way leaves with the links: they end when the other side has all
  }
  return result();
}

std::string make_certificates() {
  const auto directory = system_files().temporary_name("", "dataflow-bench-");
  const auto command = std::string{DATAFLOW_SOURCE_DIR} + "/tools/make-certificates " + directory + " a b >/dev/null";
  if (std::system(command.c_str()) != 0) throw std::runtime_error{"no certificates"};
  return directory;
}

} // namespace

int shuffle_peer(const std::string& how) {
  const auto r = run::of(how);
  try {
    node_config config{r.tls("b"), r.what == "bare"};
    caf::actor_system system{config};
    const auto o = receive(system, r, stdout);
    fmt::print("{} {}\n", o.seconds, std::chrono::duration<double>(process_cpu_time()).count());
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "shuffle: {}\n", e.what());
    return 1;
  }
}

std::vector<figure> shuffle(const options& o) {
  std::vector<figure> figures;
  std::string certificates; // made when they are needed
  const auto bytes = static_cast<std::uint64_t>(4e9 * o.scale);
  struct kind {
    std::string name, what;
    std::uint64_t size;
  };
  const std::vector<kind> kinds{{"100 B", "100", 100}, {"1 KiB", "1024", 1024}, {"100 B with a string", "text", 100}};
  for (const bool secure : {false, true})
    for (auto& k : kinds) {
      figure f;
      f.name = "shuffle of " + k.name + (secure ? " over TLS" : "");
      if (f.name.find(o.only) == std::string::npos) continue;
      if (secure && certificates.empty()) certificates = make_certificates();
      const auto tls = secure ? certificates : std::string{"-"};
      std::vector<double> rates, bare, ratios, cpu, bare_cpu;
      for (int i = 0; i < o.pairs; ++i) {
        const run alone{"bare", bytes / largest_frame, tls}, ours{k.what, bytes / k.size, tls};
        const auto b = run_pair(alone), s = run_pair(ours);
        bare.push_back(static_cast<double>(alone.records * largest_frame) / b.seconds);
        bare_cpu.push_back(static_cast<double>(alone.records * largest_frame) / b.cpu_seconds);
        rates.push_back(static_cast<double>(ours.records) / s.seconds);
        cpu.push_back(static_cast<double>(ours.records) / s.cpu_seconds);
        ratios.push_back(rates.back() * static_cast<double>(k.size) / bare.back());
      }
      f.records_per_second = median(rates);
      f.records_per_cpu_second = median(cpu);
      f.hand_records_per_second = median(bare) / static_cast<double>(k.size);
      f.ratio = median(ratios);
      f.ratio_low = quantile(ratios, 0.25);
      f.ratio_high = quantile(ratios, 0.75);
      f.note = fmt::format("{:.2f} GB/s; CAF alone {:.2f} GB/s, {:.2f} GB per CPU second",
                           f.records_per_second * static_cast<double>(k.size) / 1e9, median(bare) / 1e9,
                           median(bare_cpu) / 1e9);
      print(f);
      figures.push_back(f);
    }
  if (!certificates.empty()) system_files().remove_all(certificates);
  return figures;
}

} // namespace bench
