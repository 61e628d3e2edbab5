#include <dataflow/checkpoint/shared_files.hpp>
#include <dataflow/checkpoint/state_rewrite.hpp>
#include <dataflow/checkpoint/state_view.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/record/hash.hpp>
#include <dataflow/record/record.hpp>
#include <dataflow/time/timestamp.hpp>
#include <dataflow/util/memory_file_system.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <tests/support/checkpoint_samples.hpp>
#include <tests/support/effort.hpp>
#include <tests/support/error_of.hpp>
#include <tests/support/store_on_disk.hpp>
#include <tuple>
#include <variant>
#include <vector>

namespace state_view_test {
struct visit {
  std::string page;
  std::optional<std::int32_t> depth;
};
struct profile {
  std::string name;
  std::vector<visit> visits;
  std::chrono::milliseconds spent{0};
};
} // namespace state_view_test
DATAFLOW_RECORD(state_view_test::visit, page, depth);
DATAFLOW_RECORD(state_view_test::profile, name, visits, spent);

using namespace dataflow;
using dataflow::test::error_of;
using state_view_test::profile;
using state_view_test::visit;

namespace {

template <class T>
std::string json_value(const T& value) {
  byte_writer out;
  codec<T>::encode(value, out);
  byte_reader in{out.buffer()};
  const auto shape = parse_schema(to_string(codec<T>::describe()));
  REQUIRE(shape);
  CHECK(*shape == codec<T>::describe());
  auto text = json_of(*shape, in);
  CHECK(in.at_end());
  return text;
}

/// Entries "key -> value" of a keyed state, spread over the key groups of two subtasks.
struct stored_profiles {
  explicit stored_profiles(std::uint64_t id, const std::map<std::string, std::int64_t>& counts) {
    storage.take_over(id);
    const auto directory = storage.begin(id);
    checkpoint_metadata m;
    m.id = id;
    m.leader = id; // its token, see take_over()
    operator_metadata op;
    op.uid = "counts";
    op.name = "Count";
    op.parallelism = 2;
    op.max_parallelism = 8;
    for (std::uint32_t subtask = 0; subtask < 2; ++subtask) {
      subtask_state state;
      auto& keyed = state.operators["counts"].states.states["count"];
      keyed.info = {"count", state_kind::keyed, "string -> int64"};
      auto& rules = state.operators["counts"].states.states["rules"];
      rules.info = {"rules", state_kind::broadcast, "string"};
      byte_writer rule;
      rule.text("only one");
      rules.parts.push_back({0, rule.take()});
      auto& strange = state.operators["counts"].states.states["strange"];
      strange.info = {"strange", state_kind::keyed, "timers of something"};
      strange.parts.push_back({subtask * 4, std::string("\x01\xff", 2)});
      const auto range = range_of(subtask, 2, 8);
      for (auto group = range.first; group <= range.last; ++group) {
        byte_writer part;
        for (auto& [key, count] : counts)
          if (key_group_of(key_hash(key), 8) == group) {
            codec<std::string>::encode(key, part);
            codec<std::int64_t>::encode(count, part);
          }
        if (part.size() > 0) keyed.parts.push_back({group, part.take()});
      }
      auto out = storage.create(directory, object_scope::exclusive, "s");
      const auto summary = write_subtask_state(state, *out, compression::lz4);
      m.subtasks.push_back({summary.object, {}});
      op.parts.push_back({subtask, false, summary.operators[0].states, {}, {}});
    }
    m.operators.push_back(op);
    storage.publish(directory, m);
    view = std::make_unique<state_view>(storage, directory + "/_metadata");
  }
  memory_file_system files;
  file_checkpoint_storage storage{files, "/c", "job", 1};
  std::unique_ptr<state_view> view;
};

std::map<std::string, std::int64_t> some_counts() {
  std::map<std::string, std::int64_t> counts;
  for (int i = 0; i < 50; ++i)
    counts["word" + std::to_string(i)] = i;
  counts["a very long key that takes more room than the others"] = 7;
  return counts;
}

} // namespace

TEST_CASE("values of every standard type are read by their schema's text alone") {
  CHECK(json_value<std::int64_t>(-5) == "-5");
  CHECK(json_value<std::uint8_t>(200) == "200");
  CHECK(json_value(true) == "true");
  CHECK(json_value(1.5) == "1.5");
  CHECK(json_value(std::numeric_limits<double>::infinity()) == "\"Infinity\"");
  CHECK(json_value<std::string>("a \"b\"") == "\"a \\\"b\\\"\"");
  CHECK(json_value(std::optional<int>{}) == "null");
  CHECK(json_value(std::optional<int>{3}) == "3");
  CHECK(json_value(std::variant<int, std::string>{"x"}) == R"({"alternative":1,"value":"x"})");
  CHECK(json_value(std::pair<int, std::string>{1, "x"}) == R"({"first":1,"second":"x"})");
  CHECK(json_value(std::tuple<int, bool>{1, false}) == R"({"f0":1,"f1":false})");
  CHECK(json_value(std::array<int, 2>{4, 5}) == "[4,5]");
  CHECK(json_value(std::vector<std::string>{"a", "b"}) == R"(["a","b"])");
  CHECK(json_value(std::set<int>{2, 1}) == "[1,2]");
  CHECK(json_value(std::map<std::string, int>{{"k", 1}}) == R"([{"key":"k","value":1}])");
  CHECK(json_value(std::chrono::milliseconds{250}) == "250");
  CHECK(json_value(timestamp{std::chrono::milliseconds{-3}}) == "-3");
  CHECK(json_value(profile{"n", {{"p", 2}, {"q", {}}}, std::chrono::milliseconds{9}}) ==
        R"({"name":"n","visits":[{"page":"p","depth":2},{"page":"q","depth":null}],"spent":9})");
}

TEST_CASE("texts that are no schema are not taken for one") {
  for (auto text : {"", "{", "struct a{", "struct a{b: }", "struct a{b: int64", "struct a{b: int64}}", "list{", "a{}"})
    CHECK_MESSAGE(!parse_schema(text), text);
  byte_reader in{""};
  CHECK(error_of([&] { json_of({"something of a user's", {}}, in); }).code() == errc::malformed_record);
}

TEST_CASE("keyed states are read with what a time to live adds, lists and maps") {
  const auto decode = [](const char* schema, const std::string& bytes) {
    std::string out;
    state_decoder decoder{{"s", state_kind::keyed, schema}};
    REQUIRE(decoder.readable());
    decoder.entries({3, bytes}, [&](state_entry&& e) { out += e.key + "=" + e.value + ";"; });
    return out;
  };
  byte_writer w;
  w.text("k");
  w.fixed<std::int64_t>(99); // last access
  w.fixed<std::int32_t>(7);
  CHECK(decode("string -> int32, with time to live", w.buffer()) == "\"k\"=7;");
  w.clear();
  for (int key : {1, 2}) {
    w.fixed(key);
    w.varint(2);
    for (int i = 0; i < 2; ++i) {
      w.fixed<std::int64_t>(99);
      w.fixed(i);
    }
  }
  CHECK(decode("int32 -> list of int32, with time to live", w.buffer()) == "1=[0,1];2=[0,1];");
  w.clear();
  w.fixed(1);
  w.varint(1);
  w.text("to ");
  w.fixed(5);
  CHECK(decode("int32 -> map of string to int32", w.buffer()) == R"(1=[{"key":"to ","value":5}];)");
  w.clear();
  w.fixed(4);
  w.fixed(5);
  CHECK(decode("int32 in pair{first: int32, second: int32}", w.buffer()) == R"(={"first":4,"second":5};)");
}

TEST_CASE("what is stored is listed, counted, found by key and exported") {
  const auto counts = some_counts();
  stored_profiles s{3, counts};
  const auto rows = s.view->list();
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].state.name == "count");
  CHECK(rows[0].parallelism == 2);
  CHECK(rows[2].parts == 2);

  const auto all = s.view->inspect("counts", "count", 2);
  CHECK(all.readable);
  CHECK(all.entries == counts.size());
  std::uint64_t sum = 0;
  for (auto& g : all.key_groups)
    sum += g.entries;
  CHECK(sum == counts.size());
  REQUIRE(all.largest.size() == 2);
  CHECK(all.largest[0].key == "\"a very long key that takes more room than the others\"");

  std::map<std::string, std::string> exported;
  s.view->for_each("counts", "count", [&](state_entry&& e) { exported[e.key] = e.value; });
  CHECK(exported.size() == counts.size());
  for (auto& [key, count] : counts)
    CHECK(exported["\"" + key + "\""] == std::to_string(count));
  CHECK(s.view->get("counts", "count", "\"word7\"")->value == "7");
  CHECK_FALSE(s.view->get("counts", "count", "\"word77\""));
  int rules = 0;
  s.view->for_each("counts", "rules", [&](state_entry&& e) { rules += e.value == "\"only one\""; });
  CHECK(rules == 1); // one copy of what all subtasks have

  const auto strange = s.view->inspect("counts", "strange");
  CHECK_FALSE(strange.readable);
  CHECK(strange.entries == 2);
  CHECK(strange.largest[0].value == "\"01ff\"");
  const auto e = error_of([&] { s.view->inspect("counts", "cont"); });
  CHECK(e.to_string() ==
        "invalid_argument: there is no state 'cont' of operator 'counts' in '/c/job/chk-3' (there are: "
        "counts/count, counts/rules, counts/strange)");
}

TEST_CASE("two checkpoints are compared key by key") {
  auto counts = some_counts();
  stored_profiles before{3, counts};
  counts.erase("word1");
  counts["word2"] = 200;
  counts["new"] = 1;
  stored_profiles after{4, counts};
  std::set<std::string> changes;
  diff(*before.view, *after.view, "counts", "count", [&](entry_change c, const state_entry* a, const state_entry* b) {
    changes.insert(std::string{to_string(c)} + " " + (a ? a->key + "=" + a->value : "") + " " +
                   (b ? b->key + "=" + b->value : ""));
  });
  CHECK(changes ==
        std::set<std::string>{"added  \"new\"=1", "changed \"word2\"=2 \"word2\"=200", "removed \"word1\"=1 "});
  CHECK(error_of([&] { diff(*before.view, *after.view, "counts", "rules", [](auto, auto, auto) {}); }).code() ==
        errc::invalid_argument);
}

TEST_CASE("bytes that do not fit the schema are an error, never more") {
  random_source random{5};
  state_decoder decoder{{"s", state_kind::keyed, "string -> " + to_string(codec<profile>::describe())}};
  REQUIRE(decoder.readable());
  for (std::size_t round = 0; round < test::rounds(20'000); ++round) {
    std::string bytes(random.below(50), '\0');
    for (auto& c : bytes)
      c = static_cast<char>(random.below(8) == 0 ? random() : random.below(6));
    const auto e = error_of([&] { decoder.entries({0, bytes}, [](state_entry&&) {}); });
    CHECK((!e || e.code() == errc::corrupt_state));
  }
}

TEST_CASE("state in the files of a database is read like any other") {
  const test::manual_clock clock;
  test::store_on_disk store{clock};
  store.set_incremental();
  std::mt19937_64 random{3};
  for (int i = 0; i < 3000; ++i) { // more rows than stay in memory
    const auto key = test::stored_key(random() % 2000);
    store.key(key);
    test::expected_row row = store.row();
    test::change_one(random, store.function, row);
  }
  memory_file_system files;
  file_checkpoint_storage storage{files, "/c", "job", 1};
  storage.take_over(1);
  const auto view_of = [&](std::uint64_t id, std::shared_ptr<const operator_snapshot> snapshot) {
    const auto directory = storage.begin(id);
    subtask_state state;
    state.operators["op"].states = *snapshot;
    const auto summary = store_subtask_state(state, storage, directory, "s", compression::none, id, nullptr);
    checkpoint_metadata m;
    m.id = id;
    m.leader = 1;
    m.subtasks.push_back({summary.object, summary.shared});
    m.operators.push_back({"op", "Op", 1, 128, {}, {{0, false, summary.operators[0].states, {}, {}}}});
    storage.publish(directory, m);
    return std::make_unique<state_view>(storage, directory);
  };
  const auto entries = [](const state_view& view, const char* state) {
    std::vector<std::tuple<std::uint32_t, std::string, std::string>> all;
    view.for_each("op", state, [&](state_entry&& e) { all.emplace_back(e.key_group, e.key, e.value); });
    std::sort(all.begin(), all.end());
    return all;
  };
  auto frozen = store.freeze();
  REQUIRE_FALSE(frozen->databases.empty());
  const auto in_files = view_of(1, std::move(frozen)), in_parts = view_of(2, store.snapshot());
  for (const auto* state : {"number", "text", "list", "mortal-list", "map"}) {
    CAPTURE(state);
    const auto expected = entries(*in_parts, state);
    CHECK(expected.size() > 100);
    CHECK(entries(*in_files, state) == expected);
    CHECK(in_files->inspect("op", state).entries == expected.size());
    auto& [group, key, value] = expected[expected.size() / 2];
    const auto found = in_files->get("op", state, key);
    REQUIRE(found);
    CHECK(found->value == value);
    CHECK(found->key_group == group);
  }
  int changes = 0;
  diff(*in_files, *in_parts, "op", "map", [&](auto&&...) { ++changes; });
  CHECK(changes == 0);
}

TEST_CASE("a state is rewritten into a savepoint of its own; what does not fit is named") {
  const auto counts = some_counts();
  stored_profiles stored{3, counts};
  const auto directory = stored.view->directory();
  const auto refused = [&](const std::string& line) {
    state_rewrite change{stored.storage, directory, "counts", "count"};
    return error_of([&] { change.put(line); });
  };
  CHECK(refused("{").cause().find("entry 1 is no JSON: ") == 0);
  CHECK(refused(R"({"key_group": 1, "key": "word1"})").cause() == "entry 1: there is no field 'value'");
  CHECK(refused(R"({"key": "word1", "value": 1})").cause() == "entry 1: there is no field 'key_group'");
  const auto group = std::to_string(key_group_of(key_hash(std::string{"word1"}), 8));
  CHECK(refused(R"({"key_group": )" + group + R"(, "key": "word1", "value": "many"})").cause() ==
        "entry 1 (key \"word1\"): the value: \"many\" is no int64");
  CHECK(refused(R"({"key_group": )" + group + R"(, "key": "other", "value": 1})")
            .cause()
            .find("entry 1 (key \"other\"): the state has no such entry in key group " + group) == 0);
  CHECK(error_of([&] {
          state_rewrite{stored.storage, directory, "counts", "strange"};
        }).code() == errc::invalid_argument);
  CHECK(error_of([&] { state_rewrite{stored.storage, directory, "counts", "none"}; }).code() == errc::invalid_argument);

  state_rewrite change{stored.storage, directory, "counts", "count"};
  std::vector<std::string> lines;
  change.entries([&](const state_entry& e, const std::string&) {
    const auto value = e.value == "7" ? std::string{"700"} : e.value;
    if (e.value != "8") lines.push_back(json_line({e.key_group, e.key, value, e.bytes}));
  });
  std::reverse(lines.begin(), lines.end()); // their order does not matter
  for (auto& line : lines)
    change.put(line);
  CHECK(error_of([&] { change.put(lines.front()); }).code() == errc::malformed_record); // twice
  stored.files.create_directories("/new");
  CHECK(change.write_to("/new") == counts.size() - 1);

  const auto metadata = stored.storage.read("/new");
  CHECK(metadata.kind == checkpoint_kind::savepoint);
  verify_checkpoint(stored.storage, "/new", metadata, verification::content);
  const state_view view{stored.storage, "/new"};
  auto expected = counts;
  for (auto i = expected.begin(); i != expected.end();)
    if (i->second == 8) {
      i = expected.erase(i);
    } else {
      if (i->second == 7) i->second = 700;
      ++i;
    }
  std::map<std::string, std::int64_t> got;
  view.for_each("counts", "count", [&](state_entry&& e) { got[e.key] = std::stoll(e.value); });
  for (auto& [key, value] : expected)
    CHECK(got["\"" + key + "\""] == value);
  CHECK(got.size() == expected.size());
  // The others are as they were, also those that only their job can read.
  std::size_t changes = 0;
  diff(*stored.view, view, "counts", "strange",
       [&](entry_change, const state_entry*, const state_entry*) { ++changes; });
  CHECK(changes == 0);
  CHECK(view.inspect("counts", "rules").entries == 1);
}
