// Operators whose state is held by a snapshot in progress.
#include <dataflow/operators/keyed_reduce.hpp>
#include <dataflow/operators/salted_reduce.hpp>
#include <dataflow/record/codecs.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <tests/support/operator_runner.hpp>

using namespace dataflow;
using namespace dataflow::test;

namespace {
struct amount {
  std::int64_t of = 0, units = 0;
};
struct named_amount {
  std::string of;
  std::int64_t units = 0;
};
} // namespace
DATAFLOW_RECORD(amount, of, units);
DATAFLOW_RECORD(named_amount, of, units);

namespace {

using plus = sum_merge<std::int64_t amount::*>;

template <class Operator, class... Arguments>
operator_factory made_with(Arguments... arguments) {
  return [=] { return std::make_unique<Operator>(arguments...); };
}

/// All keys change twice while a snapshot is in progress: the operator waits, and the snapshot is what was there.
template <class In, class Make>
void waits_for_the_writer(const char* what, operator_factory make, std::size_t keys, Make record) {
  INFO(std::string{what});
  operator_runner::options o;
  o.place.snapshot_bytes = 4096;
  operator_runner r{std::move(make), o};
  std::vector<In> all;
  for (std::size_t i = 0; i < keys; ++i)
    all.push_back(record(static_cast<std::int64_t>(i)));
  r.push(all);
  const auto written = [](const operator_snapshot& s, bool give_up) {
    std::vector<std::string> parts;
    for (auto& [name, stored] : s.states) {
      const auto take = [&](const state_part& p) { parts.push_back(p.bytes); };
      give_up ? stored.give_up_parts(take) : stored.for_each_part(take);
    }
    std::sort(parts.begin(), parts.end());
    return parts;
  };
  const auto expected = written(r.snapshot(), false);
  auto snapshot = r.freeze();
  r.push(all);
  r.push(all);
  CHECK(r.state == chain_state::blocked);
  r.run_again();
  CHECK(r.state == chain_state::blocked);
  CHECK(written(snapshot, true) == expected);
  r.run_again();
  CHECK(r.state == chain_state::drained);
  r.push(all);
  CHECK(r.state == chain_state::drained);
}

} // namespace

TEST_CASE("rolling and salted reductions wait while a snapshot in progress holds too much of their state") {
  using rolling = keyed_reduce_operator<amount, std::int64_t amount::*, plus, true>;
  const auto key = &amount::of;
  const auto itself = [](std::int64_t i) { return amount{i, i}; };
  waits_for_the_writer<amount>("rolling", made_with<rolling>(key, plus{&amount::units}), 20'000, itself);
  using named =
      keyed_reduce_operator<named_amount, std::string named_amount::*, sum_merge<std::int64_t named_amount::*>, true>;
  waits_for_the_writer<named_amount>("rolling with memory of its own",
                                     made_with<named>(&named_amount::of, sum_merge{&named_amount::units}), 20'000,
                                     [](std::int64_t i) {
                                       return named_amount{"a name that is not short " + std::to_string(i), i};
                                     });
  const auto salt = [](std::int64_t i) { return salted<amount>{static_cast<std::uint32_t>(i % 3), amount{i, i}}; };
  using parts = reduce_parts_operator<amount, std::int64_t amount::*, plus>;
  waits_for_the_writer<salted<amount>>("parts", made_with<parts>(key, plus{&amount::units}), 20'000, salt);
  using whole = merge_parts_operator<amount, std::int64_t amount::*, plus>;
  waits_for_the_writer<salted<amount>>("whole", made_with<whole>(key, plus{&amount::units}, 3u), 20'000, salt);
}
