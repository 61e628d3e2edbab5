// Incremental checkpoints of keyed state in memory: what each has written together gives the state as it was.
#include <dataflow/checkpoint/completed_checkpoint_store.hpp>
#include <dataflow/checkpoint/merged_parts.hpp>
#include <dataflow/checkpoint/shared_files.hpp>
#include <dataflow/checkpoint/state_view.hpp>
#include <dataflow/record/hash.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <doctest/doctest.h>

#include <deque>
#include <random>
#include <tests/support/checkpoint_samples.hpp>
#include <tests/support/effort.hpp>
#include <tests/support/error_of.hpp>
#include <tests/support/store_on_disk.hpp>

using namespace dataflow;

namespace {

using model = std::map<std::string, test::expected_row>; // without empty rows

/// A subtask with state of each kind, which makes incremental checkpoints.
struct checkpointed_state {
  explicit checkpointed_state(std::uint32_t retained = 2, compression h = compression::none)
      : completed{storage, retained}, how{h} {
    storage.take_over(1);
    subject = std::make_unique<test::store_on_disk>(clock, nullptr, false);
    subject->set_incremental();
  }
  void change(std::uint64_t key_count) {
    const auto key = test::stored_key(random() % key_count);
    subject->key(key);
    auto& row = now[key];
    if (random() % 6 == 0) {
      subject->keys.clear_values();
      row = {};
    } else {
      test::change_one(random, subject->function, row);
    }
    if (row.empty()) now.erase(key);
  }

  struct taken {
    std::uint64_t id = 0;
    std::string directory;
    subtask_state state;
    subtask_summary summary;
    model then;
    bool savepoint = false;
  };
  taken freeze(bool savepoint = false) {
    taken t;
    t.id = ++last;
    t.savepoint = savepoint;
    t.directory = storage.begin(t.id);
    subject->keys.clear_key();
    t.state.operators["op"].states = subject->states.freeze(savepoint, static_cast<std::int64_t>(t.id));
    t.then = now;
    return t;
  }
  /// By who writes snapshots. Bytes that are new in the storage.
  std::uint64_t write(taken& t) {
    const auto before = bytes();
    t.summary = store_subtask_state(t.state, storage, t.directory, "op", how, t.id, nullptr);
    t.state = {};
    return bytes() - before;
  }
  void publish(const taken& t) {
    checkpoint_metadata m;
    m.id = t.id;
    m.job_id = "job";
    m.leader = 1;
    m.key_hash_version = key_hash_version;
    m.key_codec_version = key_codec_version;
    m.operators.resize(1);
    m.operators[0].uid = "op";
    m.operators[0].parts.resize(1);
    m.operators[0].parts[0].subtask = 0;
    m.operators[0].parts[0].states = t.summary.operators[0].states;
    m.subtasks.push_back({t.summary.object, t.summary.shared});
    storage.publish(t.directory, m);
    completed.add(t.id, t.directory, m);
    at[t.id] = t.then;
  }
  void discard(const taken& t) {
    checkpoint_actions::discard all{t.id, {}, t.summary.shared, true};
    all.options.directory = t.directory;
    all.objects.push_back(t.summary.object);
    completed.discard(all, 1);
  }
  /// A whole checkpoint. Bytes that are new in the storage.
  std::uint64_t checkpoint() {
    auto t = freeze();
    const auto written = write(t);
    publish(t);
    subject->states.checkpoint_completed(static_cast<std::int64_t>(t.id));
    return written;
  }
  std::uint64_t bytes() {
    std::uint64_t sum = 0;
    for (auto& path : files.paths())
      sum += files.status(path).size;
    return sum;
  }
  /// All retained checkpoints hold what was there, at any parallelism.
  void check_retained(std::uint32_t parallelism) {
    for (auto& c : completed.retained()) {
      INFO("checkpoint ", c.id);
      REQUIRE_NOTHROW(verify_checkpoint(storage, c.directory, *c.metadata, verification::content));
      check_restored(c, parallelism);
    }
  }
  void check_restored(const completed_checkpoint& c, std::uint32_t parallelism) {
    const auto& expected = at.at(c.id);
    const auto shares = assign_state(*c.metadata, c.directory, {{"op", "Op", parallelism, 128, {}}});
    std::size_t rows = 0;
    for (std::uint32_t i = 0; i < parallelism; ++i) {
      auto loaded = load(*shares.find("op", i), storage.opener(c.directory));
      const auto range = range_of(i, parallelism, 128);
      test::store_on_disk restored{clock, std::make_shared<operator_snapshot>(std::move(loaded.states)), false, range};
      rows += restored.keys.size();
      for (auto& [key, row] : expected) {
        if (!range.contains(key_group_of(key_hash(key), 128))) continue;
        restored.key(key);
        REQUIRE(restored.row() == row);
      }
    }
    REQUIRE(rows == expected.size());
  }

  std::mt19937_64 random{5};
  test::manual_clock clock;
  memory_file_system files;
  file_checkpoint_storage storage{files, "/c", "job", 1, 0};
  completed_checkpoint_store completed;
  compression how;
  std::unique_ptr<test::store_on_disk> subject;
  model now;
  std::map<std::uint64_t, model> at; // by checkpoint
  std::uint64_t last = 0;
};

} // namespace

TEST_CASE("incremental checkpoints hold the state as it was, whatever becomes of those before them") {
  for (std::uint64_t seed = 0; seed < test::rounds(60); ++seed) {
    CAPTURE(seed);
    checkpointed_state s{static_cast<std::uint32_t>(1 + seed % 3),
                         seed % 4 == 3 ? compression::lz4 : compression::none};
    s.random.seed(seed);
    const auto most_under_way = 1 + s.random() % 3;
    const auto key_count = 50 + s.random() % 3000;
    const bool hot = s.random() % 2 == 0;
    std::deque<checkpointed_state::taken> under_way;      // frozen, written later
    std::vector<std::int64_t> completed_unheard, aborted; // the task learns of them later
    std::uint64_t complete = 0;
    for (int step = 0; step < 40; ++step) {
      auto changes = s.random() % (hot ? 30 : 2 * key_count);
      if (step == 0) changes = 3 * key_count;
      for (; changes > 0; --changes)
        s.change(hot && step > 0 ? std::max<std::uint64_t>(key_count / 20, 1) : key_count);
      if (under_way.size() < most_under_way) under_way.push_back(s.freeze(s.random() % 12 == 0));
      if (s.random() % 4 == 0) continue; // it is written later
      while (!under_way.empty() && s.random() % 3 != 0) {
        auto t = std::move(under_way.front());
        under_way.pop_front();
        const bool drops = s.random() % 8 == 0; // it is not even written
        if (!drops) s.write(t);
        const auto id = static_cast<std::int64_t>(t.id);
        if (t.savepoint) { // replaces no checkpoint
          CHECK(t.summary.shared.empty());
          continue;
        }
        if (drops || s.random() % 4 == 0) {
          s.discard(t);
          aborted.push_back(id);
          continue;
        }
        s.publish(t);
        complete = t.id;
        completed_unheard.push_back(id);
      }
      while (!completed_unheard.empty() && s.random() % 3 != 0) {
        s.subject->states.checkpoint_completed(completed_unheard.front());
        completed_unheard.erase(completed_unheard.begin());
      }
      while (!aborted.empty() && s.random() % 3 != 0) {
        if (s.random() % 5 != 0) s.subject->states.checkpoint_aborted(aborted.back()); // else it never hears of it
        aborted.pop_back();
      }
      if (step % 8 == 7) s.check_retained(static_cast<std::uint32_t>(1 + s.random() % 3));
    }
    CHECK(complete > 5);
    s.check_retained(2);
  }
}

TEST_CASE("a checkpoint is as large as what has changed, and two hold less than four times the state in the long run") {
  checkpointed_state s;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    s.subject->key(test::stored_key(i));
    s.subject->function.text = "the text of " + std::to_string(i) + std::string(100, '.');
  }
  const auto all = s.checkpoint();
  CHECK(all > 2'500'000);
  const auto change = [&](std::uint64_t from, std::uint64_t to) {
    for (auto i = from; i < to; ++i) {
      s.subject->key(test::stored_key(i));
      s.subject->function.text = "changed in " + std::to_string(s.last) + std::string(100, '-');
    }
  };
  const auto nothing = s.checkpoint(); // an index
  CHECK(nothing < all / 50);
  change(0, 200);
  const auto one_percent = s.checkpoint() - nothing;
  CHECK(one_percent < all / 40);
  change(0, 800);
  const auto four_percent = s.checkpoint() - nothing;
  CHECK(four_percent > one_percent * 2);
  CHECK(four_percent < all / 12);
  // Parts are written anew group by group, not all at once.
  std::uint64_t sum = 0, most = 0;
  for (int i = 0; i < 200; ++i) {
    const auto from = static_cast<std::uint64_t>(i) * 97 % 19'000;
    change(from, from + 200);
    const auto written = s.checkpoint();
    sum += written;
    most = std::max(most, written);
  }
  CHECK(most < all / 4);
  CHECK(sum / 200 < all / 9);
  CHECK(s.bytes() < all * 4); // of two checkpoints
}

TEST_CASE("keys that come and go leave nothing behind, and keep no memory") {
  checkpointed_state s;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    s.subject->key("stays " + std::to_string(i));
    s.subject->function.number = 1;
    s.now["stays " + std::to_string(i)].number = 1;
  }
  for (std::uint64_t round = 0; round < 30; ++round) {
    for (std::uint64_t i = 0; i < 5000; ++i) {
      const auto key = "goes " + std::to_string(round * 5000 + i);
      s.subject->key(key);
      s.subject->function.number = 1;
      if (round % 3 == 0) continue; // they are there at one checkpoint
      s.subject->keys.clear_values();
    }
    auto t = s.freeze();
    if (round % 3 == 0)
      for (std::uint64_t i = 0; i < 5000; ++i) {
        s.subject->key("goes " + std::to_string(round * 5000 + i));
        s.subject->keys.clear_values();
        t.then["goes " + std::to_string(round * 5000 + i)].number = 1;
      }
    s.write(t);
    s.publish(t);
    s.subject->states.checkpoint_completed(static_cast<std::int64_t>(t.id));
    s.check_retained(1);
  }
  CHECK(s.bytes() < 3'000'000);
}

TEST_CASE("a savepoint has everything, and takes nothing away from the next checkpoint") {
  checkpointed_state s;
  for (int i = 0; i < 2000; ++i)
    s.change(500);
  s.checkpoint();
  for (int i = 0; i < 50; ++i)
    s.change(500);
  auto t = s.freeze(true);
  s.write(t);
  CHECK(t.summary.shared.empty());
  s.subject->states.checkpoint_completed(static_cast<std::int64_t>(t.id));
  s.publish(t);
  s.check_retained(2);
  for (int i = 0; i < 5; ++i)
    s.change(500);
  s.checkpoint();
  s.check_retained(1);
}

TEST_CASE("entries: later ones replace earlier ones, and what is no entry is damage") {
  const auto put = [](std::string_view key, std::string_view value) {
    byte_writer out;
    out.text(key);
    out.varint(value.size() + 1);
    out.raw(value.data(), value.size());
    return out.take();
  };
  const auto removed = [](std::string_view key) {
    byte_writer out;
    out.text(key);
    out.varint(0);
    return out.take();
  };
  const auto all = put("a", "1") + put("b", "2") + put("c", "");
  CHECK(merged({all}, "s", 1) == "a1b2c");
  CHECK(merged({all, put("d", "4") + put("b", "5")}, "s", 1) == "a1b5cd4");
  CHECK(merged({all, removed("a") + put("a", "6"), removed("b")}, "s", 1) == "a6c");
  CHECK(merged({all, removed("a"), removed("b") + removed("c")}, "s", 1).empty());
  CHECK(merged({removed("a") + put("b", "2"), put("a", "1")}, "s", 1) == "a1b2");
  for (std::size_t n = 1; n < all.size(); ++n) {
    if (n == put("a", "1").size() || n == 2 * put("a", "1").size()) continue; // between two entries
    const auto e = test::error_of([&] { merged({all.substr(0, n)}, "sums", 7); });
    CHECK(e.code() == errc::corrupt_state);
    CHECK(e.cause().find("key group 7 of state 'sums'") != std::string::npos);
  }
}

TEST_CASE("a checkpoint whose changes are damaged is found; the one before is good") {
  checkpointed_state s;
  for (int i = 0; i < 2000; ++i)
    s.change(500);
  s.checkpoint();
  const auto before = s.storage.shared_objects();
  for (int i = 0; i < 50; ++i)
    s.change(100);
  s.checkpoint();
  auto after = s.storage.shared_objects();
  std::erase_if(after, [&](auto& name) { return std::find(before.begin(), before.end(), name) != before.end(); });
  REQUIRE(after.size() == 1);
  const auto path = "/c/job/shared/" + after[0];
  const auto size = s.files.status(path).size;
  const auto retained = s.completed.retained();
  REQUIRE(retained.size() == 2);
  const auto restore = [&](const completed_checkpoint& c) {
    load(*assign_state(*c.metadata, c.directory, {{"op", "Op", 1, 128, {}}}).find("op", 0),
         s.storage.opener(c.directory));
  };
  for (std::size_t byte = 0; byte < size; byte += 1 + size / 200) {
    test::flip(s.files, path, byte, static_cast<unsigned>(byte % 8));
    const auto e = test::error_of([&] { restore(retained[1]); });
    CHECK(e.code() == errc::corrupt_state);
    CHECK(e.to_string().find(after[0]) != std::string::npos);
    CHECK_THROWS_AS(verify_checkpoint(s.storage, retained[1].directory, *retained[1].metadata, verification::content),
                    error);
    CHECK_NOTHROW(restore(retained[0]));
    test::flip(s.files, path, byte, static_cast<unsigned>(byte % 8));
  }
  restore(retained[1]);
  s.files.remove(path);
  CHECK_THROWS_AS(verify_checkpoint(s.storage, retained[1].directory, *retained[1].metadata, verification::objects),
                  error);
  CHECK_NOTHROW(verify_checkpoint(s.storage, retained[0].directory, *retained[0].metadata, verification::content));
}

TEST_CASE("dataflow state reads incremental checkpoints of state in memory") {
  checkpointed_state s;
  const auto set = [&](const std::string& key, std::int64_t number) {
    s.subject->key(key);
    s.subject->function.number = number;
  };
  for (std::int64_t i = 0; i < 4000; ++i)
    set("key " + std::to_string(i), i);
  s.checkpoint();
  set("key 7", 700);
  set("new", 1);
  s.subject->key("key 8");
  s.subject->function.number.clear();
  s.checkpoint();
  const auto retained = s.completed.retained();
  const state_view before{s.storage, retained[0].directory}, after{s.storage, retained[1].directory};
  CHECK(after.inspect("op", "number").entries == 4000);
  CHECK(after.get("op", "number", "\"key 7\"")->value == "700");
  CHECK_FALSE(after.get("op", "number", "\"key 8\""));
  CHECK(before.get("op", "number", "\"key 8\"")->value == "8");
  std::map<std::string, std::string> changes;
  diff(before, after, "op", "number", [&](entry_change what, const state_entry* a, const state_entry* b) {
    changes[(a ? a : b)->key] = std::string{to_string(what)};
  });
  CHECK(changes ==
        std::map<std::string, std::string>{{"\"key 7\"", "changed"}, {"\"key 8\"", "removed"}, {"\"new\"", "added"}});
}
