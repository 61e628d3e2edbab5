// A source of a user's own, written against the interface alone: readings of sensors, one split per sensor, two
// sensors at a time for each reader.
#include <dataflow/connectors/source.hpp>
#include <dataflow/connectors/source_driver.hpp>
#include <dataflow/connectors/split_reader.hpp>
#include <dataflow/record/record.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <tests/support/source_harness.hpp>

using namespace dataflow;

namespace own_source_test {

struct reading {
  std::string sensor;
  std::int64_t value = 0;
  friend bool operator==(const reading&, const reading&) = default;
  friend auto operator<=>(const reading&, const reading&) = default;
};

} // namespace own_source_test

DATAFLOW_RECORD(own_source_test::reading, sensor, value);

namespace own_source_test {

constexpr int readings_per_sensor = 100;

/// Which sensors nobody reads.
class sensor_enumerator final : public split_enumerator {
public:
  explicit sensor_enumerator(std::map<std::string, std::int64_t> free) : free_(std::move(free)) {}
  void start(enumerator_context&) override {}
  void split_requested(enumerator_context& context, std::uint32_t subtask) override {
    for (int i = 0; i < 2 && !free_.empty(); ++i) {
      auto [sensor, next] = *free_.begin();
      free_.erase(free_.begin());
      context.assign(subtask, {sensor, std::to_string(next)});
    }
    if (free_.empty()) context.no_more_splits(subtask);
  }
  void splits_returned(enumerator_context&, std::uint32_t, std::vector<source_split> splits) override {
    for (auto& split : splits)
      free_[split.id] = std::stoll(split.payload);
  }
  std::string snapshot(std::uint64_t) override {
    std::string text;
    for (auto& [sensor, next] : free_)
      text += sensor + "=" + std::to_string(next) + "\n";
    return text;
  }

private:
  std::map<std::string, std::int64_t> free_;
};

class sensor_reader final : public source_reader<reading> {
public:
  void open(reader_context& context) override {
    context_ = &context;
    if (positions_.empty()) ask();
  }
  void add_splits(std::vector<source_split> splits) override {
    asked_ = false;
    for (auto& split : splits)
      positions_[split.id] = std::stoll(split.payload);
  }
  void no_more_splits() override { no_more_ = true; }
  std::vector<source_split> snapshot(std::uint64_t) override {
    std::vector<source_split> out;
    for (auto& [sensor, next] : positions_)
      out.push_back({sensor, std::to_string(next)});
    return out;
  }
  poll_result poll(source_output<reading>& out) override {
    if (positions_.empty()) {
      if (no_more_) return poll_result::end();
      ask();
      return positions_.empty() ? poll_result::wait() : poll_result::more();
    }
    for (auto at = positions_.begin(); at != positions_.end() && !out.full();) { // one reading of each
      out.collect({at->first, at->second}, timestamp{std::chrono::milliseconds{at->second}});
      at = ++at->second == readings_per_sensor ? positions_.erase(at) : std::next(at);
    }
    return poll_result::more();
  }

private:
  void ask() {
    if (asked_ || no_more_) return;
    asked_ = true;
    context_->request_split();
  }
  reader_context* context_ = nullptr;
  std::map<std::string, std::int64_t> positions_;
  bool asked_ = false, no_more_ = false;
};

class sensor_source final : public source<reading> {
public:
  boundedness bounds() const noexcept override { return boundedness::bounded; }
  std::unique_ptr<source_reader<reading>> make_reader() const override { return std::make_unique<sensor_reader>(); }
  std::unique_ptr<split_enumerator> make_enumerator() const override {
    std::map<std::string, std::int64_t> sensors;
    for (char c = 'a'; c < 'h'; ++c)
      sensors[std::string(1, c)] = 0;
    return std::make_unique<sensor_enumerator>(std::move(sensors));
  }
  std::unique_ptr<split_enumerator> restore_enumerator(const std::string& snapshot) const override {
    std::map<std::string, std::int64_t> sensors;
    for (std::size_t at = 0; at < snapshot.size();) {
      auto end = snapshot.find('\n', at), equals = snapshot.find('=', at);
      sensors[snapshot.substr(at, equals - at)] = std::stoll(snapshot.substr(equals + 1, end - equals - 1));
      at = end + 1;
    }
    return std::make_unique<sensor_enumerator>(std::move(sensors));
  }
};

std::vector<reading> all_readings() {
  std::vector<reading> out;
  for (char c = 'a'; c < 'h'; ++c)
    for (int i = 0; i < readings_per_sensor; ++i)
      out.push_back({std::string(1, c), i});
  return out;
}

std::vector<reading> sorted(std::vector<reading> v) {
  std::sort(v.begin(), v.end());
  return v;
}

/// The same with the base that knows about splits: nothing but the reading is left.
struct countdown_split {
  std::string id;
  std::int64_t left = 0;
  std::string encode() const { return std::to_string(left); }
  static countdown_split decode(const source_split& split) { return {split.id, std::stoll(split.payload)}; }
};
class countdown_reader final : public split_reader<std::int64_t, countdown_split> {
  poll_result read(countdown_split& split, source_output<std::int64_t>& out) override {
    while (split.left > 0 && !out.full())
      out.collect(split.left--);
    return split.left == 0 ? poll_result::end() : poll_result::more();
  }
};

} // namespace own_source_test

using namespace own_source_test;

TEST_CASE("a user's own source runs over snapshots, restores and readers that die") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    random_source random{seed};
    test::test_platform world;
    sensor_source source;
    test::source_harness<reading> first{source, 3, world};
    first.run_some(random, random.below(100));
    first.kill(static_cast<std::uint32_t>(random.below(3)));
    first.run_some(random, random.below(100));
    auto snapshot = first.snapshot();
    first.run_some(random, random.below(100));
    first.kill(static_cast<std::uint32_t>(random.below(3)));
    first.run();
    CHECK(sorted(first.records()) == all_readings());
    test::source_harness<reading> second{source, static_cast<std::uint32_t>(1 + random.below(4)), world, snapshot};
    second.run();
    CHECK(sorted(second.records()) == all_readings());
  }
}

TEST_CASE("the engine drives a user's source without knowing its type, with timestamps") {
  auto factories = factories_of(sensor_source{});
  CHECK(factories.bounded);
  CHECK_FALSE(factories.blocking);
  auto driver = factories.make_reader();
  CHECK(&driver->type() == &record_type_of<reading>());
  driver->reader().add_splits({{"x", "98"}, {"y", "0"}});
  driver->reader().no_more_splits();
  batch<reading> b{driver->type()};
  CHECK(driver->poll(b, {}).what == poll_result::kind::more);
  CHECK(b.size() == 2);
  REQUIRE(b.timestamps.size() == 2);
  CHECK(b.timestamps[0].time_since_epoch().count() == 98);
}

TEST_CASE("with the base for readers only the reading is left to write") {
  countdown_reader reader;
  reader.add_splits({{"x", "2"}, {"y", "3"}});
  reader.no_more_splits();
  batch<std::int64_t> b{record_type_of<std::int64_t>()};
  batch_limits limits;
  source_output<std::int64_t> out{b, limits};
  reader.pause_split("x", true);
  CHECK(reader.poll(out).what == poll_result::kind::wait);
  reader.pause_split("x", false);
  CHECK(reader.poll(out).what == poll_result::kind::end);
  CHECK(std::vector<std::int64_t>(b.records.begin(), b.records.end()) == std::vector<std::int64_t>{3, 2, 1, 2, 1});
}
