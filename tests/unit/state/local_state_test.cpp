// Directories of running tasks on the local disk: made, removed, and taken from nobody who is alive.
#include <dataflow/state/local_state.hpp>
#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>

#include <mutex>
#include <string>
#include <tests/support/error_of.hpp>
#include <tests/support/temporary_directory.hpp>
#include <thread>
#include <vector>

using namespace dataflow;

TEST_CASE("each attempt has a directory of its own on the local disk, as long as somebody uses it") {
  test::temporary_directory root;
  auto& files = system_files();
  local_state local{{4 << 20}};
  auto one = local.make_place(root.path(), "job-0-1", state_backend::rocksdb);
  auto two = local.make_place(root.path(), "job-0-1", state_backend::hashmap);
  CHECK(one.directory != two.directory);
  CHECK(one.databases != nullptr);
  CHECK(two.databases == nullptr);
  CHECK(one.directory.find(root.path()) == 0);
  CHECK(one.directory.find("/job-0-1-") != std::string::npos);
  auto copy = one;
  one = {};
  CHECK(files.exists(copy.directory));
  const auto path = copy.directory;
  copy = {};
  CHECK_FALSE(files.exists(path));
  CHECK(files.exists(two.directory));
  CHECK(files.list(root.path()).size() == 1); // one for the task manager
  two = {};
  CHECK(files.list(root.path()).empty());
}

TEST_CASE("what a dead process has left on the local disk is removed, what a living one has is not") {
  test::temporary_directory root;
  auto& files = system_files();
  for (auto name : {"dataflow-state-1-0", "dataflow-state-1-1", "something-else"}) {
    files.create_directories(join_path(root / name, "job-0-0-0/0"));
    files.write_file(join_path(root / name, "job-0-0-0/0/CURRENT"), "left over");
  }
  const auto alive = files.lock(root / "dataflow-state-1-1/_lock");
  REQUIRE(alive);
  local_state local{{4 << 20}};
  const auto place = local.make_place(root.path(), "job-0-0", state_backend::rocksdb);
  CHECK_FALSE(files.exists(root / "dataflow-state-1-0"));
  CHECK(files.exists(root / "dataflow-state-1-1/job-0-0-0/0/CURRENT"));
  CHECK(files.exists(root / "something-else/job-0-0-0/0/CURRENT"));
  // Another task manager in the same place.
  local_state other{{4 << 20}};
  const auto beside = other.make_place(root.path(), "job-0-0", state_backend::rocksdb);
  CHECK(files.exists(place.directory));
  CHECK(files.exists(beside.directory));
}

TEST_CASE("a place for state that cannot be made says which and why") {
  test::temporary_directory root;
  system_files().write_file(root / "file", "");
  local_state local{{4 << 20}};
  const auto e =
      test::error_of([&] { local.make_place(root / "file/below", "job-0-0", state_backend::rocksdb); }).to_string();
  CHECK(e.find(root / "file") != std::string::npos);
  CHECK(e.find("state.backend.rocksdb.localdir") != std::string::npos);
}

TEST_CASE("processes that begin at the same time do not take each other's new directories for left-overs") {
  test::temporary_directory root;
  std::vector<std::thread> processes;
  std::mutex mutex;
  std::vector<std::string> failures;
  for (int p = 0; p < 3; ++p)
    processes.emplace_back([&] {
      for (int i = 0; i < 300; ++i) {
        try {
          local_state one{{4 << 20}};
          const auto place = one.make_place(root.path(), "job-0-0", state_backend::hashmap);
          system_files().write_file(join_path(place.directory, "file"), "there");
        } catch (const error& e) {
          std::lock_guard lock{mutex};
          failures.push_back(e.to_string());
        }
      }
    });
  for (auto& p : processes)
    p.join();
  CHECK_MESSAGE(failures.empty(), (failures.empty() ? "" : failures[0]));
  CHECK(system_files().list(root.path()).empty());
}
