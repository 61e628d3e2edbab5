// Copies of checkpoints on the local disk: when they are read, and when the storage is.
#include <dataflow/checkpoint/local_copies.hpp>
#include <dataflow/state/local_state.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <doctest/doctest.h>

#include "tests/support/error_of.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace dataflow;

namespace local_copies_test {

struct bench {
  test::temporary_directory disk;
  local_state local{{}};
  memory_file_system files;
  file_checkpoint_storage storage{files, "/c", "job", 1, 0};
  local_copies copies{local.make_place(disk.path(), "copies", state_backend::hashmap)};
  std::unique_ptr<checkpoint_objects> objects = copies.in_front_of(storage);
  std::string directory;

  bench() {
    storage.take_over(1);
    directory = storage.begin(1);
  }
  object_handle put(const std::string& bytes, object_scope scope = object_scope::exclusive) {
    const auto out = objects->create(directory, scope, "o");
    out->append(bytes);
    return out->finish();
  }
  std::string get(const object_handle& o) {
    const auto file = objects->open(directory, o);
    std::string bytes(o.size, '\0');
    CHECK(file->read_at(bytes.data(), bytes.size(), 0) == bytes.size());
    return bytes;
  }
  void lose(const object_handle& o) { storage.remove(directory, o); }
  /// Paths of the copies.
  std::vector<std::string> on_disk() const {
    std::vector<std::string> found, open{disk.path()};
    while (!open.empty()) {
      const auto at = std::move(open.back());
      open.pop_back();
      for (auto& e : system_files().list(at)) {
        const auto path = join_path(at, e.name);
        if (e.status.kind == file_kind::directory)
          open.push_back(path);
        else if (e.name != "_lock")
          found.push_back(path);
      }
    }
    return found;
  }
};

} // namespace local_copies_test

using local_copies_test::bench;

TEST_CASE("what was written is read from its copy, also when the storage has lost it") {
  bench b;
  const auto one = b.put("something"), shared = b.put(std::string(700'000, 'x'), object_scope::shared);
  CHECK(b.on_disk().size() == 2);
  b.lose(one);
  b.lose(shared);
  CHECK(b.get(one) == "something");
  CHECK(b.get(shared) == std::string(700'000, 'x'));
  CHECK(b.copies.used() == 2);
}

TEST_CASE("a copy that is not what was written is not read") {
  for (const char* damage : {"somethinG", "short", "something more", ""}) {
    CAPTURE(damage);
    log_capture log;
    bench b;
    const auto one = b.put("something");
    if (*damage)
      system_files().write_file(b.on_disk().at(0), damage);
    else
      system_files().remove(b.on_disk().at(0));
    CHECK(b.get(one) == "something");
    CHECK(b.copies.used() == 0);
    CHECK(b.copies.refused() == 1);
    CHECK(log.contains("the copy of '" + b.directory));
    CHECK(b.on_disk().empty());
  }
}

TEST_CASE("an object of another attempt, of the same size under another name, is not taken for it") {
  bench b;
  const auto one = b.put("something");
  const auto out = b.storage.create(b.directory, object_scope::exclusive, "o");
  out->append("nothingxx");
  CHECK(b.get(out->finish()) == "nothingxx");
  auto changed = one; // the metadata of a checkpoint says otherwise
  changed.checksum ^= 1;
  b.get(changed);
  CHECK(b.copies.used() == 0);
}

TEST_CASE("of a task what its last three checkpoints name is kept") {
  bench b;
  const auto shared = b.put("shared", object_scope::shared);
  std::vector<object_handle> own;
  for (int i = 0; i < 6; ++i) {
    own.push_back(b.put("checkpoint " + std::to_string(i)));
    subtask_summary part;
    part.object = own.back();
    if (i < 4) part.shared.push_back(shared);
    b.copies.handed_in(7, b.directory, part);
  }
  CHECK(b.on_disk().size() == 4); // and the shared one
  b.copies.handed_in(7, b.directory, {own.back(), {}, {}});
  CHECK(b.on_disk().size() == 2);
  b.objects->remove(b.directory, own.back()); // a checkpoint that was given up
  CHECK(b.on_disk().size() == 1);
}

TEST_CASE("an object that is not finished leaves no copy, and without room for one it is stored all the same") {
  log_capture quiet;
  bench b;
  b.objects->create(b.directory, object_scope::exclusive, "o")->append(std::string(300'000, 'x'));
  CHECK(b.on_disk().empty());
  for (auto& e : system_files().list(b.disk.path()))
    system_files().remove_all(b.disk / e.name);
  CHECK(b.get(b.put("something")) == "something");
  CHECK(b.copies.used() == 0);
}
