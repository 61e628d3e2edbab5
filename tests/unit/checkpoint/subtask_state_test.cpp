#include <dataflow/checkpoint/subtask_index.hpp>
#include <dataflow/checkpoint/subtask_state.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <tests/support/effort.hpp>
#include <tests/support/error_of.hpp>
#include <tests/support/stored_objects.hpp>

using namespace dataflow;
using dataflow::test::error_of;
using dataflow::test::object_shelf;

namespace {

std::string some_bytes(random_source& random, std::size_t size, bool compressible = false) {
  std::string bytes;
  while (bytes.size() < size)
    bytes.push_back(compressible ? static_cast<char>('a' + bytes.size() / 50 % 3) : static_cast<char>(random()));
  return bytes;
}

stored_state stored(std::string name, state_kind kind, std::vector<state_part> parts) {
  return {{std::move(name), kind, "some schema"}, std::move(parts)};
}

/// A chain of two operators with every kind of state.
subtask_state small_chain() {
  subtask_state s;
  auto& counts = s.operators["counts"];
  counts.states.states["by key"] =
      stored("by key", state_kind::keyed, {{3, "three"}, {3, "more of three"}, {70, "seventy"}});
  counts.states.states["nothing"] = stored("nothing", state_kind::keyed, {});
  counts.inputs = {{0, 2, {{{3, 3}, "first"}, {{60, 90}, "second"}}, "lines", "int64"}, {1, 0, {}, "", ""}};
  auto& sink = s.operators["sink"];
  sink.states.states["items"] = stored("items", state_kind::list, {{0, "a"}, {0, ""}, {0, "c"}});
  sink.states.states["rules"] = stored("rules", state_kind::broadcast, {{0, "r"}});
  sink.outputs = {{0, 1, {{all_key_groups, "sent"}}, "counts", "string"}};
  sink.splits = {{"file-1", "at 7"}};
  sink.files = {{"000001.sst", {object_scope::shared, "sst-1", 100, 5, {}}}};
  return s;
}

bool same(const operator_snapshot& a, const operator_snapshot& b) {
  if (a.states.size() != b.states.size()) return false;
  for (auto& [name, s] : a.states) {
    auto i = b.states.find(name);
    if (i == b.states.end() || i->second.info.kind != s.info.kind || i->second.info.schema != s.info.schema ||
        i->second.parts.size() != s.parts.size())
      return false;
    for (std::size_t k = 0; k < s.parts.size(); ++k)
      if (s.parts[k].key_group != i->second.parts[k].key_group || s.parts[k].bytes != i->second.parts[k].bytes)
        return false;
  }
  return true;
}

/// Reads everything of an object, as a restore and a verification do.
void read_all(const object_handle& handle, const object_shelf& shelf) {
  subtask_state_reader reader{handle, shelf.opener()};
  for (auto& uid : reader.operators())
    reader.read(uid);
  reader.verify();
}

} // namespace

TEST_CASE("a subtask's state comes back as it was handed in, whatever the compression") {
  for (auto how : {compression::none, compression::lz4, compression::zstd}) {
    CAPTURE(to_string(how));
    object_shelf shelf;
    auto out = shelf.create("object");
    auto state = small_chain();
    random_source random{1};
    auto& large = state.operators["counts"].states.states["large"];
    large = stored("large", state_kind::keyed,
                   {{0, some_bytes(random, 100'000, true)}, {1, some_bytes(random, 100'000)}, {127, ""}});
    const auto summary = write_subtask_state(state, out, how);
    REQUIRE(summary.operators.size() == 2);
    CHECK(summary.operators[0].uid == "counts");
    CHECK(summary.operators[0].in_flight == std::vector<in_flight_summary>{{false, 0, 2, "lines", "int64"}});
    CHECK(summary.operators[1].splits == std::vector<source_split>{{"file-1", "at 7"}});
    CHECK(summary.operators[1].states[0].parts == 3); // items, though they share a part
    CHECK(summary.object.size == shelf.objects["object"].size());
    REQUIRE(summary.shared.size() == 1);
    CHECK(summary.shared[0].name == "sst-1");
    CHECK(summary.bytes() == summary.object.size + 100);
    CHECK((summary.object.size < 150'000) ==
          (how != compression::none)); // what does not get smaller is stored as it is

    subtask_state_reader reader{summary.object, shelf.opener()};
    CHECK(reader.operators() == std::vector<std::string>{"counts", "sink"});
    for (auto& [uid, op] : state.operators) {
      const auto back = reader.read(uid);
      CHECK(same(back.states, op.states));
      CHECK(back.inputs == op.inputs);
      CHECK(back.outputs == op.outputs);
      CHECK(back.files == op.files);
      CHECK(reader.states(uid) == summary.operators[uid == "sink"].states);
    }
    reader.verify();
    CHECK(reader.read("nobody").states.states.empty());
  }
}

TEST_CASE("only the parts and items that are asked for are read") {
  object_shelf shelf;
  auto out = shelf.create("object");
  subtask_state state;
  auto& s = state.operators["op"];
  auto& keyed = s.states.states["keyed"] = stored("keyed", state_kind::keyed, {});
  for (std::uint32_t group = 0; group < 128; ++group)
    keyed.parts.push_back({group, std::string(1000, static_cast<char>(group))});
  auto& items = s.states.states["list"] = stored("list", state_kind::list, {});
  for (int i = 0; i < 1000; ++i)
    items.parts.push_back({0, std::to_string(i) + std::string(300, '.')}); // several parts of many items
  s.inputs = {{0, 0, {{{0, 9}, "low"}, {{10, 100}, "high"}}, "other", "int64"}};
  const auto summary = write_subtask_state(state, out);

  // All bytes but those of the parts that are asked for are destroyed: a reader that touches them fails.
  subtask_state_reader whole{summary.object, shelf.opener()};
  auto& bytes = shelf.objects["object"];
  const auto intact = bytes;
  for (std::uint32_t group = 0; group < 128; ++group)
    if (group < 40 || group > 50) bytes.replace(16 + group * 1000, 1000, 1000, 'x');
  subtask_state_reader reader{summary.object, shelf.opener()};
  std::vector<std::uint32_t> groups;
  reader.keyed_parts("op", "keyed", {40, 50}, [&](state_part&& p) {
    groups.push_back(p.key_group);
    CHECK(p.bytes == std::string(1000, static_cast<char>(p.key_group)));
  });
  CHECK(groups == std::vector<std::uint32_t>{40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50});
  CHECK(error_of([&] {
          reader.keyed_parts("op", "keyed", {39, 50}, [](state_part&&) {});
        }).code() == errc::corrupt_state);
  bytes = intact;

  auto numbers = [&](std::uint64_t first, std::uint64_t count) {
    std::vector<int> found;
    whole.items("op", "list", first, count, [&](state_part&& p) { found.push_back(std::stoi(p.bytes)); });
    return found;
  };
  for (auto [first, count] : std::vector<std::pair<int, int>>{{0, 1}, {0, 1000}, {215, 10}, {999, 1}, {500, 0}}) {
    std::vector<int> expected;
    for (int i = first; i < first + count; ++i)
      expected.push_back(i);
    CHECK(numbers(static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(count)) == expected);
  }
  CHECK(numbers(990, ~std::uint64_t{0}).size() == 10);
  CHECK(numbers(1000, 5).empty());
  CHECK(whole.inputs("op", {0, 9})[0].elements.size() == 1);
  CHECK(whole.inputs("op", {9, 10})[0].elements.size() == 2);
  CHECK(whole.sizes("op", "keyed").size() == 128);
  CHECK(whole.sizes("op", "keyed")[7] == std::pair<std::uint32_t, std::uint64_t>{7, 1000});
}

TEST_CASE("every single flipped bit of a subtask's object is found, in every format version") {
  for (const auto& [how, version] :
       {std::pair{compression::none, 1}, std::pair{compression::none, 2}, std::pair{compression::lz4, 1},
        std::pair{compression::lz4, 2}, std::pair{compression::zstd, 2}}) {
    object_shelf shelf;
    auto out = shelf.create("object");
    auto state = small_chain();
    if (version == 1)
      for (auto& [uid, op] : state.operators)
        op.inputs = op.outputs = {};
    state.operators["counts"].states.states["zeros"] =
        stored("zeros", state_kind::keyed, {{9, std::string(200, '\0')}});
    const auto summary = write_subtask_state(state, out, how);
    CHECK_NOTHROW(read_all(summary.object, shelf));
    auto& bytes = shelf.objects["object"];
    REQUIRE(bytes[8] == version);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
      const auto e = error_of([&] { read_all(summary.object, shelf); });
      if (e.code() != errc::corrupt_state) FAIL("bit ", bit, " of ", bytes.size() * 8, ": '", e.to_string(), "'");
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    }
    CHECK_NOTHROW(read_all(summary.object, shelf));
  }
}

TEST_CASE("flipped bits, cuts and changed lengths of large objects are found") {
  random_source random{42};
  object_shelf shelf;
  auto out = shelf.create("object");
  subtask_state state;
  auto& keyed = state.operators["op"].states.states["keyed"] = stored("keyed", state_kind::keyed, {});
  for (std::uint32_t group = 0; group < 128; ++group)
    keyed.parts.push_back({group, some_bytes(random, random.below(8000), group % 2 == 0)});
  const auto summary = write_subtask_state(state, out, compression::lz4);
  const auto intact = shelf.objects["object"];
  auto& bytes = shelf.objects["object"];
  for (std::size_t round = 0; round < test::rounds(2000); ++round) {
    const auto bit = random.below(bytes.size() * 8);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    CHECK(error_of([&] { read_all(summary.object, shelf); }).code() == errc::corrupt_state);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  }
  for (std::size_t round = 0; round < test::rounds(200); ++round) {
    bytes = intact.substr(0, random.below(intact.size()));
    CHECK(error_of([&] { read_all(summary.object, shelf); }).code() == errc::corrupt_state);
    auto handle = summary.object; // also when the metadata believes it
    handle.size = bytes.size();
    CHECK(error_of([&] { read_all(handle, shelf); }).code() == errc::corrupt_state);
    bytes = intact;
    bytes.insert(random.below(intact.size()), 1, 'x');
    handle.size = bytes.size();
    CHECK(error_of([&] { read_all(handle, shelf); }).code() == errc::corrupt_state);
  }
}

TEST_CASE("indexes of garbage are refused or read, and never more than that") {
  // The checksum keeps garbage out; what decodes the index does not rely on it.
  random_source random{7};
  object_shelf shelf;
  auto out = shelf.create("object");
  write_subtask_state(small_chain(), out);
  const auto& bytes = shelf.objects["object"];
  const auto trailer = bytes.substr(bytes.size() - detail::subtask_trailer_size);
  const auto place = detail::check_ends(bytes.substr(0, 16), trailer, bytes.size());
  const auto index = bytes.substr(place.offset, place.size);
  CHECK(detail::encode_index(detail::decode_index(index, 2), 2) == index);
  for (std::size_t round = 0; round < test::rounds(20'000); ++round) {
    auto changed = index;
    for (auto n = random.below(4) + 1; n > 0; --n)
      changed[random.below(changed.size())] = static_cast<char>(random());
    if (random.below(4) == 0) changed.resize(random.below(changed.size()));
    const auto e = error_of([&] { detail::decode_index(changed, 2); });
    CHECK((!e || e.code() == errc::corrupt_state));
    // and with checksums that agree, parts and all
    auto whole = bytes.substr(0, place.offset) + changed;
    whole += detail::subtask_trailer(bytes.substr(0, 16), place.offset, changed);
    object_shelf other;
    other.objects["object"] = whole;
    const auto f = error_of([&] { read_all({object_scope::exclusive, "object", whole.size(), 0, {}}, other); });
    CHECK((!f || f.code() == errc::corrupt_state || f.code() == errc::file_not_found));
  }
}

TEST_CASE("an object of a later format is refused with its version") {
  object_shelf shelf;
  auto out = shelf.create("object");
  auto summary = write_subtask_state(small_chain(), out);
  auto& bytes = shelf.objects["object"];
  const auto place = detail::check_ends(bytes.substr(0, 16), bytes.substr(bytes.size() - 40), bytes.size());
  const auto header = detail::subtask_header(4);
  bytes = header + bytes.substr(16, place.offset + place.size - 16) +
          detail::subtask_trailer(header, place.offset, bytes.substr(place.offset, place.size));
  const auto e = error_of([&] { read_all(summary.object, shelf); });
  CHECK(e.code() == errc::newer_format);
  CHECK(e.cause() == "the stored object 'object': it has format version 4, this library reads up to 3");
}

TEST_CASE("a subtask without state writes no object, and says which states it has") {
  object_shelf shelf;
  auto out = shelf.create("object");
  subtask_state state;
  state.operators["op"].states.states["empty"] = stored("empty", state_kind::keyed, {});
  state.operators["source"].splits = {{"s", "p"}};
  const auto summary = write_subtask_state(state, out);
  CHECK(shelf.objects.empty());
  CHECK(summary.object == object_handle{});
  REQUIRE(summary.operators.size() == 2);
  CHECK(summary.operators[0].states[0].info.name == "empty");
  CHECK(summary.operators[1].splits.size() == 1);
}

TEST_CASE("a part that is stored already is named again and not written") {
  object_shelf shelf;
  auto first = shelf.create("one", object_scope::shared);
  subtask_state_writer a{first, compression::lz4};
  a.begin_operator("op");
  a.begin_state({"keyed", state_kind::keyed, "s"});
  auto low = a.part(1, std::string(1000, 'l'));
  auto high = a.part(2, "high");
  low.object = high.object = a.finish().object;

  auto second = shelf.create("two", object_scope::shared);
  subtask_state_writer b{second, compression::none};
  b.begin_operator("op");
  b.begin_state({"keyed", state_kind::keyed, "s"});
  b.stored_part(1, low);
  b.part(1, "new in 1");
  b.stored_part(2, high);
  const auto summary = b.finish();
  REQUIRE(summary.shared.size() == 1);
  CHECK(summary.shared[0] == low.object);
  CHECK(summary.object.size < 300);
  subtask_state_reader reader{summary.object, shelf.opener()};
  const auto parts = reader.read("op").states.states["keyed"].parts;
  REQUIRE(parts.size() == 3);
  CHECK(parts[0].bytes == std::string(1000, 'l'));
  CHECK(parts[1].bytes == "new in 1");
  CHECK(parts[2].bytes == "high");
  reader.verify();
  auto& bytes = shelf.objects["one"];
  bytes[20] = static_cast<char>(bytes[20] ^ 1);
  const auto e = error_of([&] { subtask_state_reader(summary.object, shelf.opener()).verify(); });
  CHECK(e.code() == errc::corrupt_state);
  CHECK(e.cause().find("'one'") != std::string::npos);
}

TEST_CASE("what is written in the wrong order is refused") {
  object_shelf shelf;
  auto out = shelf.create("object");
  subtask_state_writer w{out, compression::none};
  CHECK(error_of([&] { w.begin_state({"s", state_kind::keyed, ""}); }).code() == errc::internal);
  w.begin_operator("b");
  CHECK(error_of([&] { w.part(0, ""); }).code() == errc::internal);
  CHECK(error_of([&] { w.begin_operator("a"); }).code() == errc::internal);
  w.begin_state({"s", state_kind::keyed, ""});
  CHECK(error_of([&] { w.begin_state({"s", state_kind::keyed, ""}); }).code() == errc::internal);
  part_location elsewhere;
  elsewhere.object = {object_scope::exclusive, "x", 1, 1, {}};
  CHECK(error_of([&] { w.stored_part(0, elsewhere); }).code() == errc::internal);
}

TEST_CASE("state writers hand parts on one by one when somebody takes them") {
  stored_state into{{"s", state_kind::keyed, "int"}, {}};
  std::vector<state_part> taken;
  state_writer out{into, [&](state_part&& p) { taken.push_back(std::move(p)); }};
  out.part(1).text("one");
  CHECK(taken.empty());
  out.part(2);
  CHECK(taken.size() == 1);
  out.part(3).text("three");
  out.finish();
  REQUIRE(taken.size() == 2); // an empty part of a keyed state is none
  CHECK(taken[0].key_group == 1);
  CHECK(taken[1].key_group == 3);
  CHECK(taken[1].bytes.size() == 6);
  CHECK(into.parts.empty());
}
