// The file sink: buckets, names, rolling, what goes on after a failure, compaction, clean-up.
#include <dataflow/connectors/file_sink.hpp>
#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>

#include <set>
#include <tests/support/error_of.hpp>
#include <tests/support/sink_harness.hpp>

using namespace dataflow;
using namespace std::chrono_literals;
using dataflow::test::error_of;
using dataflow::test::sink_harness;
using dataflow::test::test_platform;
using dataflow::test::united;

namespace file_sink_test {

using files_by_place = std::map<std::string, std::multiset<std::string>>;

/// A sink of strings on a disk in memory; one subtask at a time unless said otherwise.
template <class Sink>
struct file_fixture {
  explicit file_fixture(Sink sink) : make(sink_operators(std::move(sink))) {}
  void start(std::shared_ptr<const operator_snapshot> from = {}, std::uint32_t subtask = 0,
             std::uint32_t parallelism = 1) {
    h.reset();
    world.time.advance(1ms);
    h = std::make_unique<sink_harness<std::string>>(make, world, subtask, parallelism, record_error_policy{}, attempt++,
                                                    std::move(from), true);
  }
  operator_snapshot checkpoint() {
    auto stored = h->barrier(++id);
    h->sink().checkpoint_completed(id);
    return stored;
  }
  void end() {
    h->finish();
    while (h->sink().awaits_checkpoint())
      checkpoint();
  }
  /// Contents by directory below /out; parts in progress are in ".in-progress".
  files_by_place seen() const {
    files_by_place all;
    for (auto& path : world.disk.paths()) {
      if (path.substr(0, 5) != "/out/") continue;
      auto place = parent_directory(path).substr(std::min<std::size_t>(parent_directory(path).size(), 5));
      all[place].insert(const_cast<memory_file_system&>(world.disk).read_file(path));
    }
    return all;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (auto& path : world.disk.paths())
      if (path.substr(0, 5) == "/out/") all.push_back(std::string{file_name(path)});
    return all;
  }
  void at(std::chrono::milliseconds wall) {
    world.time.advance_to(wall);
    if (h->wakes_at && *h->wakes_at <= wall) h->wake();
  }

  test_platform world;
  operator_factory make;
  std::unique_ptr<sink_harness<std::string>> h;
  std::uint32_t attempt = 0;
  std::int64_t id = 0;
};

auto plain() { return file_sink<std::string>::lines("/out").without_buckets(); }

} // namespace file_sink_test
using namespace file_sink_test;

TEST_CASE("a part is in progress, pending, and finished when its checkpoint is complete") {
  file_fixture f{plain().part_file("orders", ".txt").roll({.on_checkpoint = true})};
  f.start();
  f.h->push({"a", "b"});
  CHECK(f.seen().empty()); // small: still in memory
  f.h->barrier(1);
  CHECK(f.seen() == files_by_place{{".in-progress", {"a\nb\n"}}});
  const auto pending = f.names().at(0);
  f.h->sink().checkpoint_completed(1);
  CHECK(f.seen() == files_by_place{{"", {"a\nb\n"}}});
  const auto name = f.names().at(0);
  CHECK(pending == name + ".in-progress");
  CHECK(name.substr(0, 7) == "orders-");
  CHECK(name.substr(name.size() - 6) == "-0.txt");
}

TEST_CASE("buckets by date are in UTC; by event time they follow the records") {
  file_fixture f{file_sink<std::string>::lines("/out").roll({.on_checkpoint = true})};
  f.start();
  f.world.time.advance_to(std::chrono::hours{24 * 365});
  f.h->push({"a"});
  f.checkpoint();
  CHECK(f.seen() == files_by_place{{"1971-01-01--00", {"a\n"}}});

  file_fixture e{file_sink<std::string>::lines("/out")
                     .bucket_by(date_time_bucket{"%Y/%m-%d"}.by_event_time())
                     .roll({.on_checkpoint = true})};
  e.start();
  e.h->push({"a", "b", "c"}, {timestamp{0ms}, timestamp{-1ms}, timestamp{24h - 1ms}});
  e.checkpoint();
  CHECK(e.seen() == files_by_place{{"1970/01-01", {"a\nc\n"}}, {"1969/12-31", {"b\n"}}});
  CHECK(error_of([&] { e.h->push({"no time"}); }).cause().find("without a timestamp") != std::string::npos);
  CHECK(error_of([] {
          date_time_bucket{""}(0, {timestamp{0ms}, 0ms});
        })
            .cause()
            .find("gives no name") != std::string::npos);
}

TEST_CASE("a bucket is a relative path inside the directory") {
  file_fixture f{file_sink<std::string>::lines("/out").bucket_by(
      [](const std::string& record, const bucket_context&) { return record; })};
  f.start();
  f.h->push({"a/b"});
  for (auto bad : {"/etc", "..", "a/../b", "a//b", ".in-progress", "a/", "./a"})
    CHECK_MESSAGE(error_of([&] { f.h->push({bad}); }).code() == errc::invalid_argument, bad);
}

TEST_CASE("a part is closed at the record that makes it large enough") {
  file_fixture f{plain().roll({.size = 4})};
  f.start();
  f.h->push({"a", "b", "c", "d", "e"});
  f.checkpoint();
  CHECK(f.seen() == files_by_place{{"", {"a\nb\n", "c\nd\n"}}, {".in-progress", {"e\n"}}});
}

TEST_CASE("a part is closed after its time, and after some time without a record") {
  file_fixture f{plain().roll({.interval = 10s, .inactivity = 3s})};
  f.start();
  f.h->push({"a"});
  for (auto second = 1; second <= 9; ++second) {
    f.at(std::chrono::seconds{second});
    f.h->push({"b"});
  }
  f.at(10s);
  CHECK(f.names().size() == 0);
  f.at(10s + 500ms);
  f.checkpoint();
  CHECK(f.seen() == files_by_place{{"", {"a\nb\nb\nb\nb\nb\nb\nb\nb\nb\n"}}});
  f.h->push({"c"});
  f.at(13s);
  f.checkpoint();
  CHECK(f.seen().at(".in-progress").size() == 1);
  f.at(14s);
  f.checkpoint();
  CHECK(f.seen() == files_by_place{{"", {"a\nb\nb\nb\nb\nb\nb\nb\nb\nb\n", "c\n"}}});
}

TEST_CASE("a part goes on where the checkpoint saw it: what came behind is cut off") {
  file_fixture f{plain()};
  f.start();
  f.h->push({"a"});
  const auto stored = f.checkpoint();
  f.h->push({std::string(100'000, 'x')});
  f.h->barrier(2);
  CHECK(f.seen().at(".in-progress").begin()->size() == 100'003);
  f.start(united({stored}));
  CHECK(f.seen() == files_by_place{{".in-progress", {"a\n"}}});
  f.h->push({"b"});
  f.end();
  CHECK(f.seen() == files_by_place{{"", {"a\nb\n"}}});
}

TEST_CASE("a part goes on in a copy while its earlier writer may still write: it only stood still") {
  file_fixture f{plain()};
  f.start();
  f.h->push({"a"});
  const auto stored = f.checkpoint();
  auto zombie = std::move(f.h);
  f.start(united({stored}));
  zombie->push({"b", "c"});
  zombie->barrier(2);
  f.h->push({"b"});
  SUBCASE("published") {
    f.end();
    CHECK(f.seen() == files_by_place{{"", {"a\nb\n"}}});
    zombie->push({"d"});
    zombie.reset();
    CHECK(f.seen() == files_by_place{{"", {"a\nb\n"}}});
  }
  SUBCASE("and gone on with once more, now that the writer is gone") {
    const auto later = f.checkpoint();
    zombie.reset();
    f.start(united({later}));
    CHECK(f.seen() == files_by_place{{".in-progress", {"a\nb\n"}}});
    f.h->push({"c"});
    f.end();
    CHECK(f.seen() == files_by_place{{"", {"a\nb\nc\n"}}});
  }
}

TEST_CASE("a part of the checkpoint that is gone or too short is an error that names it") {
  file_fixture f{plain()};
  f.start();
  f.h->push({"abc"});
  const auto stored = f.checkpoint();
  const auto path = "/out/.in-progress/" + f.names().at(0);
  SUBCASE("short") {
    f.world.disk.truncate(path, 2);
    const auto e = error_of([&] { f.start(united({stored})); });
    CHECK(e.code() == errc::corrupt_state);
    CHECK(e.cause().find("has 2 bytes instead of 4") != std::string::npos);
  }
  SUBCASE("gone") {
    f.world.disk.remove(path);
    const auto e = error_of([&] { f.start(united({stored})); });
    CHECK(e.code() == errc::corrupt_state);
    CHECK(e.cause().find(path) != std::string::npos);
  }
}

TEST_CASE("parts that nobody refers to are removed; those of others stay") {
  file_fixture f{plain().roll({.size = 4})};
  const auto all = [&] { return f.seen()[".in-progress"]; };
  f.start({}, 0, 2);
  f.h->push({"keep"});
  const auto of_zero = f.h->barrier(1); // pending
  f.h->push({"lost", "lo"});
  f.h->barrier(2);
  f.start({}, 1, 2);
  f.h->push({"other"});
  f.h->barrier(1);
  f.world.disk.write_file("/out/.in-progress/foreign", "foreign");
  f.world.disk.write_file("/out/.in-progress/part-00000000-0-00000000-0.in-progress", "other job");
  REQUIRE(all().size() == 6);
  f.start(united({of_zero}), 0, 2); // a region of its own: subtask 1 runs on
  CHECK(all() == std::multiset<std::string>{"other\n", "foreign", "other job"});
  CHECK(f.seen()[""] == std::multiset<std::string>{"keep\n"});
  f.start({}, 0, 1); // at another parallelism all are ours
  CHECK(all() == std::multiset<std::string>{"foreign", "other job"});
}

TEST_CASE("small parts are put together before they are published") {
  file_fixture f{plain().roll({.on_checkpoint = true}).compact({.size = 10, .checkpoints = 3})};
  f.start();
  f.h->push({"a"});
  f.checkpoint();
  f.h->push({"b"});
  auto stored = f.checkpoint();
  CHECK(f.seen() == files_by_place{{".in-progress", {"a\n", "b\n"}}});
  SUBCASE("after so many checkpoints") {
    f.h->push({"c"});
    f.checkpoint();
    CHECK(f.seen() == files_by_place{{"", {"a\nb\nc\n"}}});
  }
  SUBCASE("when they are large enough together") {
    f.h->push({"cccccc"});
    f.h->barrier(++f.id);
    CHECK(f.seen().at(".in-progress").size() == 4); // the parts stay until the new one is published
    f.h->sink().checkpoint_completed(f.id);
    CHECK(f.seen() == files_by_place{{"", {"a\nb\ncccccc\n"}}});
  }
  SUBCASE("a large one goes alone") {
    f.h->push({"0123456789"});
    f.checkpoint();
    CHECK(f.seen().at("") == std::multiset<std::string>{"0123456789\n", "a\nb\n"});
  }
  SUBCASE("after a restore, too") {
    f.h->push({"lost"});
    f.h->barrier(++f.id);
    f.start(united({stored}));
    CHECK(f.seen() == files_by_place{{".in-progress", {"a\n", "b\n"}}});
    f.h->push({"c"});
    f.end();
    CHECK(f.seen() == files_by_place{{"", {"a\nb\nc\n"}}});
  }
}

TEST_CASE("with no guarantee and at least once parts are published when they are closed") {
  for (auto g : {delivery_guarantee::none, delivery_guarantee::at_least_once}) {
    CAPTURE(to_string(g));
    file_fixture f{plain().roll({.size = 4}).deliver(g)};
    f.start();
    f.h->push({"a", "b", "c"});
    CHECK(f.seen() == files_by_place{{"", {"a\nb\n"}}});
    f.h->finish();
    CHECK(!f.h->sink().awaits_checkpoint());
    CHECK(f.seen() == files_by_place{{"", {"a\nb\n", "c\n"}}});
  }
}

TEST_CASE("at least once: a part that was published meanwhile is not gone on with") {
  file_fixture f{plain().roll({.size = 6}).deliver(delivery_guarantee::at_least_once)};
  f.start();
  f.h->push({"a"});
  const auto stored = f.checkpoint();
  f.h->push({"b", "c"});
  CHECK(f.seen() == files_by_place{{"", {"a\nb\nc\n"}}});
  f.start(united({stored}));
  f.h->push({"b", "c", "d"});
  f.h->finish();
  CHECK(f.seen() == files_by_place{{"", {"a\nb\nc\n", "b\nc\nd\n"}}});
}

TEST_CASE("a finished file that was taken away by its readers is not missed when it is published again") {
  file_fixture f{plain().roll({.on_checkpoint = true})};
  f.start();
  f.h->push({"a"});
  const auto stored = f.checkpoint();
  f.world.disk.remove("/out/" + f.names().at(0));
  f.start(united({stored}));
  CHECK(f.seen().empty());
}

TEST_CASE("another file under the name of a part is an error") {
  file_fixture f{plain().roll({.on_checkpoint = true})};
  f.start();
  f.h->push({"a"});
  f.h->barrier(1);
  const auto name = f.names().at(0);
  const auto path = "/out/" + name.substr(0, name.size() - std::string{".in-progress"}.size());
  f.world.disk.write_file(path, "foreign");
  CHECK(error_of([&] { f.h->sink().checkpoint_completed(1); }).cause().find("another file has that name") !=
        std::string::npos);
}

TEST_CASE("names and sizes that cannot be are refused where they are given") {
  CHECK(error_of([] { plain().roll({.size = 0}); }).code() == errc::invalid_argument);
  CHECK(error_of([] { plain().roll({.inactivity = 0ms}); }).code() == errc::invalid_argument);
  CHECK(error_of([] { plain().part_file("a/b"); }).code() == errc::invalid_argument);
  CHECK(error_of([] { plain().part_file(".hidden"); }).code() == errc::invalid_argument);
  CHECK(error_of([] { plain().part_file("a", "/b"); }).code() == errc::invalid_argument);
}

TEST_CASE("a record that its encoder refuses leaves nothing in the file") {
  file_fixture f{file_sink<std::string>::row_format("/out", [](const std::string& record, std::string& out) {
                   out += record.substr(0, 2);
                   if (record == "bad") throw std::runtime_error{"bad record"};
                   out += ';';
                 }).without_buckets()};
  f.start();
  CHECK_THROWS(f.h->push({"ok", "bad"}));
  f.end();
  CHECK(f.seen() == files_by_place{{"", {"ok;"}}});
}
