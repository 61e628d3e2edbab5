// State on disk, against a model in memory.
#include <dataflow/state/state_database.hpp>
#include <dataflow/util/bytes.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <map>
#include <random>
#include <sys/wait.h>
#include <tests/support/effort.hpp>
#include <tests/support/error_of.hpp>
#include <tests/support/temporary_directory.hpp>
#include <tests/support/test_platform.hpp>
#include <unistd.h>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

struct database_under_test {
  test::temporary_directory place;
  test::manual_clock clock;
  std::shared_ptr<state_database_factory> factory = rocksdb_databases({8 << 20});
  std::unique_ptr<state_database> db = factory->open(place / "db", clock);

  std::map<std::string, std::string> all(state_database::table t, key_group_range groups = {0, 127}) {
    std::map<std::string, std::string> found;
    db->scan(t, groups, [&](std::string_view key, std::string_view value) {
      CHECK((found.empty() || found.rbegin()->first < key));
      found.emplace(key, value);
      return true;
    });
    return found;
  }
};

std::string framed_entry(std::string_view bytes) {
  byte_writer out;
  out.text(bytes);
  return out.take();
}
std::string stamped_value(std::int64_t stamp, std::string_view bytes) {
  byte_writer out;
  out.fixed(stamp);
  out.raw(bytes.data(), bytes.size());
  return out.take();
}

} // namespace

TEST_CASE("a state database holds what was written, per table, in the order of its keys") {
  database_under_test d;
  const auto one = d.db->open_table({"one"}), two = d.db->open_table({"two"});
  std::map<std::string, std::string> model[2];
  std::mt19937_64 random{7};
  std::string value;
  for (int i = 0; i < static_cast<int>(test::rounds(20'000)); ++i) {
    const auto t = random() % 2 ? one : two;
    const auto key = database_key(static_cast<std::uint32_t>(random() % 128), "k" + std::to_string(random() % 500));
    if (random() % 4 == 0) {
      d.db->remove(t, key);
      model[t].erase(key);
    } else {
      const auto v = std::string(random() % 200, 'x') + std::to_string(i);
      d.db->put(t, key, v);
      model[t][key] = v;
    }
    if (random() % 50 == 0) d.db->write();
    if (random() % 5000 == 0) d.db->compact();
  }
  d.db->write();
  CHECK(d.db->unwritten() == 0);
  for (auto t : {one, two}) {
    CHECK(d.all(t) == model[t]);
    for (auto& [key, v] : model[t]) {
      REQUIRE(d.db->get(t, key, value));
      CHECK(value == v);
    }
    CHECK_FALSE(d.db->get(t, database_key(3, "never"), value));
  }
  // A range of key groups is a range of keys.
  std::map<std::string, std::string> some;
  for (auto& [key, v] : model[one])
    if (key[1] >= 5 && key[1] <= 90) some.emplace(key, v);
  CHECK(d.all(one, {5, 90}) == some);
  CHECK(d.db->used().memory_bytes > 0);
}

TEST_CASE("what is in the batch of a state database is not read before it is written") {
  database_under_test d;
  const auto t = d.db->open_table({"t"});
  const auto key = database_key(1, "a");
  std::string value;
  d.db->put(t, key, "1");
  CHECK(d.db->unwritten() > 0);
  CHECK_FALSE(d.db->get(t, key, value));
  d.db->write();
  CHECK(d.db->get(t, key, value));
  CHECK(value == "1");
}

TEST_CASE("appending to a value of a state database needs no reading") {
  database_under_test d;
  const auto t = d.db->open_table({.name = "list", .entries = true});
  const auto key = database_key(9, "a");
  std::string expected, value;
  for (int i = 0; i < 100; ++i) {
    const auto entry = framed_entry(std::to_string(i));
    d.db->append(t, key, entry);
    expected += entry;
    if (i % 10 == 0) d.db->write();
    if (i == 50) d.db->compact();
  }
  d.db->write();
  REQUIRE(d.db->get(t, key, value));
  CHECK(value == expected);
  d.db->put(t, key, "");
  d.db->append(t, key, framed_entry("new"));
  d.db->write();
  REQUIRE(d.db->get(t, key, value));
  CHECK(value == framed_entry("new"));
}

TEST_CASE("values of a state database with a time to live go when files are merged") {
  database_under_test d;
  const auto values = d.db->open_table({"values", false, 1000ms});
  const auto lists = d.db->open_table({"lists", true, 1000ms});
  const auto now = d.clock.wall().count();
  const auto old_key = database_key(1, "old"), new_key = database_key(1, "new");
  d.db->put(values, old_key, stamped_value(now, "a"));
  d.db->put(values, new_key, stamped_value(now + 1, "b"));
  d.db->append(lists, old_key, framed_entry(stamped_value(now, "a")));
  d.db->append(lists, new_key, framed_entry(stamped_value(now, "b")) + framed_entry(stamped_value(now + 1, "c")));
  d.clock.advance(999ms);
  d.db->compact();
  CHECK(d.all(values).size() == 2);
  CHECK(d.all(lists).size() == 2);
  d.clock.advance(1ms);
  d.db->put(values, database_key(2, "other"), stamped_value(now + 2, "c")); // merging needs something to merge
  d.db->append(lists, database_key(2, "other"), framed_entry(stamped_value(now + 2, "c")));
  d.db->compact();
  std::string value;
  CHECK_FALSE(d.db->get(values, old_key, value));
  CHECK(d.db->get(values, new_key, value));
  REQUIRE(d.db->get(lists, new_key, value));
  CHECK(value == framed_entry(stamped_value(now + 1, "c")));
  if (d.db->get(lists, old_key, value)) CHECK(value.empty());
}

TEST_CASE("a snapshot of a state database stays as it was, and names files that it shares with the next one") {
  database_under_test d;
  const auto t = d.db->open_table({"t"});
  std::mt19937_64 random{3};
  for (int i = 0; i < 2000; ++i)
    d.db->put(t, database_key(static_cast<std::uint32_t>(i % 128), std::to_string(i)), std::to_string(random()));
  auto first = d.db->snapshot(d.place / "first");
  auto content_of = [](const database_files& s) {
    std::map<std::string, std::string> content;
    for (auto& f : s.files()) {
      content[f.name] = system_files().read_file(f.path);
      CHECK(content[f.name].size() == f.size);
    }
    return content;
  };
  const auto before = content_of(*first);
  std::size_t shared = 0;
  for (auto& f : first->files())
    shared += f.shared;
  CHECK(shared > 0);
  d.db->put(t, database_key(1, "one more"), "1");
  auto second = d.db->snapshot(d.place / "second");
  CHECK(content_of(*first) == before);
  std::size_t again = 0;
  for (auto& f : second->files())
    if (f.shared) again += before.count(f.name);
  CHECK(again == shared); // nothing was merged in between: only the new file is new
  const auto path = first->files().front().path;
  first.reset();
  CHECK_FALSE(system_files().exists(path));
  CHECK(system_files().exists(second->files().front().path));
}

TEST_CASE("a state database begins empty, and is not taken from who has it") {
  database_under_test d;
  const auto t = d.db->open_table({"t"});
  d.db->put(t, database_key(1, "a"), "1");
  d.db->write();
  const auto e = test::error_of([&] { d.factory->open(d.place / "db", d.clock); });
  CHECK(e.code() == errc::io_failed);
  CHECK(e.cause().find(d.place / "db") != std::string::npos);
  CHECK(e.cause().find("lock") != std::string::npos);
  std::string value;
  CHECK(d.db->get(t, database_key(1, "a"), value)); // it took no harm
  d.db.reset();
  CHECK_FALSE(system_files().exists(d.place / "db"));
  d.db = d.factory->open(d.place / "db", d.clock);
  CHECK(d.all(d.db->open_table({"t"})).empty());
  CHECK(test::error_of([] { rocksdb_databases({1000}); }).code() == errc::invalid_argument);
}

TEST_CASE("the directory of a state database that another process has is refused by name") {
  database_under_test d;
  d.db.reset();
  const auto directory = d.place / "theirs";
  system_files().create_directories(directory);
  int ready[2], done[2];
  REQUIRE(::pipe(ready) == 0);
  REQUIRE(::pipe(done) == 0);
  const auto child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) { // holds the lock until it is told to end
    const int file = ::open((directory + "/LOCK").c_str(), O_RDWR | O_CREAT, 0644);
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    char word = file >= 0 && ::fcntl(file, F_SETLK, &whole) == 0 ? 'y' : 'n';
    [[maybe_unused]] auto n = ::write(ready[1], &word, 1);
    n = ::read(done[0], &word, 1);
    ::_exit(0);
  }
  char word = 0;
  REQUIRE(::read(ready[0], &word, 1) == 1);
  REQUIRE(word == 'y');
  const auto e = test::error_of([&] { d.factory->open(directory, d.clock); });
  CHECK(e.code() == errc::io_failed);
  CHECK_MESSAGE(e.cause().find(directory) != std::string::npos, e.to_string());
  CHECK_MESSAGE(e.cause().find("lock") != std::string::npos, e.to_string());
  CHECK(::write(done[1], &word, 1) == 1);
  CHECK(::waitpid(child, nullptr, 0) == child);
  for (int end : {ready[0], ready[1], done[0], done[1]})
    ::close(end);
}
