#include <dataflow/checkpoint/completed_checkpoint_store.hpp>
#include <dataflow/util/faulty_file_system.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <doctest/doctest.h>

#include <tests/support/checkpoint_samples.hpp>
#include <tests/support/error_of.hpp>

using namespace dataflow;
using dataflow::test::error_of;

namespace {

struct kept_checkpoints {
  explicit kept_checkpoints(std::uint32_t retained = 2) : retained_(retained) { restart(); }
  /// The job master dies and comes back.
  completed_checkpoint_store::recovery restart(verification how = verification::objects) {
    store.reset();
    storage.reset();
    storage = std::make_unique<file_checkpoint_storage>(files, "/c", "job", ++token, 0);
    store = std::make_unique<completed_checkpoint_store>(*storage, retained_);
    return store->recover(token, how);
  }
  object_handle shared_object(const std::string& directory) {
    auto out = storage->create(directory, object_scope::shared, "sst");
    out->append("content");
    return out->finish();
  }
  void complete(std::uint64_t id, std::vector<object_handle> shared = {}) {
    const auto directory = storage->begin(id);
    auto m = test::write_sample(*storage, directory, id, token);
    m.subtasks[0].shared = std::move(shared);
    storage->publish(directory, m);
    store->add(id, directory, m);
  }
  std::vector<std::uint64_t> on_disk() {
    std::vector<std::uint64_t> out;
    for (auto& c : storage->list())
      out.push_back(c.id);
    return out;
  }
  std::vector<std::uint64_t> retained() {
    std::vector<std::uint64_t> out;
    for (auto& c : store->retained())
      out.push_back(c.id);
    return out;
  }
  bool has_shared(const object_handle& o) { return memory.exists("/c/job/shared/" + o.name); }

  memory_file_system memory;
  faulty_file_system files{memory};
  std::uint64_t token = 0;
  std::unique_ptr<file_checkpoint_storage> storage;
  std::unique_ptr<completed_checkpoint_store> store;

private:
  std::uint32_t retained_;
};

using id_list = std::vector<std::uint64_t>;

} // namespace

TEST_CASE("the newest checkpoints are kept, older ones are removed") {
  kept_checkpoints c;
  CHECK_FALSE(c.store->latest());
  for (std::uint64_t id = 1; id <= 5; ++id) {
    c.complete(id);
    CHECK(c.store->latest()->id == id);
  }
  CHECK(c.on_disk() == id_list{5, 4});
  const auto r = c.restart();
  CHECK(r.latest->id == 5);
  CHECK(r.next_id == 6);
  CHECK(r.skipped.empty());
  CHECK(c.retained() == id_list{4, 5});
  c.complete(7);
  c.complete(6); // completed out of order
  CHECK(c.retained() == id_list{6, 7});
}

TEST_CASE("a damaged newest checkpoint is passed over, and the caller is told why") {
  struct damage {
    const char* name;
    void (*happen)(kept_checkpoints& c);
    const char* cause;
  };
  const damage cases[] = {
      {"a bit of the metadata", [](auto& c) { test::flip(c.memory, "/c/job/chk-3/_metadata", 200, 3); },
       "the metadata is not what was written"},
      {"torn metadata", [](auto& c) { c.memory.write_file("/c/job/chk-3/_metadata", "DFCHKPNT"); }, "cut short"},
      {"empty metadata", [](auto& c) { c.memory.write_file("/c/job/chk-3/_metadata", ""); }, "cut short"},
      {"an object is gone",
       [](auto& c) { c.memory.remove("/c/job/chk-3/" + c.storage->read("/c/job/chk-3").subtasks[0].object.name); },
       "is not there"},
      {"an object is cut short",
       [](auto& c) {
         c.memory.write_file("/c/job/chk-3/" + c.storage->read("/c/job/chk-3").subtasks[0].object.name, "x");
       },
       "has 1 bytes instead of"},
      {"the metadata of another one",
       [](auto& c) { c.memory.write_file("/c/job/chk-3/_metadata", c.memory.read_file("/c/job/chk-2/_metadata")); },
       "holds the metadata of checkpoint 2"},
  };
  for (auto& d : cases) {
    CAPTURE(d.name);
    kept_checkpoints c;
    for (std::uint64_t id = 1; id <= 3; ++id)
      c.complete(id);
    d.happen(c);
    const auto r = c.restart();
    REQUIRE(r.latest);
    CHECK(r.latest->id == 2);
    CHECK(r.next_id == 4); // never again the number of a damaged one
    REQUIRE(r.skipped.size() == 1);
    CHECK(r.skipped[0].id == 3);
    CHECK(r.skipped[0].why.cause().find(d.cause) != std::string::npos);
    CHECK(c.on_disk() == id_list{3, 2}); // kept for people to look at
    c.complete(4);
    CHECK(c.on_disk() == id_list{4, 3, 2}); // until there are enough newer ones
    c.complete(5);
    CHECK(c.on_disk() == id_list{5, 4});
  }
}

TEST_CASE("an attempt that was never published is no checkpoint and is removed") {
  kept_checkpoints c;
  c.complete(1);
  const auto directory = c.storage->begin(2);
  test::write_sample(*c.storage, directory, 2, c.token);
  const auto r = c.restart();
  CHECK(r.latest->id == 1);
  CHECK(r.next_id == 3);
  CHECK(r.skipped.empty());
  CHECK(r.removed == std::vector<std::string>{"/c/job/chk-2"});
  CHECK(c.on_disk() == id_list{1});
}

TEST_CASE("all checkpoints damaged: nothing is left to start from, and all are named") {
  kept_checkpoints c;
  c.complete(1);
  c.complete(2);
  test::flip(c.memory, "/c/job/chk-1/_metadata", 50);
  test::flip(c.memory, "/c/job/chk-2/_metadata", 50);
  const auto r = c.restart();
  CHECK_FALSE(r.latest);
  CHECK(r.skipped.size() == 2);
  CHECK(r.next_id == 3);
}

TEST_CASE("a checkpoint of a later format is not passed over") {
  kept_checkpoints c;
  c.complete(1);
  c.complete(2);
  auto bytes = c.memory.read_file("/c/job/chk-2/_metadata");
  bytes[8] = 9;
  bytes.resize(bytes.size() - 8);
  byte_writer sum;
  sum.fixed(stored_checksum(bytes));
  c.memory.write_file("/c/job/chk-2/_metadata", bytes + sum.buffer());
  const auto e = error_of([&] { c.restart(); });
  CHECK(e.code() == errc::newer_format);
  CHECK(e.cause().find("version 9") != std::string::npos);
}

TEST_CASE("a checkpoint that a restore finds damaged is not used again") {
  kept_checkpoints c;
  c.complete(1);
  c.complete(2);
  c.store->reject(2, error{errc::corrupt_state, "bytes changed"});
  CHECK(c.store->latest()->id == 1);
  REQUIRE(c.store->rejected().size() == 1);
  CHECK(c.store->rejected()[0].id == 2);
  c.store->reject(17, error{errc::corrupt_state, "nobody"});
  CHECK(c.store->rejected().size() == 1);
}

TEST_CASE("shared objects of a damaged checkpoint stay as long as it does: tasks may go on from it") {
  kept_checkpoints c;
  c.complete(1);
  c.storage->begin(2);
  const auto a = c.shared_object("/c/job/chk-2");
  c.complete(2, {a});
  c.store->reject(2, error{errc::corrupt_state, "bytes changed"});
  CHECK(c.store->references(a.name) == 1);
  checkpoint_actions::discard given_up{3, {}, {a}, false}; // it named the object, too
  c.store->discard(given_up, 1);
  CHECK(c.has_shared(a));
  c.complete(4);
  c.complete(5);
  CHECK(c.store->rejected().empty());
  CHECK_FALSE(c.has_shared(a));
}

TEST_CASE("shared objects go with the last checkpoint that names them, also over restarts") {
  kept_checkpoints c;
  c.storage->begin(1);
  const auto a = c.shared_object("/c/job/chk-1"), b = c.shared_object("/c/job/chk-1");
  c.complete(1, {a, b});
  c.complete(2, {a});
  CHECK(c.store->references(a.name) == 2);
  CHECK(c.store->references(b.name) == 1);
  c.restart();
  CHECK(c.store->references(a.name) == 2);
  CHECK(c.store->references(b.name) == 1);
  c.complete(3, {a}); // 1 goes
  CHECK(c.has_shared(a));
  CHECK_FALSE(c.has_shared(b));
  c.restart();
  c.complete(4);
  CHECK(c.has_shared(a)); // named by 3
  c.complete(5);
  CHECK_FALSE(c.has_shared(a));
}

TEST_CASE("shared objects that nothing names are cleaned up, but not while a checkpoint is damaged") {
  kept_checkpoints c;
  c.storage->begin(1);
  const auto named = c.shared_object("/c/job/chk-1"), orphan = c.shared_object("/c/job/chk-1");
  c.complete(1);
  c.complete(2, {named});
  test::flip(c.memory, "/c/job/chk-1/_metadata", 50);
  c.restart();
  CHECK(c.has_shared(orphan)); // perhaps the damaged one's
  c.complete(3, {named});
  c.complete(4, {named}); // the damaged one is gone
  const auto r = c.restart();
  CHECK(c.has_shared(named));
  CHECK_FALSE(c.has_shared(orphan));
  CHECK(r.removed == std::vector<std::string>{orphan.name});
}

TEST_CASE("what an aborted checkpoint wrote is discarded, shared objects of others stay") {
  kept_checkpoints c;
  c.storage->begin(1);
  const auto kept = c.shared_object("/c/job/chk-1");
  c.complete(1, {kept});
  const auto directory = c.storage->begin(2);
  const auto m = test::write_sample(*c.storage, directory, 2, c.token);
  const auto fresh = c.shared_object(directory);
  checkpoint_options options;
  options.directory = directory;
  c.store->discard({2, options, {m.subtasks[0].object, kept, fresh}, false}, c.token);
  CHECK(c.has_shared(kept));
  CHECK_FALSE(c.has_shared(fresh));
  CHECK_FALSE(c.memory.exists(directory + "/" + m.subtasks[0].object.name));
  CHECK(c.memory.exists(directory + "/" + m.subtasks[1].object.name));
  c.store->discard({2, options, {}, true}, c.token);
  CHECK_FALSE(c.memory.exists(directory));
}

TEST_CASE("a disk that does not remove things is asked again") {
  kept_checkpoints c{1};
  c.complete(1);
  const auto directory = c.storage->begin(2);
  const auto m = test::write_sample(*c.storage, directory, 2, c.token);
  c.storage->publish(directory, m);
  c.files.fail_call(faulty_file_system::call::remove, 1);
  c.store->add(2, directory, m);
  CHECK(c.store->left_over() == 1);
  CHECK(c.on_disk() == id_list{2, 1});
  CHECK(c.store->latest()->id == 2);
  c.complete(3);
  CHECK(c.store->left_over() == 0);
  CHECK(c.on_disk() == id_list{3});
}

TEST_CASE("what becomes of checkpoints at the end of a job") {
  using enum externalized_retention;
  using enum job_end;
  struct row {
    externalized_retention retention;
    job_end end;
    bool removed;
  };
  for (auto& r : std::initializer_list<row>{
           {no_externalized_checkpoints, finished, true},
           {no_externalized_checkpoints, failed, true},
           {no_externalized_checkpoints, canceled, true},
           {no_externalized_checkpoints, suspended, false},
           {delete_on_cancellation, finished, true},
           {delete_on_cancellation, failed, false},
           {delete_on_cancellation, canceled, true},
           {delete_on_cancellation, suspended, false},
           {retain_on_cancellation, finished, true},
           {retain_on_cancellation, failed, false},
           {retain_on_cancellation, canceled, false},
           {retain_on_cancellation, suspended, false},
       }) {
    CHECK(removes_checkpoints(r.retention, r.end) == r.removed);
    kept_checkpoints c;
    c.complete(1);
    c.complete(2);
    c.store->shut_down(r.end, r.retention);
    CHECK(c.memory.exists("/c/job/chk-2/_metadata") != r.removed);
    CHECK(c.memory.exists("/c/job") != r.removed);
  }
}
