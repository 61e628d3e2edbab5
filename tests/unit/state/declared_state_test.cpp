#include <dataflow/state/declared_state.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

using namespace dataflow;

namespace {

/// Numbers by key group.
class numbers final : public declared_state {
public:
  explicit numbers(std::string name, state_kind kind = state_kind::keyed, std::string schema = "int64")
      : info_{std::move(name), kind, std::move(schema)} {}
  state_info info() const override { return info_; }
  void snapshot(state_writer& out) const override {
    for (auto& [group, values] : by_group) {
      auto& part = out.part(group);
      for (auto v : values)
        part.fixed(v);
    }
  }
  void restore(const state_part& part) override {
    byte_reader in{part.bytes};
    while (!in.at_end())
      by_group[part.key_group].push_back(in.fixed<std::int64_t>());
  }
  std::map<std::uint32_t, std::vector<std::int64_t>> by_group;

private:
  state_info info_;
};

errc code_of(auto&& f) {
  try {
    f();
  } catch (const error& e) {
    return e.code();
  }
  return errc::none;
}

} // namespace

TEST_CASE("declared state comes back when it is declared again, only for the subtask's key groups") {
  state_registry before{{0, 127}, 128};
  numbers written{"counts"};
  before.declare(written);
  written.by_group = {{3, {1, 2}}, {7, {}}, {64, {5}}, {127, {9}}};
  auto snapshot = std::make_shared<operator_snapshot>(before.snapshot());
  REQUIRE(snapshot->states.at("counts").parts.size() == 3); // an empty group leaves nothing

  state_registry lower{{0, 63}, 128, snapshot}, upper{{64, 127}, 128, snapshot};
  numbers a{"counts"}, b{"counts"};
  lower.declare(a);
  upper.declare(b);
  CHECK(a.by_group == decltype(a.by_group){{3, {1, 2}}});
  CHECK(b.by_group == decltype(b.by_group){{64, {5}}, {127, {9}}});
  CHECK(lower.is_restored());
  CHECK_FALSE(before.is_restored());
}

TEST_CASE("what is kept once goes while it is restored, and is not there a second time") {
  state_registry before{{0, 127}, 128};
  numbers written{"counts"};
  before.declare(written);
  written.by_group = {{3, {1, 2}}, {64, {5}}};
  auto snapshot = std::make_shared<operator_snapshot>(before.snapshot());
  keep_once(*snapshot);
  state_registry first{{0, 127}, 128, snapshot}, second{{0, 127}, 128, snapshot};
  numbers a{"counts"}, b{"counts"};
  first.declare(a);
  CHECK(a.by_group == written.by_group);
  CHECK(snapshot->states.at("counts").parts.empty());
  CHECK(snapshot->states.at("counts").once->parts.empty());
  CHECK(code_of([&] { second.declare(b); }) == errc::internal);
}

TEST_CASE("list items and broadcast copies are restored whatever the key groups are") {
  state_registry before{{0, 127}, 128};
  numbers written{"positions", state_kind::list};
  before.declare(written);
  written.by_group = {{0, {4}}, {100, {6}}};
  state_registry after{{0, 1}, 128, std::make_shared<operator_snapshot>(before.snapshot())};
  numbers read{"positions", state_kind::list};
  after.declare(read);
  CHECK(read.by_group == decltype(read.by_group){{0, {4}}, {100, {6}}});
}

TEST_CASE("a name is declared once, and what was stored must be what is declared") {
  state_registry before{{0, 127}, 128};
  numbers a{"a"}, again{"a"}, b{"b"};
  before.declare(a);
  before.declare(b);
  CHECK(code_of([&] { before.declare(again); }) == errc::invalid_argument);
  a.by_group[1] = {1};

  auto snapshot = std::make_shared<operator_snapshot>(before.snapshot());
  state_registry other_schema{{0, 127}, 128, snapshot}, other_kind{{0, 127}, 128, snapshot};
  numbers text{"a", state_kind::keyed, "string"}, list{"a", state_kind::list};
  CHECK(code_of([&] { other_schema.declare(text); }) == errc::incompatible_state);
  CHECK(code_of([&] { other_kind.declare(list); }) == errc::incompatible_state);

  state_registry after{{0, 127}, 128, snapshot};
  numbers restored{"a"}, fresh{"c"};
  after.declare(restored);
  after.declare(fresh); // was never stored: empty
  CHECK(fresh.by_group.empty());
  CHECK(after.unclaimed() == std::vector<std::string>{"b"});
}
