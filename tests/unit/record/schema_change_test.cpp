#include <dataflow/record/record.hpp>
#include <dataflow/record/schema_change.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <tests/support/error_of.hpp>

using namespace dataflow;

namespace changing {
struct place {
  std::int32_t x = 0, y = 0;
};
struct visit {
  std::string page;
  std::int32_t count = 0;
  double gone = 0;
  place at;
  std::vector<place> path;
};
} // namespace changing
namespace changed {
struct place {
  std::int64_t y = 0, x = 0, z = 5;
};
struct visit {
  std::int64_t count = 0;
  std::vector<place> path;
  place at;
  std::string page, title = "none";
  std::optional<std::string> referrer;
  std::int64_t rank = 7;
};
struct own {
  int value = 0;
};
} // namespace changed
DATAFLOW_RECORD(changing::place, x, y);
DATAFLOW_RECORD(changing::visit, page, count, gone, at, path);
DATAFLOW_RECORD(changed::place, y, x, z);
DATAFLOW_RECORD(changed::visit, count, path, at, page, title, referrer, rank);

namespace dataflow {
template <>
struct codec<changed::own> {
  static constexpr std::uint16_t version = 1;
  static void encode(const changed::own& v, byte_writer& out) { out.fixed(v.value); }
  static void decode(changed::own& v, byte_reader& in) { v.value = in.fixed<int>(); }
  static schema describe() { return {"own", {}}; }
  static std::size_t size_of(const changed::own&) noexcept { return sizeof(changed::own); }
};
} // namespace dataflow

namespace {

/// Through the text, as a savepoint keeps it.
template <class T>
schema stored_schema() {
  return parse_schema(to_string(codec<T>::describe())).value();
}

template <class To, class From>
To converted(const From& from) {
  const auto change = schema_change::between(stored_schema<From>(), codec<To>::describe());
  byte_writer before, after;
  codec<From>::encode(from, before);
  byte_reader in{before.buffer()};
  change.convert(in, after);
  CHECK(in.at_end());
  To to{};
  byte_reader result{after.buffer()};
  codec<To>::decode(to, result);
  CHECK(result.at_end());
  return to;
}

template <class To, class From>
std::string refusal() {
  const auto e = test::error_of([] { schema_change::between(stored_schema<From>(), codec<To>::describe()); });
  CHECK(e.code() == errc::incompatible_state);
  return e.cause();
}

} // namespace

TEST_CASE("fields that are added, removed, reordered and widened, at any depth") {
  const changing::visit before{"index", -3, 0.5, {1, -2}, {{3, 4}, {5, 6}}};
  const auto after = converted<changed::visit>(before);
  CHECK(after.page == "index");
  CHECK(after.count == -3);
  CHECK(after.at.x == 1);
  CHECK(after.at.y == -2);
  CHECK(after.at.z == 5); // as a new record has it
  REQUIRE(after.path.size() == 2);
  CHECK(after.path[1].x == 5);
  CHECK(after.path[1].y == 6);
  CHECK(after.path[1].z == 5);
  CHECK(after.title == "none");
  CHECK_FALSE(after.referrer.has_value());
  CHECK(after.rank == 7);
}

TEST_CASE("numbers become larger ones that hold all their values, and no others") {
  CHECK(converted<std::int64_t>(std::int8_t{-128}) == -128);
  CHECK(converted<std::int16_t>(std::uint8_t{255}) == 255);
  CHECK(converted<std::uint64_t>(std::uint32_t{4'000'000'000}) == 4'000'000'000);
  CHECK(converted<std::int64_t>(std::uint32_t{4'000'000'000}) == 4'000'000'000);
  CHECK(converted<double>(std::int32_t{-2'000'000'001}) == -2'000'000'001.0);
  CHECK(converted<float>(std::int16_t{-30'001}) == -30'001.0f);
  CHECK(converted<double>(1.5f) == 1.5);
  CHECK(refusal<std::int32_t, std::int64_t>() == "int64 cannot become int32");
  CHECK(refusal<std::uint64_t, std::int32_t>() == "int32 cannot become uint64");
  CHECK(refusal<std::int64_t, std::uint64_t>() == "uint64 cannot become int64");
  CHECK(refusal<float, std::int32_t>() == "int32 cannot become float32");
  CHECK(refusal<double, std::int64_t>() == "int64 cannot become float64");
  CHECK(refusal<float, double>() == "float64 cannot become float32");
  CHECK(refusal<std::int64_t, bool>() == "bool cannot become int64");
  CHECK(refusal<std::string, std::int64_t>() == "int64 cannot become string");
}

TEST_CASE("containers change as what they hold does") {
  using map32 = std::map<std::string, std::int32_t>;
  using map64 = std::map<std::string, std::int64_t>;
  CHECK(converted<map64>(map32{{"a", 1}, {"b", -2}}) == map64{{"a", 1}, {"b", -2}});
  CHECK(converted<std::optional<std::int64_t>>(std::optional<std::int32_t>{5}) == 5);
  CHECK(converted<std::optional<std::int64_t>>(std::optional<std::int32_t>{}) == std::nullopt);
  CHECK(converted<std::optional<std::int64_t>>(std::int32_t{9}) == 9);
  CHECK(converted<std::array<std::int64_t, 2>>(std::array<std::int16_t, 2>{7, 8}) == std::array<std::int64_t, 2>{7, 8});
  CHECK(converted<std::tuple<std::int64_t, std::string, std::int64_t>>(std::tuple<std::int32_t, std::string>{1, "x"}) ==
        std::tuple<std::int64_t, std::string, std::int64_t>{1, "x", 0});
  CHECK(converted<std::pair<std::int64_t, double>>(std::pair<std::int8_t, float>{1, 0.5f}) ==
        std::pair<std::int64_t, double>{1, 0.5});
  using two = std::variant<std::int32_t, std::string>;
  using three = std::variant<std::int64_t, std::string, bool>;
  CHECK(converted<three>(two{std::int32_t{4}}) == three{std::int64_t{4}});
  CHECK(converted<three>(two{"t"}) == three{"t"});
  CHECK(refusal<two, three>() == "a variant cannot lose alternatives");
  CHECK(refusal<std::map<std::int64_t, int>, std::map<std::int32_t, int>>() == "the keys of a map cannot change");
  CHECK(refusal<std::set<std::int64_t>, std::set<std::int32_t>>() == "the elements of a set cannot change");
  CHECK(refusal<std::vector<std::string>, std::vector<int>>() == "int32 cannot become string");
  CHECK(refusal<std::vector<int>, std::set<int>>() == "set cannot become list");
  CHECK(refusal<std::array<int, 3>, std::array<int, 2>>() == "array[2] cannot become array[3]");
  using std::chrono::duration;
  CHECK(converted<duration<std::int64_t, std::milli>>(duration<std::int32_t, std::milli>{5}).count() == 5);
  CHECK(refusal<duration<std::int64_t, std::micro>, duration<std::int64_t, std::milli>>().find("cannot become") !=
        std::string::npos);
}

TEST_CASE("what cannot change is refused with the field's name") {
  CHECK(refusal<std::pair<changing::place, std::string>, std::pair<changed::place, std::string>>() ==
        "field 'first.x': int64 cannot become int32");
  CHECK(refusal<changed::place, changing::visit>() == "struct changing::visit cannot become struct changed::place: "
                                                      "they have no field in common");
  using std::pair;
  CHECK(refusal<pair<changed::own, std::int64_t>, pair<changed::own, std::int32_t>>() ==
        "field 'first': own has a codec of its own, and stands beside fields that have changed");
}

TEST_CASE("bytes that are not what the schema says are refused") {
  const auto change = schema_change::between(stored_schema<changing::visit>(), codec<changed::visit>::describe());
  byte_writer whole;
  codec<changing::visit>::encode({"page", 1, 2, {3, 4}, {{5, 6}}}, whole);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    byte_reader in{std::string_view{whole.buffer()}.substr(0, n)};
    byte_writer out;
    CHECK(test::error_of([&] { change.convert(in, out); }).code() == errc::malformed_record);
  }
}
