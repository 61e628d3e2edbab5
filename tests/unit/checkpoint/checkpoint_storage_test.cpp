#include <dataflow/util/faulty_file_system.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <doctest/doctest.h>

#include <set>
#include <tests/support/checkpoint_samples.hpp>
#include <tests/support/error_of.hpp>
#include <tests/support/temporary_directory.hpp>
#include <thread>

using namespace dataflow;
using dataflow::test::error_of;

namespace {

/// A job's storage in memory, taken over.
struct in_memory {
  explicit in_memory(std::uint64_t threshold = 0) : storage(files, "/c", "job", 1, threshold) { storage.take_over(1); }
  std::string publish(std::uint64_t id, std::uint64_t leader = 1) {
    auto directory = storage.begin(id);
    storage.publish(directory, test::write_sample(storage, directory, id, leader));
    return directory;
  }
  memory_file_system files;
  file_checkpoint_storage storage;
};

std::vector<std::uint64_t> ids(const std::vector<stored_checkpoint>& all) {
  std::vector<std::uint64_t> out;
  for (auto& c : all)
    if (c.published) out.push_back(c.id);
  return out;
}

} // namespace

TEST_CASE("a published checkpoint lies where Flink puts it, and is read and verified") {
  for (auto threshold : {0, 1 << 20}) {
    in_memory c{static_cast<std::uint64_t>(threshold)};
    const auto directory = c.publish(12);
    CHECK(directory == "/c/job/chk-12");
    for (auto path : {"/c/job/chk-12/_metadata", "/c/job/shared", "/c/job/taskowned"})
      CHECK_MESSAGE(c.files.exists(path), path);
    CHECK(c.files.list(directory).size() == (threshold == 0 ? 3 : 1)); // small objects stand in the metadata
    for (auto spelling : {"/c/job/chk-12", "/c/job/chk-12/", "/c/job/chk-12/_metadata", "file:///c/job/chk-12",
                          "file:/c/job/chk-12/_metadata"}) {
      CAPTURE(spelling);
      const auto m = c.storage.read(spelling);
      CHECK(m.id == 12);
      CHECK_NOTHROW(verify_checkpoint(c.storage, directory, m, verification::content));
    }
  }
}

TEST_CASE("objects get names that nobody else has, and go when they are not finished") {
  in_memory c;
  file_checkpoint_storage other{c.files, "/c", "job", 2, 0};
  const auto directory = c.storage.begin(1);
  std::set<std::string> names;
  for (int i = 0; i < 100; ++i)
    for (auto* storage : {&c.storage, &other}) {
      auto out = storage->create(directory, object_scope::exclusive, "Map -> \"x\"/1");
      out->append(std::string(i % 2 * 300'000 + 1, 'x'));
      const auto h = out->finish();
      CHECK(names.insert(h.name).second);
      CHECK(h.name.find('/') == std::string::npos);
      CHECK(h.checksum == stored_checksum(std::string(h.size, 'x')));
    }
  {
    auto out = c.storage.create(directory, object_scope::shared, "left");
    out->append(std::string(300'000, 'x'));
    CHECK(c.files.list("/c/job/shared").size() == 1);
  }
  CHECK(c.files.list("/c/job/shared").empty());
  CHECK(error_of([&] { c.storage.create(directory, object_scope::inlined, ""); }).code() == errc::internal);
}

TEST_CASE("small exclusive objects stand in the metadata, others and shared ones have files") {
  in_memory c{100};
  const auto directory = c.storage.begin(1);
  const auto write = [&](object_scope scope, std::size_t size) {
    auto out = c.storage.create(directory, scope, "o");
    out->append(std::string(size, 'x'));
    return out->finish();
  };
  CHECK(write(object_scope::exclusive, 100).scope == object_scope::inlined);
  CHECK(write(object_scope::exclusive, 100).bytes == std::string(100, 'x'));
  CHECK(write(object_scope::exclusive, 101).scope == object_scope::exclusive);
  const auto shared = write(object_scope::shared, 1);
  CHECK(shared.scope == object_scope::shared);
  CHECK(c.storage.open(directory, shared)->size() == 1);
  CHECK(c.storage.shared_objects() == std::vector<std::string>{shared.name});
  const auto owned = write(object_scope::task_owned, 1);
  c.storage.remove(directory, owned);
  CHECK(c.files.exists("/c/job/taskowned/" + owned.name)); // never removed by the engine
  c.storage.remove(directory, shared);
  CHECK(c.storage.shared_objects().empty());
}

TEST_CASE("a second job in the same directory is refused until the first is gone") {
  const auto check = [](file_system& files, const std::string& root) {
    auto first = std::make_unique<file_checkpoint_storage>(files, root, "job", 1);
    first->take_over(1);
    file_checkpoint_storage second{files, root, "job", 2};
    const auto e = error_of([&] { second.take_over(2); });
    CHECK(e.code() == errc::storage_locked);
    CHECK(e.cause().find(root + "/job") != std::string::npos);
    CHECK_NOTHROW(file_checkpoint_storage(files, root, "other job", 3).take_over(1));
    first.reset();
    CHECK_NOTHROW(second.take_over(2));
  };
  memory_file_system memory;
  check(memory, "/c");
  test::temporary_directory disk;
  check(system_files(), disk.path());
}

TEST_CASE("what a leader publishes after another has taken over does not count") {
  memory_file_system files;
  auto old = std::make_unique<file_checkpoint_storage>(files, "/c", "job", 1);
  CHECK(old->take_over(5).empty());
  auto directory = old->begin(1);
  old->publish(directory, test::write_sample(*old, directory, 1, 5));

  // A zombie has passed its check and is about to publish when the next leader takes over.
  file_checkpoint_storage zombie{files, "/c", "job", 9}; // without the lock: on a disk that does not know locks
  directory = zombie.begin(2);
  const auto late = test::write_sample(zombie, directory, 2, 5);
  old.reset();
  file_checkpoint_storage next{files, "/c", "job", 2};
  CHECK(ids(next.take_over(6)) == std::vector<std::uint64_t>{1});
  CHECK(error_of([&] { zombie.publish(directory, late); }).code() == errc::stale_message);
  files.put_if_absent("/c/job/chk-2/_metadata", encode(late)); // what it would have done a moment earlier
  CHECK(error_of([&] { next.begin(2); }).code() == errc::checkpoint_failed);
  directory = next.begin(3);
  next.publish(directory, test::write_sample(next, directory, 3, 6));
  CHECK(error_of([&] { zombie.take_over(5); }).code() == errc::storage_locked);
}

TEST_CASE("an elected leader takes over from one that is only stopped, which then changes nothing any more") {
  memory_file_system files;
  const auto storage = [&](std::uint64_t seed) {
    return std::make_unique<file_checkpoint_storage>(files, "/c", "job", seed, 20 * 1024, nullptr, takeover::by_token);
  };
  auto stopped = storage(1);
  stopped->take_over(5);
  const auto kept = stopped->begin(1);
  stopped->publish(kept, test::write_sample(*stopped, kept, 1, 5));
  const auto half = stopped->begin(2);

  auto next = storage(2);
  CHECK(ids(next->take_over(6)) == std::vector<std::uint64_t>{1});
  const auto own = next->begin(3);
  const auto metadata = test::write_sample(*next, own, 3, 6);
  files.write_file("/c/job/shared/needed", "x");
  // It goes on where it stood.
  const auto refused = [&](auto change) { CHECK(error_of(change).code() == errc::stale_message); };
  refused([&] { stopped->begin(3); }); // would empty it
  refused([&] { stopped->publish(half, test::write_sample(*stopped, half, 2, 5)); });
  refused([&] { stopped->discard(own, 5); });
  refused([&] { stopped->remove_checkpoint(kept); });
  refused([&] { stopped->remove_shared("needed"); });
  refused([&] { stopped->remove(own, {object_scope::shared, "needed", 1, 0, {}}); });
  refused([&] { stopped->note_published({7, {}}); });
  refused([&] { stopped->release(); });
  refused([&] { stopped->take_over(5); });
  next->publish(own, metadata);
  CHECK_NOTHROW(verify_checkpoint(*next, own, next->read(own), verification::content));
  CHECK(next->published().checkpoint == 0);
  CHECK(files.exists("/c/job/shared/needed"));
  CHECK(ids(next->list()) == std::vector<std::uint64_t>{3, 1});

  // The directory is locked by the new one as soon as the old one is gone.
  stopped.reset();
  next->begin(4);
  CHECK(files.lock("/c/job/_lock") == nullptr);
  // One may be stopped before it has left a note.
  files.create_directories("/c/other");
  const auto held = files.lock("/c/other/_lock");
  REQUIRE(held);
  CHECK_NOTHROW(file_checkpoint_storage(files, "/c", "other", 1, 0, nullptr, takeover::by_token).take_over(7));
  CHECK(error_of([&] { file_checkpoint_storage(files, "/c", "other", 3).take_over(7); }).code() ==
        errc::storage_locked);
  // Only an election gives that right.
  CHECK(error_of([&] { file_checkpoint_storage(files, "/c", "job", 3).take_over(7); }).code() == errc::storage_locked);
}

TEST_CASE("a checkpoint of a replaced leader is left out when the directory is taken over again") {
  memory_file_system files;
  const auto publish = [&](file_checkpoint_storage& s, std::uint64_t id, std::uint64_t leader) {
    files.create_directories("/c/job/chk-" + std::to_string(id));
    const auto directory = "/c/job/chk-" + std::to_string(id);
    files.put_if_absent(directory + "/_metadata", encode(test::write_sample(s, directory, id, leader)));
  };
  {
    file_checkpoint_storage s{files, "/c", "job", 1};
    s.take_over(5);
    publish(s, 1, 5);
  }
  {
    file_checkpoint_storage s{files, "/c", "job", 2};
    s.take_over(6);   // goes on from 1
    publish(s, 2, 5); // the zombie of 5
    publish(s, 3, 6);
  }
  {
    file_checkpoint_storage s{files, "/c", "job", 3};
    CHECK(ids(s.take_over(7)) == std::vector<std::uint64_t>{3, 1});
    CHECK(ids(s.list()) == std::vector<std::uint64_t>{3, 2, 1});
  }
  file_checkpoint_storage s{files, "/c", "job", 4};
  const auto e = error_of([&] { s.take_over(6); });
  CHECK(e.code() == errc::stale_message);
}

TEST_CASE("a checkpoint is published once, and never when something failed before") {
  memory_file_system memory;
  faulty_file_system files{memory};
  file_checkpoint_storage storage{files, "/c", "job", 1, 0};
  storage.take_over(1);
  // Every call of the file system fails in turn: either nothing is there, or all of it.
  std::size_t published = 0;
  for (std::uint64_t k = 1; k < 200 && published < 3; ++k) {
    const auto path = "/c/job/chk-" + std::to_string(k);
    files.fail_any(k);
    const auto e = error_of([&] {
      const auto directory = storage.begin(k);
      storage.publish(directory, test::write_sample(storage, directory, k, 1));
    });
    files.heal();
    const bool there = memory.exists(path + "/_metadata");
    CHECK((e || there));
    if (there) CHECK_NOTHROW(verify_checkpoint(storage, path, storage.read(path), verification::content));
    if (!e) ++published;
    storage.discard(path, 1); // also one that is there although the caller was told that it failed
    CHECK_FALSE(memory.exists(path));
  }
  CHECK(published == 3);
  const auto directory = storage.begin(900);
  const auto m = test::write_sample(storage, directory, 900, 1);
  storage.publish(directory, m);
  CHECK(error_of([&] { storage.publish(directory, m); }).code() == errc::checkpoint_failed);
  storage.discard(directory, 2); // another leader's
  CHECK(memory.exists(directory + "/_metadata"));
}

TEST_CASE("a full disk is reported as such and leaves no checkpoint") {
  for (std::uint64_t room = 0; room < 3000; room += 100) {
    memory_file_system memory;
    faulty_file_system files{memory};
    file_checkpoint_storage storage{files, "/c", "job", 1, 0};
    storage.take_over(1);
    files.disk_full_after(room);
    const auto e = error_of([&] {
      const auto directory = storage.begin(1);
      storage.publish(directory, test::write_sample(storage, directory, 1, 1));
    });
    if (e) CHECK(e.code() == errc::disk_full);
    CHECK(memory.exists("/c/job/chk-1/_metadata") == !e);
  }
}

TEST_CASE("wrong paths of checkpoints are explained") {
  in_memory c;
  c.publish(1);
  c.storage.begin(2);
  auto out = c.storage.create("/c/job/chk-2", object_scope::exclusive, "o");
  out->append("half");
  out->finish();
  c.storage.begin(3);
  c.files.write_file("/c/file", "text");
  const auto cause = [&](std::string_view path) {
    return error_of([&] { read_checkpoint_metadata(c.files, path); }).to_string();
  };
  CHECK(cause("/c/nowhere") ==
        "file_not_found: there is no checkpoint or savepoint '/c/nowhere' (name the directory that "
        "holds its _metadata)");
  CHECK(cause("/c/file") ==
        "invalid_argument: '/c/file' is not a checkpoint or savepoint (name the directory that holds its _metadata)");
  CHECK(cause("/c/job/chk-2") == "file_not_found: '/c/job/chk-2' holds no complete checkpoint or savepoint: it has no "
                                 "_metadata (it was never completed or is half deleted: use another one)");
  CHECK(cause("/c/job/chk-3/_metadata").find("it is empty") != std::string::npos);
  test::flip(c.files, "/c/job/chk-1/_metadata", 100);
  CHECK(cause("/c/job/chk-1") == "corrupt_state: '/c/job/chk-1': the metadata is not what was written (restore from "
                                 "another checkpoint)");
}

TEST_CASE("verification finds objects that are gone, cut short or changed") {
  const auto damage = [](auto&& f, verification how) {
    in_memory c;
    const auto directory = c.publish(1);
    const auto m = c.storage.read(directory);
    f(c, directory + "/" + m.subtasks[1].object.name);
    return error_of([&] { verify_checkpoint(c.storage, directory, m, how); });
  };
  for (auto how : {verification::objects, verification::content}) {
    CHECK(damage([](auto& c, auto path) { c.files.remove(path); }, how).code() == errc::corrupt_state);
    CHECK(damage([](auto& c, auto path) { c.files.write_file(path, "short"); }, how).code() == errc::corrupt_state);
    CHECK(damage([](auto& c, auto path) { test::flip(c.files, path, c.files.status(path).size - 60); }, how).code() ==
          errc::corrupt_state); // in the index
    CHECK_FALSE(damage([](auto&, auto) {}, how));
  }
  const auto in_a_part = [](auto& c, auto path) { test::flip(c.files, path, 20); };
  CHECK(damage(in_a_part, verification::content).code() == errc::corrupt_state);
  CHECK_FALSE(damage(in_a_part, verification::objects)); // found when it is read
}

TEST_CASE("a directory that cannot be made or written is reported with its path") {
  memory_file_system files;
  files.write_file("/c", "a file");
  file_checkpoint_storage storage{files, "/c", "job", 1};
  const auto e = error_of([&] { storage.take_over(1); });
  CHECK(e.cause().find("cannot use the checkpoint directory '/c/job'") == 0);
}

TEST_CASE("savepoints get directories of their own") {
  in_memory c{1 << 20};
  const auto a = c.storage.begin_savepoint("/s", "0123456789", 0xABCDEF012345);
  CHECK(a == "/s/savepoint-012345-abcdef012345");
  c.storage.publish(a, test::write_sample(c.storage, a, 4, 1));
  CHECK(c.storage.read(a).id == 4);
  CHECK(error_of([&] { c.storage.begin_savepoint("/s", "0123456789", 0xABCDEF012345); }).code() ==
        errc::invalid_argument);
  CHECK(c.storage.list().empty());
  c.storage.remove_checkpoint(a);
  CHECK_FALSE(c.files.exists(a));
  CHECK_NOTHROW(c.storage.remove_checkpoint(a));
}

TEST_CASE("at the end of a job an empty directory goes, one with checkpoints stays") {
  in_memory c;
  c.publish(1);
  c.storage.release();
  CHECK(c.files.exists("/c/job/chk-1/_metadata"));
  file_checkpoint_storage next{c.files, "/c", "job", 2};
  next.take_over(2); // the lock is free
  next.remove_checkpoint("/c/job/chk-1");
  next.release();
  CHECK_FALSE(c.files.exists("/c/job"));
}

TEST_CASE("at the end of a job its directory goes, also when a task that ends late writes while it is removed") {
  memory_file_system files;
  faulty_file_system disk{files};
  file_checkpoint_storage storage{disk, "/c", "job", 1};
  storage.take_over(1);
  files.open_write("/c/job/shared/late", write_mode::create_new)->close();
  disk.fail_call(faulty_file_system::call::remove, 1);
  storage.release();
  CHECK(disk.failures() == 1);
  CHECK_FALSE(files.exists("/c/job"));
}

TEST_CASE("what a task removes at the end of its job does not take the directory again") {
  in_memory c;
  c.publish(1); // stays
  object_handle in_vain;
  in_vain.scope = object_scope::shared;
  in_vain.name = "of-an-aborted-checkpoint";
  std::thread task{[&] {
    for (int i = 0; i < 1000; ++i)
      c.storage.remove("/c/job/chk-2", in_vain);
  }};
  c.storage.release();
  task.join();
  c.storage.remove("/c/job/chk-2", in_vain);
  file_checkpoint_storage next{c.files, "/c", "job", 2, 0};
  CHECK(ids(next.take_over(2)) == std::vector<std::uint64_t>{1});
}

TEST_CASE("the lock of the real disk is held by one, and given up with its owner") {
  test::temporary_directory directory;
  auto& files = system_files();
  auto first = files.lock(directory / "l");
  CHECK(first);
  CHECK_FALSE(files.lock(directory / "l"));
  CHECK(files.lock(directory / "m"));
  first.reset();
  CHECK(files.lock(directory / "l"));
  CHECK(error_of([&] { files.lock(directory / "nowhere/l"); }).code() == errc::file_not_found);
}
