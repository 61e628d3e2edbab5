// What is noted of the output that a savepoint publishes when it stops the job.
#include <dataflow/checkpoint/published_output.hpp>
#include <dataflow/checkpoint/restore_point.hpp>
#include <dataflow/connectors/committing_sink.hpp>
#include <dataflow/util/log.hpp>

#include "tests/fault/savepoint_lab.hpp"

using namespace dataflow;
using namespace dataflow::test;

namespace published_at_stop_test {

/// What the committers saw in the job's directory when they published.
struct seen_notes {
  memory_file_system* files = nullptr;
  std::vector<std::uint64_t> checkpoints; ///< 0: none was there
  std::uint64_t noted() const {
    std::uint64_t highest = 0;
    for (auto& path : files->paths())
      if (path.find("/_published-") != std::string::npos)
        highest = std::max(highest, decode_published_output(files->read_file(path)).checkpoint);
    return highest;
  }
};

struct counting_writer final : committing_writer<std::int64_t, std::int64_t> {
  std::int64_t n = 0;
  void write(const std::int64_t&, timestamp) override { ++n; }
  std::vector<std::int64_t> prepare_commit() override {
    if (n == 0) return {};
    return {std::exchange(n, 0)};
  }
};
struct looking_committer final : committer<std::int64_t> {
  seen_notes* notes;
  explicit looking_committer(seen_notes* s) : notes(s) {}
  void commit(std::vector<commit_request<std::int64_t>>&) override { notes->checkpoints.push_back(notes->noted()); }
};
struct looking_sink : committing_sink<std::int64_t, std::int64_t> {
  seen_notes* notes;
  explicit looking_sink(seen_notes& s) : notes(&s) { delivery_ = delivery_guarantee::exactly_once; }
  std::unique_ptr<counting_writer> make_writer(delivery_guarantee) const { return std::make_unique<counting_writer>(); }
  std::unique_ptr<looking_committer> make_committer(delivery_guarantee) const {
    return std::make_unique<looking_committer>(notes);
  }
};

} // namespace published_at_stop_test

using namespace published_at_stop_test;

TEST_CASE("what a stopping savepoint publishes is noted before it is published") {
  log_capture quiet;
  for (const bool drain : {false, true}) {
    CAPTURE(drain);
    lab l;
    seen_notes notes{&l.cluster->files(), {}};
    auto env = l.env();
    env.enable_checkpointing(1h);
    env.configure("execution.checkpointing.dir", "/checkpoints");
    env.generate([](std::int64_t i) { return i; }, {.count = all_numbers, .records_per_second = 3000})
        .sink_to(looking_sink{notes})
        .uid("looking");
    auto job = env.execute_async("job");
    l.cluster->run_for(50ms);
    CHECK(notes.noted() == 0);
    const auto path = job->stop_with_savepoint("/savepoints", drain);
    CHECK(job->wait().status == job_status::finished);
    const auto id = open_restore_point(l.cluster->files(), {path}).metadata.id;
    REQUIRE(!notes.checkpoints.empty());
    for (auto noted : notes.checkpoints)
      CHECK(noted == id);
  }
}
