// A job that starts from a savepoint whose state was rewritten: on both backends, at any parallelism.
#include <dataflow/checkpoint/restore_point.hpp>
#include <dataflow/checkpoint/state_rewrite.hpp>
#include <dataflow/util/log.hpp>

#include <nlohmann/json.hpp>

#include "tests/fault/savepoint_lab.hpp"

using namespace dataflow;
using namespace dataflow::test;

namespace rewritten_state_test {

/// Counts, and remembers which numbers it has seen last.
class counter : public keyed_process_function<std::int64_t, std::int64_t, std::string> {
  value_state<std::int64_t> count_ = state("count");
  map_state<std::int64_t, std::string> last_ = state("last");

public:
  void process(const std::int64_t& n, context& ctx, collector<std::string>& out) override {
    count_.update(count_.value_or(0) + 1);
    last_.put(n % 2, "number " + std::to_string(n));
    out.collect(std::to_string(ctx.key()) + " " + std::to_string(*count_));
  }
};

void counts(environment& env, const char* backend) {
  env.configure("state.backend.type", backend);
  env.generate([](std::int64_t i) { return i; }, {.count = all_numbers, .records_per_second = 3000})
      .uid("numbers")
      .key_by([](std::int64_t n) { return n % keys; })
      .process<counter>()
      .uid("counts")
      .print()
      .uid("out");
}

totals_by_key highest(const std::vector<std::string>& lines) {
  totals_by_key got;
  for (auto& line : lines) {
    auto& last = got[std::stoll(line)];
    last = std::max(last, static_cast<std::int64_t>(std::stoll(line.substr(line.find(' ') + 1))));
  }
  return got;
}

} // namespace rewritten_state_test

using namespace rewritten_state_test;

TEST_CASE("a savepoint's state is rewritten, and a job goes on with the new values") {
  log_capture quiet;
  const std::pair<const char*, const char*> backends[] = {
      {"hashmap", "hashmap"}, {"hashmap", "rocksdb"}, {"rocksdb", "hashmap"}, {"rocksdb", "rocksdb"}};
  for (auto& [before, after] : backends)
    for (const std::int64_t parallelism : {1, 2, 3}) {
      CAPTURE(before);
      CAPTURE(after);
      CAPTURE(parallelism);
      lab l;
      const auto path = stopped(l, [&](environment& env) { counts(env, before); });
      const auto first = highest(l.lines());
      REQUIRE(first.size() == keys);

      file_checkpoint_storage storage{l.cluster->files(), "", "", 0};
      state_rewrite change{storage, path, "counts", "count"};
      std::size_t seen = 0;
      change.entries([&](const state_entry&, const std::string& json) {
        auto entry = nlohmann::ordered_json::parse(json);
        ++seen;
        if (entry["key"] == 5) return; // forgotten
        entry["value"] = entry["value"].get<std::int64_t>() + 1000;
        change.put(entry.dump());
      });
      CHECK(seen == keys);
      l.cluster->files().create_directories("/rewritten");
      CHECK(change.write_to("/rewritten") == keys - 1);

      const state_view was{storage, path}, is{storage, "/rewritten"};
      CHECK(is.metadata().kind == checkpoint_kind::savepoint);
      CHECK(is.list().size() == was.list().size());
      std::size_t changes = 0;
      diff(was, is, "counts", "last", [&](entry_change, const state_entry*, const state_entry*) { ++changes; });
      CHECK(changes == 0);
      dispose_savepoint(l.cluster->files(), path); // it is not needed any more

      auto env = l.env(parallelism);
      counts(env, after);
      env.start_from("/rewritten");
      CHECK(env.execute("job").final_report.checkpoints.restored == 1);
      for (auto& [key, last] : highest(l.lines())) {
        CAPTURE(key);
        const auto whole = (all_numbers - key + keys - 1) / keys;
        CHECK(last == (key == 5 ? whole - first.at(key) : whole + 1000));
      }
    }
}
