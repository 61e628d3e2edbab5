// The file sink at every point where it can die: the k-th access to the disk fails, alone or with all that follow, with
// and without the loss of what was not synchronised. In the end every record is in exactly one finished file.
#include <dataflow/connectors/file_sink.hpp>
#include <dataflow/util/faulty_file_system.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <set>
#include <tests/support/effort.hpp>
#include <tests/support/sink_harness.hpp>

using namespace dataflow;
using dataflow::test::rounds;
using dataflow::test::sink_harness;
using dataflow::test::test_platform;
using dataflow::test::united;

namespace file_sink_crash_test {

struct stopped {}; // the moment of a death that no disk is part of

/// Runs the subtasks of one sink through batches and checkpoints, and starts them again from the last complete one
/// whenever something throws.
template <class Sink>
class little_job {
public:
  little_job(const Sink& sink, std::vector<std::uint32_t> parallelism)
      : make_(sink_operators(sink)), parallelism_(std::move(parallelism)) {
    world_.disk.remember_synced();
    world_.files = &faulty;
  }
  /// `death`: called before each step of the protocol; what it throws kills all.
  void run(
      bool power_fails, const std::function<void()>& death = [] {}) {
    for (int tries = 0;; ++tries) {
      REQUIRE(tries < 20);
      try {
        attempt(death);
        return;
      } catch (const stopped&) {
        die(power_fails);
      } catch (const error&) {
        die(power_fails);
      }
    }
  }
  /// Lines of finished files; and how many files there are that should not be.
  std::multiset<std::string> lines() const {
    std::multiset<std::string> all;
    auto& disk = const_cast<memory_file_system&>(world_.disk);
    for (auto& path : disk.paths()) {
      if (path.substr(0, 5) != "/out/") continue;
      if (path.find("/.in-progress/") != std::string::npos) {
        all.insert("left over: " + path);
        continue;
      }
      const auto text = disk.read_file(path);
      for (std::size_t at = 0; at < text.size();) {
        const auto end = text.find('\n', at);
        all.insert(text.substr(at, end - at));
        at = end == std::string::npos ? text.size() : end + 1;
      }
    }
    return all;
  }
  static std::multiset<std::string> expected() {
    std::multiset<std::string> all;
    for (std::size_t i = 0; i < batches * 3; ++i)
      all.insert(std::to_string(i));
    return all;
  }
  std::uint32_t deaths = 0;
  std::uint64_t second_fault = 0; ///< the call after the first death that fails, too
  test_platform world_;
  faulty_file_system faulty{world_.disk};

private:
  static constexpr std::size_t batches = 8;
  using subtask = sink_harness<std::string>;

  void attempt(const std::function<void()>& death) {
    const auto p = parallelism_[std::min<std::size_t>(deaths, parallelism_.size() - 1)];
    world_.time.advance(std::chrono::milliseconds{1});
    for (std::uint32_t i = 0; i < p; ++i)
      subtasks_.push_back(
          std::make_unique<subtask>(make_, world_, i, p, record_error_policy{}, deaths, restored_, true));
    for (auto batch = position_; batch < batches;) {
      std::vector<std::string> records;
      for (std::size_t i = 0; i < 3; ++i)
        records.push_back(std::to_string(batch * 3 + i));
      death();
      subtasks_[batch % p]->push(std::move(records));
      if (++batch % 2 == 0) checkpoint(batch, death);
    }
    for (auto& s : subtasks_)
      s->finish();
    const auto waits = [](auto& s) { return s->sink().awaits_checkpoint(); };
    while (std::any_of(subtasks_.begin(), subtasks_.end(), waits))
      checkpoint(batches, death);
    subtasks_.clear();
  }
  void checkpoint(std::size_t position, const std::function<void()>& death) {
    const auto id = next_checkpoint_++;
    std::vector<operator_snapshot> stored;
    for (auto& s : subtasks_) {
      death();
      stored.push_back(s->barrier(id));
    }
    death();
    restored_ = united(stored); // it is complete from here on
    position_ = position;
    for (auto& s : subtasks_) {
      death();
      s->sink().checkpoint_completed(id);
    }
  }
  void die(bool power_fails) {
    ++deaths;
    subtasks_.clear();
    faulty.heal();
    if (deaths == 1 && second_fault > 0) faulty.fail_from(second_fault);
    if (power_fails) world_.disk.lose_power();
  }

  operator_factory make_;
  std::vector<std::uint32_t> parallelism_; // of each attempt; the last one of all that follow
  std::vector<std::unique_ptr<subtask>> subtasks_;
  std::shared_ptr<const operator_snapshot> restored_;
  std::size_t position_ = 0;
  std::int64_t next_checkpoint_ = 1;
};

auto sink_of(const char* kind) {
  auto sink = file_sink<std::string>::lines("/out").bucket_by([](const std::string& record, const bucket_context&) {
    return std::string{record.size() % 2 == 0 ? "even" : "odd"};
  });
  const std::string_view k = kind;
  if (k == "on checkpoint") return sink.roll({.on_checkpoint = true});
  if (k == "by size") return sink.roll({.size = 7});
  if (k == "compacted") return sink.roll({.size = 5, .on_checkpoint = true}).compact({.size = 12, .checkpoints = 2});
  return sink;
}

constexpr const char* kinds[] = {"in progress to the end", "on checkpoint", "by size", "compacted"};

using crash_job = little_job<decltype(sink_of(""))>;

} // namespace file_sink_crash_test
using namespace file_sink_crash_test;

TEST_CASE("a file sink that dies at its k-th access to the disk writes every record once, for every k") {
  const std::vector<std::uint32_t> parallelisms[] = {{1}, {2}, {2, 3, 1}, {3, 1, 2}};
  std::uint64_t deaths = 0;
  for (const auto* kind : kinds)
    for (auto& parallelism : parallelisms)
      for (const bool all_that_follow : {false, true})
        for (const bool power_fails : {false, true}) {
          std::uint64_t k = 1;
          for (;; k += rounds(10) == 1 ? 7 : 1) {
            CAPTURE(kind);
            CAPTURE(parallelism.size());
            CAPTURE(all_that_follow);
            CAPTURE(power_fails);
            CAPTURE(k);
            crash_job job{sink_of(kind), parallelism};
            if (all_that_follow)
              job.faulty.fail_from(k);
            else
              job.faulty.fail_any(k);
            job.run(power_fails);
            REQUIRE(job.lines() == crash_job::expected());
            deaths += job.deaths;
            if (job.deaths == 0) break;
          }
          CHECK(k > 20);
        }
  CHECK(deaths > 500 / (rounds(10) == 1 ? 7 : 1));
}

TEST_CASE("a file sink that dies again while it starts writes every record once") {
  for (const auto* kind : kinds)
    for (std::uint64_t first = 1; first < 100; first += 9)
      for (std::uint64_t second = 1; second < 12; ++second) {
        CAPTURE(kind);
        CAPTURE(first);
        CAPTURE(second);
        crash_job job{sink_of(kind), {2}};
        job.faulty.fail_from(first);
        job.second_fault = second;
        job.run(true);
        REQUIRE(job.lines() == crash_job::expected());
      }
}

TEST_CASE("a file sink that dies between two steps of the protocol writes every record once") {
  for (const auto* kind : kinds)
    for (const bool power_fails : {false, true})
      for (int at = 1;; ++at) {
        CAPTURE(kind);
        CAPTURE(power_fails);
        CAPTURE(at);
        crash_job job{sink_of(kind), {2, 2, 3}};
        int step = 0;
        job.run(power_fails, [&] {
          if (++step == at) throw stopped{};
        });
        REQUIRE(job.lines() == crash_job::expected());
        if (job.deaths == 0) {
          CHECK(at > 20);
          break;
        }
      }
}
