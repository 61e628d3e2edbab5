// States whose record types have changed since the files of their database were stored: what is rewritten, what stays,
// and what happens when it breaks off.
#include <dataflow/record/record.hpp>
#include <dataflow/state/keyed_context.hpp>
#include <dataflow/state/keyed_states.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <tests/support/error_of.hpp>
#include <tests/support/fetched_databases.hpp>
#include <tests/support/temporary_directory.hpp>
#include <tests/support/test_platform.hpp>

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace changed_files_test {

struct old_visit {
  std::int32_t count = 0;
  std::string page;
};
struct visit {
  std::string page;
  std::int64_t rank = 7, count = 0;
};

/// Databases that fail at the put with that number, and know how much the largest batch was.
class watched_databases final : public state_database_factory {
public:
  explicit watched_databases(std::size_t fail_at = 0) : fail_at_(fail_at) {}
  std::unique_ptr<state_database> open(const std::string& directory, const dataflow::clock& clock,
                                       const std::string& from) override {
    return std::make_unique<watched>(*this, inner_->open(directory, clock, from));
  }
  std::size_t puts = 0, largest_batch = 0;

private:
  class watched final : public state_database {
  public:
    watched(watched_databases& o, std::unique_ptr<state_database> d) : owner_(o), inner_(std::move(d)) {}
    table open_table(const state_table_options& options) override { return inner_->open_table(options); }
    bool get(table t, std::string_view key, std::string& value) override { return inner_->get(t, key, value); }
    void put(table t, std::string_view key, std::string_view value) override {
      if (++owner_.puts == owner_.fail_at_) throw error{errc::disk_full, "the disk is full", "make room"};
      inner_->put(t, key, value);
      owner_.largest_batch = std::max(owner_.largest_batch, inner_->unwritten());
    }
    void remove(table t, std::string_view key) override { inner_->remove(t, key); }
    void append(table t, std::string_view key, std::string_view added) override { inner_->append(t, key, added); }
    std::size_t unwritten() const noexcept override { return inner_->unwritten(); }
    void write() override { inner_->write(); }
    void scan(table t, key_group_range groups,
              const std::function<bool(std::string_view, std::string_view)>& f) override {
      inner_->scan(t, groups, f);
    }
    void scan_from(table t, std::string_view first, std::uint32_t last_group,
                   const std::function<bool(std::string_view, std::string_view)>& f) override {
      inner_->scan_from(t, first, last_group, f);
    }
    std::shared_ptr<const database_files> snapshot(const std::string& d) override { return inner_->snapshot(d); }
    std::shared_ptr<const database_view> freeze() override { return inner_->freeze(); }
    void keep_only(key_group_range groups) override { inner_->keep_only(groups); }
    std::size_t row_memory() const noexcept override { return inner_->row_memory(); }
    void compact() override { inner_->compact(); }
    usage used() const override { return inner_->used(); }

  private:
    watched_databases& owner_;
    std::unique_ptr<state_database> inner_;
  };
  std::shared_ptr<state_database_factory> inner_ = rocksdb_databases({4 << 20});
  const std::size_t fail_at_;
};

/// Keyed state of an operator that begins with `restored`, on the disk with incremental checkpoints or in memory.
struct keyed_lab {
  keyed_lab(const dataflow::clock& clock, std::shared_ptr<const operator_snapshot> restored = {}, bool on_disk = true,
            std::size_t fail_at = 0)
      : databases(fail_at), states{{0, 127}, 128, std::move(restored)} {
    if (on_disk) states.set_place({&databases, place / "state", 1, true, {}});
    keys.open(states, clock);
    states.set_keyed(keys);
  }
  void key(std::int64_t k) { keys.set_key(std::int64_t{k}, key_hash(k)); }
  std::shared_ptr<const operator_snapshot> freeze() {
    keys.clear_key();
    return std::make_shared<operator_snapshot>(states.freeze());
  }
  temporary_directory place;
  watched_databases databases;
  state_registry states;
  keyed_context<std::int64_t> keys;
};

std::map<std::string, std::string> content_of(const std::string& directory) {
  std::map<std::string, std::string> files;
  for (auto& e : system_files().list(directory))
    files[e.name] = system_files().read_file(join_path(directory, e.name));
  return files;
}

} // namespace changed_files_test
using namespace changed_files_test;
DATAFLOW_RECORD(old_visit, count, page);
DATAFLOW_RECORD(visit, page, rank, count);

TEST_CASE("rewriting state that breaks off leaves the checkpoint's files as they were, and begins anew") {
  constexpr std::int64_t keys = 3000;
  manual_clock clock;
  keyed_lab old{clock};
  value_state<old_visit> before{state("visit")};
  before.open(old.states);
  for (std::int64_t k = 0; k < keys; ++k) {
    old.key(k);
    before = old_visit{static_cast<std::int32_t>(k), std::string(2000, 'p')};
  }
  fetched_databases files{old.freeze()};
  const auto from = files.copy({0, 127}, true);
  const auto stored = content_of(from->databases[0].directory);
  {
    keyed_lab breaks{clock, from, true, 2000};
    value_state<visit> now{state("visit")};
    CHECK(error_of([&] { now.open(breaks.states); }).code() == errc::disk_full);
  }
  CHECK((content_of(from->databases[0].directory) == stored));
  keyed_lab again{clock, from};
  value_state<visit> now{state("visit")};
  now.open(again.states);
  CHECK(again.databases.puts == keys);
  CHECK(again.databases.largest_batch < 2 << 20); // of some 6 MB
  for (std::int64_t k = 0; k < keys; ++k) {
    again.key(k);
    REQUIRE(now->count == k);
    REQUIRE(now->rank == 7);
    REQUIRE(now->page.size() == 2000);
  }
  CHECK((content_of(from->databases[0].directory) == stored));
}

TEST_CASE("values with a time to live keep the time of their last use when their record type changes") {
  for (const auto& [go_on, on_disk] : {std::pair{true, true}, {false, true}, {false, false}}) {
    CAPTURE(go_on);
    CAPTURE(on_disk);
    manual_clock clock;
    const ttl life{1h};
    keyed_lab old{clock};
    value_state<old_visit> old_value{state("value", life)};
    list_state<old_visit> old_list{state("list", life)};
    map_state<std::string, old_visit> old_map{state("map", life)};
    old_value.open(old.states), old_list.open(old.states), old_map.open(old.states);
    for (const std::int64_t k : {1, 2}) {
      old.key(k);
      old_value = old_visit{static_cast<std::int32_t>(k), "p"};
      old.key(3);
      old_list.add({static_cast<std::int32_t>(k), "p"});
      old_map.put(std::to_string(k), {static_cast<std::int32_t>(k), "p"});
      clock.advance(30min);
    }
    fetched_databases files{old.freeze()};
    keyed_lab fresh{clock, files.copy({0, 127}, go_on), on_disk};
    value_state<visit> value{state("value", life)};
    list_state<visit> list{state("list", life)};
    map_state<std::string, visit> map{state("map", life)};
    value.open(fresh.states), list.open(fresh.states), map.open(fresh.states);
    fresh.key(1);
    CHECK_FALSE(value.has_value());
    fresh.key(2);
    CHECK(value->count == 2);
    fresh.key(3);
    REQUIRE(list.get().size() == 1);
    CHECK(list.get()[0].count == 2);
    CHECK(map.keys() == std::vector<std::string>{"2"});
    CHECK(map.at("2").rank == 7);
    clock.advance(30min);
    CHECK(list.get().empty());
    CHECK(map.keys().empty());
    fresh.key(2);
    CHECK_FALSE(value.has_value());
  }
}

TEST_CASE("a state that a job has dropped does not come back with the files of a later checkpoint") {
  manual_clock clock;
  keyed_lab first{clock};
  value_state<std::int64_t> dropped{state("dropped")}, kept{state("kept")};
  dropped.open(first.states), kept.open(first.states);
  for (std::int64_t k = 0; k < 500; ++k) {
    first.key(k);
    dropped = k;
    kept = k;
  }
  const auto frozen = first.freeze();
  fetched_databases files{frozen};
  keyed_lab second{clock, files.copy({0, 127}, true)};
  value_state<std::int64_t> kept_then{state("kept")};
  kept_then.open(second.states);
  const auto later = second.freeze();
  // An earlier version left it in the files.
  auto left_there = std::make_shared<operator_snapshot>(*frozen);
  left_there->states.erase("dropped");
  for (auto& from : {later, std::shared_ptr<const operator_snapshot>{left_there}}) {
    fetched_databases later_files{from};
    for (const auto& [go_on, on_disk] : {std::pair{true, true}, {false, true}, {false, false}}) {
      CAPTURE(go_on);
      CAPTURE(on_disk);
      keyed_lab third{clock, later_files.copy({0, 127}, go_on), on_disk};
      value_state<std::string> again{state("dropped")};
      value_state<std::int64_t> kept_now{state("kept")};
      again.open(third.states), kept_now.open(third.states);
      for (std::int64_t k = 0; k < 500; ++k) {
        third.key(k);
        REQUIRE_FALSE(again.has_value());
        REQUIRE(*kept_now == k);
      }
    }
  }
}
