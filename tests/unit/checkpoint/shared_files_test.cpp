// Files of databases in checkpoints: stored once, named again only when they are certain to be there.
#include <dataflow/checkpoint/completed_checkpoint_store.hpp>
#include <dataflow/checkpoint/shared_files.hpp>
#include <dataflow/state/state_database.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <doctest/doctest.h>

#include <random>
#include <tests/support/error_of.hpp>
#include <tests/support/temporary_directory.hpp>
#include <tests/support/test_platform.hpp>

using namespace dataflow;

namespace {

object_handle shared_object(std::string name) { return {object_scope::shared, std::move(name), 10, 1, {}}; }
const shared_files::file_key first_file{"op", "0/1.sst"}, second_file{"op", "0/2.sst"};

/// A database of one operator whose subtask makes checkpoints.
struct checkpointed_database {
  checkpointed_database() { storage.take_over(1); }
  void put(std::uint64_t from, std::uint64_t to) {
    for (auto i = from; i < to; ++i)
      db->put(table, database_key(static_cast<std::uint32_t>(i % 128), std::to_string(i)),
              std::to_string(random()) + std::to_string(random()));
  }
  /// New bytes in the storage.
  std::uint64_t checkpoint(std::uint64_t id, bool completes = true) {
    const auto before = bytes();
    const auto directory = storage.begin(id);
    subtask_state s;
    auto& op = s.operators["op"].states;
    op.states["kept"].info = {"kept", state_kind::keyed, "string -> string"};
    op.databases.push_back({"0", db->snapshot(place / "snapshot"), {}, {0, 127}});
    const auto summary = store_subtask_state(s, storage, directory, "op", compression::none, id, &known);
    if (!completes) {
      known.aborted(id);
      checkpoint_actions::discard all{id, {}, summary.shared, true};
      all.options.directory = directory;
      all.objects.push_back(summary.object);
      store.discard(all, 1);
      return 0;
    }
    checkpoint_metadata m;
    m.id = id;
    m.job_id = "job";
    m.leader = 1;
    m.operators.resize(1);
    m.operators[0].uid = "op";
    m.operators[0].parts.resize(1);
    m.operators[0].parts[0].subtask = 0;
    m.operators[0].parts[0].states = summary.operators[0].states;
    m.subtasks.push_back({summary.object, summary.shared});
    storage.publish(directory, m);
    const auto after = bytes();
    store.add(id, directory, m);
    known.completed(id);
    latest = summary;
    return after - before;
  }
  std::uint64_t bytes() {
    std::uint64_t sum = 0;
    for (auto& path : files.paths())
      sum += files.status(path).size;
    return sum;
  }

  std::mt19937_64 random{5};
  test::manual_clock clock;
  test::temporary_directory place;
  std::shared_ptr<state_database_factory> factory = rocksdb_databases({.memory_bytes = 8 << 20, .deterministic = true});
  std::unique_ptr<state_database> db = factory->open(place / "db", clock);
  state_database::table table = db->open_table({"kept"});
  memory_file_system files;
  file_checkpoint_storage storage{files, "/c", "job", 1};
  completed_checkpoint_store store{storage, 2};
  shared_files known;
  subtask_summary latest;
};

} // namespace

TEST_CASE("a file is named again when the checkpoint that has it is known to be complete") {
  shared_files f;
  CHECK_FALSE(f.find(first_file, "root/job/chk-9"));
  f.stored(1, {{first_file, shared_object("a")}});
  CHECK_FALSE(f.find(first_file, "root/job/chk-9")); // it may still be given up
  f.completed(1);
  REQUIRE(f.find(first_file, "root/job/chk-9"));
  CHECK(f.find(first_file, "root/job/chk-9")->name == "a");
  f.stored(2, {{first_file, shared_object("a")}, {second_file, shared_object("b")}});
  CHECK(f.find(first_file, "root/job/chk-9")); // either way
  CHECK_FALSE(f.find(second_file, "root/job/chk-9"));
  f.aborted(2);
  CHECK(f.find(first_file, "root/job/chk-9"));
  CHECK_FALSE(f.find(second_file, "root/job/chk-9"));
  f.completed(2); // a word that comes too late
  CHECK_FALSE(f.find(second_file, "root/job/chk-9"));
}

TEST_CASE("objects of the job that a job was started from are not named by its own checkpoints") {
  shared_files f;
  f.restored({{first_file, shared_object("a")}}, "root/before/chk-3");
  CHECK_FALSE(f.find(first_file, "root/after/chk-1"));
  CHECK(f.find(first_file, "root/before/chk-4")); // a restart
  f.stored(1, {{first_file, shared_object("b")}});
  f.completed(1);
  REQUIRE(f.find(first_file, "root/after/chk-2"));
  CHECK(f.find(first_file, "root/after/chk-2")->name == "b");
}

TEST_CASE("a file that was stored a second time is not named until it is clear which of the two stays") {
  shared_files f;
  f.stored(1, {{first_file, shared_object("a")}});
  f.stored(2, {{first_file, shared_object("b")}}); // before 1 was known to be complete
  f.completed(1);
  CHECK_FALSE(f.find(first_file, "root/job/chk-9")); // when 2 completes, 1 goes, and "a" with it
  SUBCASE("the later checkpoint completes") {
    f.completed(2);
    REQUIRE(f.find(first_file, "root/job/chk-9"));
    CHECK(f.find(first_file, "root/job/chk-9")->name == "b");
  }
  SUBCASE("the later checkpoint is given up") {
    f.aborted(2);
    REQUIRE(f.find(first_file, "root/job/chk-9"));
    CHECK(f.find(first_file, "root/job/chk-9")->name == "a");
  }
}

TEST_CASE("a checkpoint of a database stores what has changed since the one before, and nothing that is still needed "
          "goes") {
  checkpointed_database d;
  d.put(0, 40'000);
  const auto all = d.checkpoint(1);
  CHECK(all > 500'000);
  const auto nothing = d.checkpoint(2);
  CHECK(nothing < 20'000); // manifest and metadata
  d.put(0, 400);
  const auto little = d.checkpoint(3);
  CHECK(little > nothing);
  CHECK(little < all / 20);
  d.put(0, 4000);
  const auto more = d.checkpoint(4);
  CHECK(more > 4 * (little - nothing));
  CHECK(more < all / 4);
  d.put(0, 400);
  d.checkpoint(5, false); // given up: what it stored is removed, what it shares is not
  d.put(0, 400);
  d.checkpoint(6);
  for (auto& c : d.store.retained())
    CHECK_NOTHROW(verify_checkpoint(d.storage, c.directory, *c.metadata, verification::content));
  d.db->compact(); // all files are new: the old ones go with the last checkpoint that has them
  const auto before = d.storage.shared_objects().size();
  CHECK(d.checkpoint(7) > all / 2);
  d.checkpoint(8);
  CHECK(d.storage.shared_objects().size() < before);
  for (auto& c : d.store.retained())
    CHECK_NOTHROW(verify_checkpoint(d.storage, c.directory, *c.metadata, verification::content));
}

TEST_CASE("files of a database are fetched as they were stored, or refused") {
  checkpointed_database d;
  d.put(0, 3000);
  d.checkpoint(1);
  operator_restore share;
  share.uid = "op";
  share.objects.push_back(d.latest.object);
  share.files.emplace_back(0, key_group_range{3, 70});
  const auto open = d.storage.opener("/c/job/chk-1");
  const auto found = files_of(share, open);
  REQUIRE(found.size() == 1);
  CHECK(found[0].store == "0");
  CHECK(found[0].groups == key_group_range{3, 70});
  fetch(found[0], open, d.place / "fetched");
  std::size_t rows = 0;
  read_database_files(d.place / "fetched", "kept", {0, 127}, [&](auto, auto) { ++rows; });
  CHECK(rows == 3000);
  read_database_files(d.place / "fetched", "another", {0, 127}, [&](auto, auto) { ++rows; });
  CHECK(rows == 3000);
  const auto shared = d.storage.shared_objects();
  REQUIRE(!shared.empty());
  auto bytes = d.files.read_file("/c/job/shared/" + shared[0]);
  bytes[bytes.size() / 2] ^= 1;
  d.files.write_file("/c/job/shared/" + shared[0], bytes);
  const auto e = test::error_of([&] { fetch(found[0], open, d.place / "again"); });
  CHECK(e.code() == errc::corrupt_state);
  CHECK(e.cause().find(shared[0]) != std::string::npos);
}
