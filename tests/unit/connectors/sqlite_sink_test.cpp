#include <dataflow/connectors/sqlite_sink.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <map>
#include <sqlite3.h>
#include <tests/support/error_of.hpp>
#include <tests/support/sink_harness.hpp>
#include <tests/support/temporary_directory.hpp>

using namespace dataflow;
using dataflow::test::error_of;
using dataflow::test::sink_harness;
using dataflow::test::test_platform;

namespace sqlite_sink_test {

struct total {
  std::string word;
  std::int64_t count = 0;
  double mean = 0;
  std::optional<std::string> note;
};
struct only_key {
  std::int64_t id = 0;
};

/// Every row as "a|b|c".
std::vector<std::string> rows_of(const std::string& path, const std::string& sql) {
  std::vector<std::string> all;
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  const auto collect = [](void* to, int n, char** values, char**) {
    std::string row;
    for (int i = 0; i < n; ++i)
      row += (i ? "|" : "") + std::string{values[i] ? values[i] : "NULL"};
    static_cast<std::vector<std::string>*>(to)->push_back(row);
    return 0;
  };
  CHECK(sqlite3_exec(database, sql.c_str(), collect, &all, nullptr) == SQLITE_OK);
  sqlite3_close(database);
  return all;
}

} // namespace sqlite_sink_test

DATAFLOW_RECORD(sqlite_sink_test::total, word, count, mean, note);
DATAFLOW_RECORD(sqlite_sink_test::only_key, id);
using namespace sqlite_sink_test;
using lines = std::vector<std::string>;

TEST_CASE("rows of an SQLite table are replaced by their key, in transactions of a size and at barriers") {
  test::temporary_directory directory;
  test_platform world;
  const auto path = directory.path() + "/totals.db";
  sink_harness<total> h{sink_operators(sqlite_sink<total>{path, "to\"tals", {"word"}, {.batch = 3}}), world};
  const auto seen = [&] { return rows_of(path, "SELECT * FROM \"to\"\"tals\" ORDER BY word"); };
  h.push({{"b", 1, 0.5, {}}, {"a'", 2, 1, "x"}});
  CHECK(seen().empty());
  h.push({{"b", 3, 2.5, "y"}});
  CHECK(seen() == lines{"a'|2|1.0|x", "b|3|2.5|y"});
  h.push({{"c", 4, 0, {}}});
  h.barrier(1);
  CHECK(seen().size() == 3);
  h.push({{"c", 5, 0, {}}});
  h.finish();
  CHECK(!h.sink().awaits_checkpoint());
  CHECK(seen().back() == "c|5|0.0|NULL");
}

TEST_CASE("what is written again after a failure comes to the same table") {
  test::temporary_directory directory;
  test_platform world;
  const auto path = directory.path() + "/totals.db";
  const auto make = sink_operators(sqlite_sink<total>{path, "totals", {"word"}, {.batch = 5}});
  random_source random{7};
  std::vector<total> all;
  std::map<std::string, std::int64_t> expected;
  for (int i = 0; i < 200; ++i) {
    all.push_back({std::string(1, static_cast<char>('a' + random.below(20))), i, 0, {}});
    expected[all.back().word] = i;
  }
  std::size_t at = 0, covered = 0;
  std::int64_t id = 0;
  while (at < all.size()) { // dies after every few batches
    sink_harness<total> h{make, world};
    for (at = covered; at < all.size() && at < covered + 40; at += 4) {
      h.push({all.begin() + static_cast<std::ptrdiff_t>(at), all.begin() + static_cast<std::ptrdiff_t>(at) + 4});
      if (at == covered + 20) {
        h.barrier(++id);
        covered = at + 4;
        break;
      }
    }
    for (int lost = 0; lost < 3 && at + 4 < all.size(); ++lost)
      h.push({all[covered], all[std::min(covered + 1, all.size() - 1)]});
    if (covered + 20 >= all.size()) {
      h.push({all.begin() + static_cast<std::ptrdiff_t>(covered), all.end()});
      h.finish();
      break;
    }
  }
  const auto rows = rows_of(path, "SELECT word, count FROM totals ORDER BY word");
  lines wanted;
  for (auto& [word, n] : expected)
    wanted.push_back(word + "|" + std::to_string(n));
  CHECK(rows == wanted);
}

TEST_CASE("two subtasks write to one database, and a table of keys only takes each once") {
  test::temporary_directory directory;
  test_platform world;
  const auto path = directory.path() + "/ids.db";
  const auto make = sink_operators(sqlite_sink<only_key>{path, "ids", {"id"}, {.batch = 1}});
  sink_harness<only_key> a{make, world, 0, 2}, b{make, world, 1, 2};
  a.push({{1}, {2}});
  b.push({{2}, {3}});
  a.push({{3}});
  CHECK(rows_of(path, "SELECT id FROM ids ORDER BY id") == lines{"1", "2", "3"});
}

TEST_CASE("SQLite: what cannot be is said with the table and the path") {
  test::temporary_directory directory;
  test_platform world;
  const auto open = [&](sqlite_sink<total> sink) { sink_harness<total> h{sink_operators(sink), world}; };
  const auto nowhere = error_of([&] { open({directory.path() + "/no/such.db", "t", {"word"}}); });
  CHECK(nowhere.code() == errc::io_failed);
  CHECK(nowhere.cause().find("/no/such.db") != std::string::npos);
  CHECK(error_of([&] {
          open({directory.path() + "/a.db", "t", {"word"}, {.create_table = false}});
        })
            .cause()
            .find("no such table") != std::string::npos);
  CHECK(error_of([] { sqlite_sink<total>{"a.db", "t", {"wort"}}; }).cause().find("'wort'") != std::string::npos);
  CHECK(error_of([] { sqlite_sink<total>{"a.db", "t", {}}; }).code() == errc::invalid_argument);
}
