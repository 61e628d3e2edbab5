#include <dataflow/high_availability/fenced_log.hpp>
#include <dataflow/util/faulty_file_system.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <tests/support/effort.hpp>
#include <tests/support/error_of.hpp>

using namespace dataflow;
using test::error_of;
using test::rounds;

namespace fenced_log_test {

/// A file system in which something happens right before the k-th time that a name is made, or a record is read.
class interrupted_files final : public file_system {
public:
  explicit interrupted_files(file_system& behind) : behind_(behind) {}
  void before_link(std::uint64_t k, std::function<void()> what) {
    countdown_ = k;
    what_ = std::move(what);
  }
  void before_reading(const std::string& path, std::function<void()> what) {
    read_ = path;
    what_ = std::move(what);
  }
  std::unique_ptr<readable_file> open_read(const std::string& p) override {
    if (p == read_) {
      read_.clear();
      what_();
    }
    return behind_.open_read(p);
  }
  std::unique_ptr<writable_file> open_write(const std::string& p, write_mode m) override {
    return behind_.open_write(p, m);
  }
  file_status status(const std::string& p) override { return behind_.status(p); }
  std::vector<directory_entry> list(const std::string& p) override { return behind_.list(p); }
  void create_directories(const std::string& p) override { behind_.create_directories(p); }
  void remove(const std::string& p) override { behind_.remove(p); }
  void truncate(const std::string& p, std::uint64_t n) override { behind_.truncate(p, n); }
  bool link(const std::string& from, const std::string& to) override {
    if (countdown_ > 0 && --countdown_ == 0) what_();
    return behind_.link(from, to);
  }
  void sync_directory(const std::string& p) override { behind_.sync_directory(p); }
  std::unique_ptr<file_lock> lock(const std::string& p) override { return behind_.lock(p); }
  std::string temporary_name(const std::string& d, std::string_view p) override { return behind_.temporary_name(d, p); }

private:
  file_system& behind_;
  std::uint64_t countdown_ = 0;
  std::string read_;
  std::function<void()> what_;
};

/// All values as another process sees them.
std::map<std::string, std::string> values_in(file_system& files) {
  fenced_log log{files, "/ha"};
  std::map<std::string, std::string> out;
  for (const auto& key : log.list(""))
    out[key] = log.get(key).value();
  return out;
}

} // namespace fenced_log_test
using namespace fenced_log_test;

TEST_CASE("values of the leader are there for everybody who reads the log") {
  memory_file_system disk;
  fenced_log a{disk, "/ha"}, b{disk, "/ha"};
  CHECK(a.list("").empty());
  CHECK(!a.get("jobs/1"));
  CHECK(a.last_leadership().token == 0);
  const auto token = a.lead(0, "a", "host-a:6123").value();
  a.put(token, "jobs/1", "one");
  a.put(token, "jobs/2", "two");
  a.put(token, "results/1", std::string("\0x", 2));
  CHECK(a.put_if_absent(token, "jobs/3", "three"));
  CHECK(!a.put_if_absent(token, "jobs/3", "other"));
  a.remove(token, "jobs/2");
  a.remove(token, "jobs/99");
  CHECK(b.list("jobs/") == std::vector<std::string>{"jobs/1", "jobs/3"});
  CHECK(b.get("jobs/3") == "three");
  CHECK(b.get("results/1") == std::string("\0x", 2));
  CHECK(b.last_leadership() == fenced_log::leadership{token, "a", "host-a:6123", false});
}

TEST_CASE("only one of several contenders leads, tokens only grow, and a leader that was replaced cannot write") {
  memory_file_system disk;
  fenced_log a{disk, "/ha"}, b{disk, "/ha"}, c{disk, "/ha"};
  const auto first = a.lead(0, "a", "a:1").value();
  CHECK(!b.lead(0, "b", "b:1"));
  a.put(first, "x", "1");
  const auto second = b.lead(first, "b", "b:1").value();
  CHECK(second > first);
  CHECK(!c.lead(first, "c", "c:1"));
  for (const auto& write : std::vector<std::function<void()>>{
           [&] { a.put(first, "x", "2"); }, [&] { a.put_if_absent(first, "y", "2"); },
           [&] { a.put_if_absent(first, "x", "2"); }, [&] { a.remove(first, "x"); },
           [&] { a.remove(first, "no such"); }, [&] { b.put(0, "x", "2"); }, [&] { c.put(first, "x", "2"); }}) {
    const auto e = error_of(write);
    CHECK(e.code() == errc::stale_message);
  }
  a.resign(first); // has no meaning any more
  CHECK(!b.last_leadership().resigned);
  b.resign(second);
  CHECK(a.last_leadership().resigned);
  CHECK(error_of([&] { b.put(second, "x", "2"); }).code() == errc::stale_message);
  CHECK(values_in(disk) == std::map<std::string, std::string>{{"x", "1"}});
  const auto third = a.lead(second, "a2", "a:1").value();
  CHECK(third > second);
  a.put(third, "x", "3");
  CHECK(values_in(disk) == std::map<std::string, std::string>{{"x", "3"}});
}

TEST_CASE("a leader that is replaced right before its write is refused, also when its number is free again") {
  for (const bool compacted : {false, true})
    for (const bool known_log : {false, true}) {
      CAPTURE(compacted);
      CAPTURE(known_log);
      memory_file_system disk;
      interrupted_files slow{disk};
      fenced_log a{slow, "/ha"};
      fenced_log b{disk, "/ha", 4};
      fenced_log reader{disk, "/ha"};
      const auto first = a.lead(0, "a", "a:1").value();
      a.put(first, "x", "1");
      if (known_log) CHECK(reader.get("x") == "1");
      leader_token second = 0;
      slow.before_link(1, [&] {
        second = b.lead(first, "b", "b:1").value();
        if (compacted)
          for (int i = 0; i < 9; ++i)
            b.put(second, "y", std::to_string(i));
      });
      const auto e = error_of([&] { a.put(first, "x", "of the stopped leader"); });
      CHECK(e.code() == errc::stale_message);
      CHECK(second > first);
      CHECK(b.get("x") == "1");
      CHECK(reader.get("x") == "1");
      CHECK(values_in(disk).at("x") == "1");
      b.put(second, "z", "goes on");
      CHECK(reader.get("z") == "goes on");
    }
}

TEST_CASE("a reader is not taken in by a record that a replaced leader has written under a number that is free again") {
  memory_file_system disk;
  interrupted_files slow{disk}, slow_reader{disk};
  fenced_log a{slow, "/ha"}, b{disk, "/ha", 4}, reader{slow_reader, "/ha"};
  const auto first = a.lead(0, "a", "a:1").value();
  a.put(first, "x", "1");
  CHECK(reader.get("x") == "1");
  leader_token second = 0;
  slow.before_link(1, [&] { // a has looked, and is about to write record 3
    second = b.lead(first, "b", "b:1").value();
    slow_reader.before_reading("/ha/record-3", [&] { // the reader has seen that it is there
      for (int i = 0; i < 9; ++i)
        b.put(second, "y", std::to_string(i));
      CHECK(!disk.exists("/ha/record-3"));
      disk.put_if_absent("/ha/record-3", disk.read_file("/ha/of-a"));
    });
    // What a writes: taken from where it writes it.
    for (const auto& path : disk.paths())
      if (path.starts_with("/ha/.put-")) disk.write_file("/ha/of-a", disk.read_file(path));
    CHECK(reader.get("x") == "1");
  });
  CHECK(error_of([&] { a.put(first, "x", "of the stopped leader"); }).code() == errc::stale_message);
  CHECK(second > first);
  CHECK(disk.read_file("/ha/record-3") == disk.read_file("/ha/of-a"));
  CHECK(reader.get("x") == "1");
  CHECK(reader.get("y") == "8");
}

TEST_CASE("a log is compacted, and readers that are behind follow") {
  memory_file_system disk;
  fenced_log a{disk, "/ha", 8}, slow{disk, "/ha"};
  const auto token = a.lead(0, "a", "a:1").value();
  a.put(token, "first", "stays");
  CHECK(slow.get("first") == "stays");
  for (int i = 0; i < 100; ++i)
    a.put(token, "k" + std::to_string(i % 5), std::to_string(i));
  CHECK(disk.list("/ha").size() <= 8 + 2 + 1);
  CHECK(slow.get("k4") == "99");
  CHECK(slow.get("first") == "stays");
  CHECK(slow.last_leadership().address == "a:1");
  CHECK(values_in(disk).size() == 6);
  const auto next = slow.lead(token, "slow", "s:1").value();
  CHECK(next > token);
  slow.put(next, "k0", "new");
  CHECK(values_in(disk).at("k0") == "new");
}

TEST_CASE("a leader that dies at its k-th access to the disk loses nothing that was confirmed, for every k") {
  const log_capture quiet;
  std::uint64_t deaths = 0, finished = 0;
  for (const bool power_fails : {false, true})
    for (std::uint64_t k = 1; finished < (power_fails ? 2 : 1); k += rounds(10) == 1 ? 5 : 1) {
      CAPTURE(power_fails);
      CAPTURE(k);
      memory_file_system disk;
      disk.remember_synced();
      faulty_file_system faulty{disk};
      std::map<std::string, std::string> confirmed, maybe;
      leader_token token = 0;
      fenced_log a{faulty, "/ha", 3};
      faulty.fail_from(k);
      try {
        token = a.lead(0, "a", "a:1").value();
        for (int i = 0; i < 8; ++i) {
          maybe = confirmed;
          const auto key = "k" + std::to_string(i % 3);
          if (i == 5) {
            maybe.erase(key);
            a.remove(token, key);
          } else {
            maybe[key] = std::to_string(i);
            a.put(token, key, std::to_string(i));
          }
          confirmed = maybe;
        }
        ++finished;
      } catch (const error& e) {
        REQUIRE(e.code() == errc::io_failed);
        ++deaths;
      }
      if (power_fails) disk.lose_power();
      {
        const auto there = values_in(disk);
        const bool as_written = there == confirmed || there == maybe;
        REQUIRE(as_written);
      }
      faulty.heal(); // the dead one comes back, if the power did not fail
      fenced_log b{disk, "/ha", 3};
      const auto seen = b.last_leadership().token;
      CHECK((token == 0 || seen == token));
      const auto there = values_in(disk);
      const auto next = b.lead(seen, "b", "b:1").value();
      CHECK(next > seen);
      CHECK(values_in(disk) == there);
      if (token != 0) CHECK(error_of([&] { a.put(token, "k0", "zombie"); }).code() == errc::stale_message);
      b.put(next, "k1", "of b");
      CHECK(values_in(disk).at("k1") == "of b");
    }
  CHECK(deaths > 100 / (rounds(10) == 1 ? 5 : 1));
}

TEST_CASE("a leader whose disk failed once goes on, and its failed write is there or not, never half") {
  const log_capture quiet;
  for (std::uint64_t k = 1; k < 60; ++k) {
    CAPTURE(k);
    memory_file_system disk;
    faulty_file_system faulty{disk};
    fenced_log a{faulty, "/ha", 4};
    const auto token = a.lead(0, "a", "a:1").value();
    faulty.fail_any(k);
    std::map<std::string, std::string> expected;
    for (int i = 0; i < 6; ++i) {
      const auto key = "k" + std::to_string(i), value = std::to_string(i);
      const auto e = error_of([&] { a.put(token, key, value); });
      const auto there = values_in(disk);
      if (!e) CHECK(there.contains(key));
      if (there.contains(key)) expected[key] = value;
    }
    faulty.heal();
    CHECK(values_in(disk) == expected);
    CHECK(expected.size() >= 5);
    CHECK(a.last_leadership().token == token);
  }
}

TEST_CASE("every changed byte and every missing record of the log is found") {
  memory_file_system disk;
  {
    fenced_log a{disk, "/ha", 6};
    const auto token = a.lead(0, "a", "a:1").value();
    for (int i = 0; i < 9; ++i)
      a.put(token, "key", std::to_string(i));
  }
  std::size_t snapshots = 0;
  for (const auto& path : disk.paths()) {
    CAPTURE(path);
    snapshots += path.find("/snapshot-") != std::string::npos ? 1 : 0;
    const auto good = disk.read_file(path);
    for (std::size_t at = 0; at < good.size(); ++at) {
      auto bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 4);
      disk.write_file(path, bad);
      const auto e = error_of([&] { values_in(disk); });
      REQUIRE(e.code() == errc::corrupt_state);
      CHECK(e.cause().find(path) != std::string::npos);
    }
    disk.write_file(path, good.substr(0, good.size() / 2));
    CHECK(error_of([&] { values_in(disk); }).code() == errc::corrupt_state);
    disk.write_file(path, good);
  }
  CHECK(snapshots == 1);
  CHECK(values_in(disk).at("key") == "8");
  disk.remove("/ha/record-8");
  const auto e = error_of([&] { values_in(disk); });
  CHECK(e.code() == errc::corrupt_state);
  CHECK(e.cause().find("record-8") != std::string::npos);
}
