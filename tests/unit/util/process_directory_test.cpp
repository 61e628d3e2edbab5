// Directories of processes: they go with them, or when the next one comes.
#include <dataflow/util/memory_file_system.hpp>
#include <dataflow/util/process_directory.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <tests/support/temporary_directory.hpp>

using namespace dataflow;

namespace {

void check_life(file_system& files, const std::string& root) {
  const auto make_left_over = [&](const char* name) {
    files.create_directories(join_path(join_path(root, name), "below"));
    files.write_file(join_path(join_path(root, name), "below/file"), "left over");
  };
  for (const char* name : {"cache-1-0", "cache-1-1", "other-1-0"})
    make_left_over(name);
  const auto alive = files.lock(join_path(root, "cache-1-1/_lock"));
  std::optional<process_directory> one{std::in_place, files, root, "cache-"};
  CHECK_FALSE(files.exists(join_path(root, "cache-1-0")));
  CHECK(files.exists(join_path(root, "cache-1-1/below/file")));
  CHECK(files.exists(join_path(root, "other-1-0/below/file")));

  const process_directory two{files, root, "cache-"};
  CHECK(one->path() != two.path());
  CHECK(one->path().starts_with(join_path(root, "cache-")));
  files.write_file(join_path(one->path(), "file"), "in use");
  const process_directory three{files, root, "cache-"};
  CHECK(files.exists(join_path(one->path(), "file")));

  const auto path = one->path();
  one.reset();
  CHECK_FALSE(files.exists(path));
  CHECK(files.exists(two.path()));
}

} // namespace

TEST_CASE("a process's directory goes with it, and what dead ones have left goes when it is made") {
  SUBCASE("on the disk") {
    const test::temporary_directory root;
    check_life(system_files(), root / "made");
  }
  SUBCASE("in memory") {
    memory_file_system files;
    check_life(files, "/made");
  }
}
