#include <dataflow/util/error.hpp>
#include <dataflow/util/faulty_file_system.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <sys/stat.h>
#include <tests/support/temporary_directory.hpp>
#include <unistd.h>

using namespace dataflow;

namespace {

errc code_of(const std::function<void()>& body, std::string* text = nullptr) {
  try {
    body();
  } catch (const error& e) {
    if (text != nullptr) *text = e.cause();
    return e.code();
  }
  return errc::none;
}

std::vector<std::string> names(const std::vector<directory_entry>& entries) {
  std::vector<std::string> out;
  for (auto& e : entries)
    out.push_back(e.name);
  return out;
}

std::vector<std::string> paths(const std::vector<found_file>& files) {
  std::vector<std::string> out;
  for (auto& f : files)
    out.push_back(f.path);
  return out;
}

/// What every file system must do, below the directory `root`.
void check_behaviour(file_system& files, const std::string& root) {
  auto in = [&](const char* name) { return join_path(root, name); };

  files.create_directories(in("a/b/c"));
  files.create_directories(in("a/b/c"));
  files.write_file(in("a/two"), "second");
  files.write_file(in("a/one"), "first");
  CHECK(names(files.list(in("a"))) == std::vector<std::string>{"b", "one", "two"});
  CHECK(files.status(in("a/two")).size == 6);
  CHECK(files.status(in("a/b")).kind == file_kind::directory);
  CHECK(files.read_file(in("a/one")) == "first");

  auto appended = files.open_write(in("a/one"), write_mode::append);
  appended->append(" and more");
  appended->sync();
  appended->close();
  CHECK(files.read_file(in("a/one")) == "first and more");
  auto file = files.open_read(in("a/one"));
  char part[8];
  CHECK(file->read_at(part, 3, 6) == 3);
  CHECK(std::string_view(part, 3) == "and");
  CHECK(file->read_at(part, 8, 10) == 4);
  CHECK(file->read_at(part, 8, 100) == 0);
  files.open_write(in("a/one"), write_mode::truncate)->close();
  CHECK(file->size() == 0);

  files.write_file(in("a/cut"), "0123456789");
  files.truncate(in("a/cut"), 4);
  CHECK(files.read_file(in("a/cut")) == "0123");
  files.open_write(in("a/cut"), write_mode::append)->append("x");
  CHECK(files.read_file(in("a/cut")) == "0123x");
  CHECK(code_of([&] { files.truncate(in("a/cut"), 6); }) == errc::io_failed);
  CHECK(code_of([&] { files.truncate(in("missing"), 0); }) == errc::file_not_found);
  files.remove(in("a/cut"));

  std::string text;
  CHECK(code_of([&] { files.open_read(in("missing")); }, &text) == errc::file_not_found);
  CHECK(text.find("missing") != std::string::npos);
  CHECK(code_of([&] { files.open_read(in("a")); }) == errc::not_a_file);
  CHECK(code_of([&] { files.open_write(in("a"), write_mode::truncate); }) == errc::not_a_file);
  CHECK(code_of([&] { files.open_write(in("no/where"), write_mode::truncate); }) == errc::file_not_found);
  CHECK(code_of([&] { files.open_write(in("a/two"), write_mode::create_new); }) == errc::io_failed);
  CHECK(code_of([&] { files.create_directories(in("a/two")); }) == errc::not_a_file);
  CHECK(code_of([&] { files.list(in("missing")); }) == errc::file_not_found);
  CHECK(code_of([&] { files.remove(in("a")); }) == errc::io_failed);
  CHECK_FALSE(files.exists(in("missing")));

  CHECK(files.put_if_absent(in("a/token"), "mine"));
  CHECK_FALSE(files.put_if_absent(in("a/token"), "yours"));
  CHECK(files.read_file(in("a/token")) == "mine");
  CHECK(names(files.list(in("a"))) == std::vector<std::string>{"b", "one", "token", "two"});

  files.write_file(in("a/b/.hidden"), "");
  files.write_file(in("a/b/_hidden"), "");
  files.write_file(in("a/b/c/deep"), "");
  CHECK(paths(find_files(files, in("a"))) ==
        std::vector<std::string>{in("a/b/c/deep"), in("a/one"), in("a/token"), in("a/two")});
  CHECK(paths(find_files(files, in("a/two"))) == std::vector<std::string>{in("a/two")});

  CHECK(files.temporary_name(root, "x-") != files.temporary_name(root, "x-"));
  files.remove(in("a/two"));
  files.remove(in("a/two"));
  files.remove_all(in("a"));
  CHECK(names(files.list(root)).empty());
}

} // namespace

TEST_CASE("the real file system does what the interface says") {
  test::temporary_directory directory;
  check_behaviour(system_files(), directory.path());
}

TEST_CASE("the file system in memory does what the interface says") {
  memory_file_system files;
  files.create_directories("/root");
  check_behaviour(files, "/root");
}

TEST_CASE("links are followed, a directory inside itself is entered once, a link to nowhere is an error") {
  test::temporary_directory directory;
  auto& files = system_files();
  files.create_directories(directory / "data/sub");
  files.write_file(directory / "data/sub/file", "x");
  REQUIRE(::symlink("file", (directory / "data/sub/link").c_str()) == 0);
  REQUIRE(::symlink("..", (directory / "data/sub/up").c_str()) == 0);
  REQUIRE(::mkfifo((directory / "data/pipe").c_str(), 0600) == 0);
  CHECK(paths(find_files(files, directory / "data")) ==
        std::vector<std::string>{directory / "data/sub/file", directory / "data/sub/link"});
  CHECK(code_of([&] { find_files(files, directory / "data/pipe"); }) == errc::not_a_file);
  CHECK(code_of([&] { files.open_read(directory / "data/pipe"); }) == errc::not_a_file);

  REQUIRE(::symlink("nowhere", (directory / "data/dangling").c_str()) == 0);
  std::string text;
  CHECK(code_of([&] { find_files(files, directory / "data"); }, &text) == errc::file_not_found);
  CHECK(text.find("data/dangling") != std::string::npos);
}

TEST_CASE("system errors become codes that name the path") {
  CHECK(file_error(EACCES, "open", "p").code() == errc::permission_denied);
  CHECK(file_error(ENOSPC, "write to", "p").code() == errc::disk_full);
  CHECK(file_error(EIO, "read", "p").code() == errc::io_failed);
  CHECK(file_error(EIO, "read", "/some/path").cause().find("'/some/path'") != std::string::npos);
  memory_file_system files;
  files.write_file("/secret", "x");
  files.make_unreadable("/secret");
  CHECK(code_of([&] { files.open_read("/secret"); }) == errc::permission_denied);
}

TEST_CASE("the real disk reports that it is full") {
  if (!system_files().exists("/dev/full")) return;
  auto file = system_files().open_write("/dev/full", write_mode::append);
  CHECK(code_of([&] { file->append("x"); }) == errc::disk_full);
}

TEST_CASE("faults strike where they were asked for and heal") {
  memory_file_system behind;
  faulty_file_system files{behind};
  files.disk_full_after(10);
  auto file = files.open_write("/f", write_mode::truncate);
  file->append("12345678");
  CHECK(code_of([&] { file->append("9abc"); }) == errc::disk_full);
  CHECK(behind.read_file("/f") == "123456789a");
  files.heal();
  file->append("bc");
  CHECK(files.read_file("/f") == "123456789abc");

  files.fail_call(faulty_file_system::call::open_read, 2);
  CHECK(files.open_read("/f"));
  CHECK(code_of([&] { files.open_read("/f"); }) == errc::io_failed);
  CHECK(files.open_read("/f"));

  const auto calls = files.calls(), failures = files.failures();
  files.fail_any(2);
  files.fail_any(4);
  CHECK(files.open_read("/f"));
  CHECK(code_of([&] { files.status("/f"); }) == errc::io_failed); // of whatever kind
  CHECK(files.open_read("/f"));
  CHECK(code_of([&] { files.list("/"); }) == errc::io_failed);
  CHECK(files.open_read("/f"));
  CHECK(files.calls() == calls + 5);
  CHECK(files.failures() == failures + 2);
}

TEST_CASE("a disk that is dead from a call on stays so until it is healed; calls elsewhere do not count") {
  memory_file_system behind;
  faulty_file_system files{behind};
  behind.write_file("/a", "");
  behind.write_file("/b", "");
  int told = 0;
  files.only_below("/a");
  files.fail_from(2, [&] { ++told; });
  files.status("/b");
  files.status("/a");
  CHECK(told == 0);
  for (int i = 0; i < 3; ++i)
    CHECK(code_of([&] { files.truncate("/a", 0); }) == errc::io_failed);
  CHECK(told == 1);
  files.status("/b");
  files.heal();
  files.status("/a");
  CHECK(files.failures() == 3);
}

TEST_CASE("a power failure leaves what was synchronised: of files their bytes, of directories their names") {
  memory_file_system files;
  files.create_directories("/d");
  files.write_file("/d/old", "old");
  files.remember_synced();
  auto file = files.open_write("/d/new", write_mode::create_new);
  file->append("12");
  file->sync();
  file->append("34");
  SUBCASE("a new name is gone") {
    files.lose_power();
    CHECK(names(files.list("/d")) == std::vector<std::string>{"old"});
  }
  SUBCASE("a name that was synchronised has the bytes that were") {
    files.link("/d/new", "/d/other");
    files.sync_directory("/d");
    files.truncate("/d/new", 1);
    files.remove("/d/old");
    files.lose_power();
    CHECK(names(files.list("/d")) == std::vector<std::string>{"new", "old", "other"});
    CHECK(files.read_file("/d/other") == "12");
    CHECK(files.read_file("/d/old") == "old");
  }
  SUBCASE("what is in a directory whose name is gone is gone") {
    files.create_directories("/d/sub");
    files.write_file("/d/sub/f", "f");
    files.sync_directory("/d/sub");
    files.lose_power();
    CHECK(!files.exists("/d/sub/f"));
    CHECK(!files.exists("/d/sub"));
  }
}
