// What checkpoints cost, and what they are for: a keyed job with a GiB of state with and without a checkpoint every
// second, by the share of the keys that change; how long a restore takes; how soon output comes again after a failure.
#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/checkpoint/checkpoint_storage.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/file_system.hpp>

#include <fmt/core.h>

#include <array>
#include <atomic>
#include <ctime>
#include <fstream>
#include <thread>

#include "measure.hpp"
#include "place_on_disk.hpp"
#include "sum_of_job.hpp"
#include "workloads.hpp"

namespace bench {

using namespace dataflow;

/// 240 bytes, as what people keep of a customer.
struct profile {
  std::int64_t sum = 0, count = 0;
  std::array<std::int64_t, 28> history{};
};

} // namespace bench
DATAFLOW_RECORD(bench::profile, sum, count, history);

namespace bench {

namespace {

constexpr std::size_t key_bytes = 8 + 8; // the key, and the mark of a row
using std::chrono::duration;

/// "VmRSS:" or "VmHWM:" of this process, in bytes.
std::uint64_t memory_of_process(std::string_view what) {
  std::ifstream in{"/proc/self/status"};
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(what)) return std::stoull(line.substr(what.size())) * 1024;
  return 0;
}
/// What this process has written to files since it started, in bytes.
std::uint64_t written_by_process() {
  std::ifstream in{"/proc/self/io"};
  std::string what;
  for (std::uint64_t n = 0; in >> what >> n;)
    if (what == "wchar:") return n;
  return 0;
}
/// Processor time of this process, in seconds.
double cpu_of_process() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }
void forget_peak_of_memory() { std::ofstream{"/proc/self/clear_refs"} << 5; }

/// What a run of the job below tells of itself.
struct run_marks {
  std::atomic<std::int64_t> first{0}, loaded{0}, settled{0}, ended{0}; ///< steady clock, ns
  std::atomic<std::uint64_t> memory_when_loaded{0}, written_when_settled{0}, written{0};
  std::atomic<double> cpu_when_settled{0}, cpu{0};
  std::atomic<std::uint64_t> seen{0};
};

std::int64_t now() { return system_clock().now().count(); }

class keep_profiles final : public keyed_process_function<std::int64_t, bid, bid> {
  value_state<profile> kept_ = state("profile");
  run_marks* marks_;
  std::uint64_t seen_ = 0, load_, settle_;

public:
  keep_profiles(run_marks* marks, std::uint64_t load, std::uint64_t settle)
      : marks_(marks), load_(load), settle_(load + settle) {}
  void process(const bid& b, context&, collector<bid>&) override {
    auto& p = kept_.edit();
    p.sum += b.price;
    p.history[static_cast<std::size_t>(++p.count) % p.history.size()] = b.price;
    if (++seen_ == 1) marks_->first = now();
    if (seen_ == load_) {
      marks_->memory_when_loaded = memory_of_process("VmRSS:");
      forget_peak_of_memory();
      marks_->loaded = now();
    }
    if (seen_ == settle_) {
      marks_->written_when_settled = written_by_process();
      marks_->cpu_when_settled = cpu_of_process();
      marks_->settled = now();
    }
  }
  void close() override {
    marks_->ended = now();
    marks_->written = written_by_process() - marks_->written_when_settled;
    marks_->cpu = cpu_of_process() - marks_->cpu_when_settled;
    marks_->seen += seen_;
  }
};

/// First every key once, then changes of some of the keys: those of `settle`, until a checkpoint has all keys, and
/// those that are measured.
struct load_then_change {
  std::int64_t keys, hot;
  bid operator()(std::uint64_t x, std::int64_t i) const noexcept {
    if (i < keys) return {i, 0, 1, i};
    auto b = make_bid(x, i, hot);
    b.auction = b.auction * (keys / hot); // all over the state
    return b;
  }
};

struct run_result {
  double rate = 0;
  double cpu = 0;          ///< seconds per million records
  double written = 0;      ///< bytes a second
  double extra_memory = 0; ///< share of what it was when the state was there
  checkpoint_statistics checkpoints;
  std::vector<double> durations; ///< of checkpoints that ended when the state was there, ms
};

run_result run_profiles(const options& o, std::int64_t keys, std::int64_t hot, std::uint64_t settle,
                        std::uint64_t records, const std::string& checkpoints) {
  auto cluster = std::make_shared<actors::embedded_cluster>(o.settings);
  run_marks marks;
  auto env = environment_on(cluster);
  if (!checkpoints.empty()) {
    if (!o.settings.is_set("execution.checkpointing.interval")) env.enable_checkpointing(std::chrono::seconds{1});
    env.configure("execution.checkpointing.dir", checkpoints);
    if (!o.settings.is_set("execution.checkpointing.incremental"))
      env.configure("execution.checkpointing.incremental", "true");
  }
  const load_then_change make{keys, hot};
  env.from(counted_source<bid, load_then_change>{static_cast<std::uint64_t>(keys) + settle + records, make}, "bids")
      .key_by(&bid::auction)
      .process<keep_profiles>(&marks, static_cast<std::uint64_t>(keys), settle)
      .sink_to([](const bid&) {});
  const auto job = env.execute_async();
  run_result out;
  std::uint64_t last = 0;
  while (!job->wait_for(std::chrono::milliseconds{20})) {
    const auto c = job->report().checkpoints;
    if (c.last_id != last && marks.settled != 0) out.durations.push_back(static_cast<double>(c.last_duration.count()));
    last = c.last_id;
  }
  job->wait().raise();
  out.checkpoints = job->report().checkpoints;
  out.rate = static_cast<double>(records) / (static_cast<double>(marks.ended - marks.settled) * 1e-9);
  out.cpu = marks.cpu / static_cast<double>(records) * 1e6;
  out.written = static_cast<double>(marks.written) / (static_cast<double>(marks.ended - marks.settled) * 1e-9);
  const auto before = static_cast<double>(marks.memory_when_loaded);
  out.extra_memory = (static_cast<double>(memory_of_process("VmHWM:")) - before) / before;
  return out;
}

figure checkpoints_every_second(const options& o, int percent) {
  const auto keys = static_cast<std::int64_t>(4e6 * o.scale);
  const auto hot = std::max<std::int64_t>(1, keys * percent / 100);
  const auto settle = static_cast<std::uint64_t>((percent == 1 ? 50e6 : 20e6) * o.scale);
  const auto records = static_cast<std::uint64_t>((percent == 1 ? 120e6 : 50e6) * o.scale);
  std::vector<double> ratios, with, without, memory, memory_without, durations, bytes, written, cpu;
  for (int i = 0; i < o.pairs; ++i) {
    const place_on_disk place;
    const auto a = run_profiles(o, keys, hot, settle, records, {});
    const auto b = run_profiles(o, keys, hot, settle, records, place.directory);
    without.push_back(a.rate);
    with.push_back(b.rate);
    ratios.push_back(b.rate / a.rate);
    memory.push_back(b.extra_memory);
    memory_without.push_back(a.extra_memory);
    durations.insert(durations.end(), b.durations.begin(), b.durations.end());
    bytes.push_back(static_cast<double>(b.checkpoints.last_bytes));
    written.push_back(b.written);
    cpu.push_back(b.cpu / a.cpu);
  }
  figure f;
  f.name = fmt::format("a checkpoint every second, {} % of the keys change", percent);
  f.records_per_second = median(with);
  f.hand_records_per_second = median(without);
  f.ratio = median(ratios);
  f.ratio_low = quantile(ratios, 0.25);
  f.ratio_high = quantile(ratios, 0.75);
  f.note = fmt::format("{:.0f} MiB in rows; hand: without checkpoints; memory +{:.0f} % (without: +{:.0f} %); {} "
                       "checkpoints, p50 {:.0f} ms, p99 {:.0f} ms; {:.0f} MiB/s written, the last has {:.0f} MiB; "
                       "processor time {:.2f} times that without",
                       static_cast<double>(keys) * (sizeof(profile) + key_bytes) / (1 << 20), median(memory) * 100,
                       median(memory_without) * 100, durations.size(), median(durations), quantile(durations, 0.99),
                       median(written) / (1 << 20), median(bytes) / (1 << 20), median(cpu));
  return f;
}

/// A savepoint of the same state, and from the start of the job to the first record with the state there.
figure restored(const options& o, const char* backend) {
  const auto keys = static_cast<std::int64_t>(4e6 * o.scale);
  const place_on_disk place;
  std::string savepoint;
  std::vector<double> seconds, memory;
  double bytes = 0, written_by = 0;
  for (int i = 0; i <= std::min(o.pairs, 5); ++i) {
    auto cluster = std::make_shared<actors::embedded_cluster>(o.settings);
    run_marks marks;
    auto env = environment_on(cluster);
    env.configure("state.backend.type", backend);
    if (i > 0) env.start_from(savepoint);
    env.generate([keys](std::int64_t at) {
         return bid{at % keys, 0, 1, at};
       })
        .uid("bids")
        .key_by(&bid::auction)
        .process<keep_profiles>(&marks, i == 0 ? static_cast<std::uint64_t>(keys) : 1, 0)
        .uid("profiles")
        .sink_to([](const bid&) {});
    const auto start = now();
    const auto job = env.execute_async();
    while (marks.loaded == 0)
      if (job->wait_for(std::chrono::milliseconds{1})) job->wait().raise();
    if (i == 0) {
      savepoint = job->stop_with_savepoint(place.directory);
      bytes = static_cast<double>(read_checkpoint_metadata(system_files(), savepoint).bytes());
      written_by = static_cast<double>(marks.memory_when_loaded);
    } else {
      memory.push_back(static_cast<double>(marks.memory_when_loaded));
      seconds.push_back(static_cast<double>(marks.first - start) * 1e-9);
      job->cancel();
    }
    job->wait();
  }
  figure f;
  f.name = fmt::format("restore of keyed state, {}", backend);
  f.note = fmt::format(
      "savepoint of {:.0f} MiB: p50 {:.2f} s, most {:.2f} s to the first record; the process has {:.0f} "
      "MiB then, {:.0f} MiB where the state was built",
      bytes / (1 << 20), median(seconds), quantile(seconds, 1), median(memory) / (1 << 20), written_by / (1 << 20));
  return f;
}

/// Throws once in the middle, and knows when; the sink knows when the next record came.
struct failing_once {
  std::int64_t at;
  std::atomic<std::int64_t>* thrown;
  bid operator()(const bid& b) const {
    if ((b.time == at || b.price == 50) && *thrown == 0) { // a sum keeps the time of its first record
      *thrown = now();
      throw std::runtime_error("on purpose");
    }
    return b;
  }
};

figure output_after_failure(const options& o, bool keyed) {
  std::vector<double> ms;
  for (int i = 0; i < std::max(10, o.pairs * 3); ++i) {
    auto cluster = std::make_shared<actors::embedded_cluster>(o.settings);
    std::atomic<std::int64_t> thrown{0}, again{0};
    auto env = environment_on(cluster);
    env.enable_checkpointing(std::chrono::milliseconds{100});
    env.configure("restart-strategy.type", "fixed-delay");
    env.configure("restart-strategy.fixed-delay.delay", "0 ms");
    env.configure("execution.buffer-timeout", "0 ms"); // what is measured is not how long a batch takes to fill
    auto source = env.generate(
        [](std::int64_t at) {
          return bid{at % 1000, 0, 1, at};
        },
        {.records_per_second = 100'000});
    const failing_once fails{50'000, &thrown};
    const auto sink = [&](const bid&) {
      if (thrown != 0 && again == 0) again = now();
    };
    if (keyed)
      source.key_by(&bid::auction).sum(&bid::price).map(fails).sink_to(sink);
    else
      source.map(fails).sink_to(sink);
    const auto job = env.execute_async();
    while (again == 0)
      if (job->wait_for(std::chrono::milliseconds{1})) job->wait().raise();
    ms.push_back(static_cast<double>(again - thrown) * 1e-6);
    job->cancel();
    job->wait();
  }
  figure f;
  f.name = keyed ? "exception to new output, a region with state" : "exception to new output, a region of one task";
  f.note = fmt::format("p50 {:.1f} ms, p90 {:.1f} ms, most {:.1f} ms of {}", median(ms), quantile(ms, 0.9),
                       quantile(ms, 1), ms.size());
  return f;
}

} // namespace

std::vector<figure> checkpoints(const options& o) {
  std::vector<figure> figures;
  const auto wanted = [&](const std::string& name) { return name.find(o.only) != std::string::npos; };
  const auto add = [&](figure f) {
    print(f);
    figures.push_back(std::move(f));
  };
  for (const int percent : {1, 10, 100})
    if (wanted(fmt::format("a checkpoint every second, {} % of the keys change", percent)))
      add(checkpoints_every_second(o, percent));
  for (const auto* backend : {"hashmap", "rocksdb"})
    if (wanted(fmt::format("restore of keyed state, {}", backend))) add(restored(o, backend));
  for (const bool keyed : {false, true})
    if (wanted("exception to new output")) add(output_after_failure(o, keyed));
  return figures;
}

} // namespace bench
