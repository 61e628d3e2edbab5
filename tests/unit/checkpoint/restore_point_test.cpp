#include <dataflow/checkpoint/completed_checkpoint_store.hpp>
#include <dataflow/checkpoint/restore_point.hpp>
#include <dataflow/config/configuration.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <doctest/doctest.h>

#include <tests/support/checkpoint_samples.hpp>
#include <tests/support/error_of.hpp>

using namespace dataflow;
using dataflow::test::error_of;

namespace {

/// Checkpoints of one job, as a run has left them.
struct left_checkpoints {
  left_checkpoints() : storage(std::make_unique<file_checkpoint_storage>(files, "/c", "job", 1, 0)) {
    storage->take_over(1);
  }
  object_handle shared_object() {
    auto out = storage->create("/c/job/chk-1", object_scope::shared, "sst");
    out->append("content");
    return out->finish();
  }
  std::string complete(std::uint64_t id, std::vector<object_handle> shared = {}) {
    const auto directory = storage->begin(id);
    auto m = test::write_sample(*storage, directory, id, 1);
    m.subtasks[0].shared = std::move(shared);
    storage->publish(directory, m);
    return directory;
  }
  bool has_shared(const object_handle& o) { return files.exists("/c/job/shared/" + o.name); }

  memory_file_system files;
  std::unique_ptr<file_checkpoint_storage> storage;
};

} // namespace

TEST_CASE("settings of what a job starts from") {
  configuration c;
  CHECK(restore_settings::from(c).path.empty());
  c.set("execution.savepoint.path", "/s"); // an older name
  c.set("execution.state-recovery.claim-mode", "CLAIM");
  c.set("execution.state-recovery.ignore-unclaimed-state", "true");
  const auto s = restore_settings::from(c);
  CHECK(s.path == "/s");
  CHECK(s.claim == claim_mode::claim);
  CHECK(s.allow_non_restored);
  const auto legacy = error_of([&] { c.set("execution.state-recovery.claim-mode", "LEGACY"); });
  CHECK(legacy.code() == errc::invalid_option);
  CHECK(legacy.to_string().find("LEGACY") != std::string::npos);
}

TEST_CASE("a checkpoint is disposed of with the shared objects that no other one names") {
  left_checkpoints left;
  const auto both = left.shared_object(), only = left.shared_object();
  const auto first = left.complete(1, {both}), second = left.complete(2, {both, only});
  CHECK(error_of([&] { dispose_savepoint(left.files, second); }).code() == errc::storage_locked);
  CHECK(left.files.exists(second));
  left.storage = nullptr; // the job has ended
  dispose_savepoint(left.files, second);
  CHECK_FALSE(left.files.exists(second));
  CHECK(left.has_shared(both));
  CHECK_FALSE(left.has_shared(only));
  dispose_savepoint(left.files, first + "/_metadata");
  CHECK_FALSE(left.has_shared(both));
}

TEST_CASE("what a job starts from is looked at before it starts") {
  left_checkpoints left;
  const auto path = left.complete(1);
  CHECK(open_restore_point(left.files, {.path = path}).metadata.id == 1); // also while its job runs
  const restore_settings claimed{.path = path, .claim = claim_mode::claim};
  CHECK(error_of([&] { open_restore_point(left.files, claimed); }).code() == errc::storage_locked);
  left.storage = nullptr;
  CHECK(open_restore_point(left.files, claimed).claim == claim_mode::claim);
  for (auto& p : left.files.paths())
    if (p.find(path) == 0 && p.find("_metadata") == std::string::npos) left.files.write_file(p, "shorter");
  CHECK(error_of([&] { open_restore_point(left.files, {.path = path}); }).code() == errc::corrupt_state);
}

TEST_CASE("a claimed checkpoint counts as the oldest of a job's own, and goes with its shared objects") {
  left_checkpoints left;
  const auto shared = left.shared_object();
  const auto path = left.complete(7, {shared});
  left.storage = nullptr;
  for (const auto end : {job_end::suspended, job_end::finished}) {
    file_checkpoint_storage own{left.files, "/c", "next", 2, 0};
    completed_checkpoint_store store{own, 2};
    store.recover(1);
    store.claim({7, path, std::make_shared<const checkpoint_metadata>(own.read(path))});
    CHECK_FALSE(store.latest()); // only own ones are
    const auto directory = own.begin(8);
    const auto m = test::write_sample(own, directory, 8, 1);
    own.publish(directory, m);
    store.add(8, directory, m);
    CHECK(left.files.exists(path));
    if (end == job_end::finished) {
      const auto later = own.begin(9);
      const auto more = test::write_sample(own, later, 9, 1);
      own.publish(later, more);
      store.add(9, later, more);
      CHECK_FALSE(left.files.exists(path));
      CHECK_FALSE(left.has_shared(shared));
    }
    store.shut_down(end, externalized_retention::no_externalized_checkpoints);
    CHECK(left.files.exists(path) == (end == job_end::suspended));
    if (end == job_end::suspended) own.remove_checkpoint(directory);
  }
}
