#include <dataflow/checkpoint/state_assignment.hpp>
#include <dataflow/record/hash.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <tests/support/effort.hpp>
#include <tests/support/error_of.hpp>
#include <tests/support/stored_objects.hpp>

using namespace dataflow;
using dataflow::test::error_of;
using dataflow::test::object_shelf;

namespace {

/// A checkpoint of jobs that are described by what their subtasks hand in.
struct stored_job {
  checkpoint_metadata metadata;
  object_shelf shelf;

  void add(const std::string& uid, std::uint32_t max_parallelism, const std::vector<operator_subtask_state>& subtasks) {
    metadata.key_hash_version = key_hash_version;
    metadata.key_codec_version = key_codec_version;
    operator_metadata op;
    op.uid = uid;
    op.name = "Name of " + uid;
    op.parallelism = static_cast<std::uint32_t>(subtasks.size());
    op.max_parallelism = max_parallelism;
    for (std::size_t i = 0; i < subtasks.size(); ++i) {
      auto out = shelf.create(uid + "-" + std::to_string(i));
      subtask_state state;
      state.operators[uid] = subtasks[i];
      const auto summary = write_subtask_state(state, out);
      operator_part part;
      part.states = summary.operators[0].states;
      part.splits = summary.operators[0].splits;
      part.in_flight = summary.operators[0].in_flight;
      metadata.unaligned = metadata.unaligned || !part.in_flight.empty();
      if (summary.object.size > 0) {
        part.subtask = static_cast<std::uint32_t>(metadata.subtasks.size());
        metadata.subtasks.push_back({summary.object, summary.shared});
      }
      op.parts.push_back(std::move(part));
    }
    metadata.operators.push_back(std::move(op));
  }
  /// What all subtasks of an operator start from.
  std::vector<operator_subtask_state> restore(const restore_target& target) {
    const auto assignment = assign_state(metadata, "/c", {target}, true);
    std::vector<operator_subtask_state> out;
    for (std::uint32_t t = 0; t < target.parallelism; ++t) {
      const auto* share = assignment.find(target.uid, t);
      out.push_back(share ? load(*share, shelf.opener()) : operator_subtask_state{});
    }
    return out;
  }
};

stored_state of_kind(const std::string& name, state_kind kind) { return {{name, kind, "schema"}, {}}; }

/// Keyed, list, union and broadcast state, every part with a content of its own.
std::vector<operator_subtask_state> random_state(random_source& random, std::uint32_t parallelism,
                                                 std::uint32_t max_parallelism) {
  std::vector<operator_subtask_state> subtasks(parallelism);
  for (std::uint32_t i = 0; i < parallelism; ++i) {
    auto& states = subtasks[i].states.states;
    auto& keyed = states["keyed"] = of_kind("keyed", state_kind::keyed);
    const auto range = range_of(i, parallelism, max_parallelism);
    for (auto group = range.first; group <= range.last; ++group)
      for (auto n = random.below(3); n > 0; --n)
        keyed.parts.push_back({group, std::to_string(group) + "." + std::to_string(n)});
    for (auto name : {"list a", "list b"}) {
      auto& list = states[name] = of_kind(name, state_kind::list);
      for (auto n = random.below(6); n > 0; --n)
        list.parts.push_back({0, std::to_string(i) + "/" + std::to_string(n)});
    }
  }
  return subtasks;
}

/// All parts of a state over all subtasks, sorted.
std::vector<std::string> contents(const std::vector<operator_subtask_state>& subtasks, const std::string& state) {
  std::vector<std::string> out;
  for (auto& s : subtasks)
    if (auto i = s.states.states.find(state); i != s.states.states.end())
      for (auto& p : i->second.parts)
        out.push_back(p.bytes);
  std::sort(out.begin(), out.end());
  return out;
}

} // namespace

TEST_CASE("from any parallelism to any and back, everything is there exactly once and where it belongs") {
  for (std::uint64_t seed = 0; seed < test::rounds(400); ++seed) {
    CAPTURE(seed);
    random_source random{seed};
    const auto max_parallelism = static_cast<std::uint32_t>(1 + random.below(random.below(2) == 0 ? 16 : 128));
    const auto p = static_cast<std::uint32_t>(1 + random.below(max_parallelism));
    const auto q = static_cast<std::uint32_t>(1 + random.below(max_parallelism));
    const auto before = random_state(random, p, max_parallelism);
    stored_job first;
    first.add("op", max_parallelism, before);
    const auto moved = first.restore({"op", "Op", q, max_parallelism, {}});
    REQUIRE(moved.size() == q);
    for (std::uint32_t t = 0; t < q; ++t) {
      const auto range = range_of(t, q, max_parallelism);
      std::uint32_t last = 0;
      for (auto& part : moved[t].states.states.at("keyed").parts) {
        CHECK(range.contains(part.key_group));
        CHECK(part.key_group >= last); // in order
        last = part.key_group;
      }
    }
    for (auto state : {"keyed", "list a", "list b"})
      CHECK(contents(moved, state) == contents(before, state));
    stored_job second;
    second.add("op", max_parallelism, moved);
    const auto back = second.restore({"op", "Op", p, max_parallelism, {}});
    for (auto state : {"keyed", "list a", "list b"})
      CHECK(contents(back, state) == contents(before, state));
    for (std::uint32_t i = 0; i < p; ++i) { // keyed state is back where it was, in the same order
      auto& was = before[i].states.states.at("keyed").parts;
      auto& is = back[i].states.states.at("keyed").parts;
      REQUIRE(was.size() == is.size());
      for (std::size_t k = 0; k < was.size(); ++k)
        CHECK((was[k].key_group == is[k].key_group && was[k].bytes == is[k].bytes));
    }
    if (p == q)
      for (std::uint32_t i = 0; i < p; ++i)
        for (auto state : {"list a", "list b"})
          CHECK(contents({moved[i]}, state) == contents({before[i]}, state));
    // Lists are dealt out evenly.
    if (p != q)
      for (auto state : {"list a", "list b"}) {
        std::size_t least = ~std::size_t{0}, most = 0;
        for (auto& m : moved) {
          const auto n = contents({m}, state).size();
          least = std::min(least, n);
          most = std::max(most, n);
        }
        CHECK(most - least <= 1);
      }
  }
}

TEST_CASE("a subtask reads only the objects that hold something of it") {
  stored_job job;
  random_source random{1};
  std::vector<operator_subtask_state> subtasks(4);
  for (std::uint32_t i = 0; i < 4; ++i) {
    auto& keyed = subtasks[i].states.states["keyed"] = of_kind("keyed", state_kind::keyed);
    const auto range = range_of(i, 4, 128);
    for (auto group = range.first; group <= range.last; ++group)
      keyed.parts.push_back({group, "x"});
  }
  job.add("op", 128, subtasks);
  const auto a = assign_state(job.metadata, "/c", {{"op", "Op", 2, 128, {}}});
  CHECK(a.find("op", 0)->objects.size() == 2);
  CHECK(a.find("op", 0)->directory == "/c");
  CHECK(a.find("op", 1)->keyed ==
        std::vector<operator_restore::keyed_share>{{0, "keyed", {64, 95}}, {1, "keyed", {96, 127}}});
  CHECK(a.find("op", 2) == nullptr);
  CHECK(a.find("other", 0) == nullptr);
}

TEST_CASE("state of operators that the job does not have is refused, naming them, or dropped when allowed") {
  stored_job job;
  operator_subtask_state some;
  some.states.states["s"] = of_kind("s", state_kind::keyed);
  some.states.states["s"].parts = {{0, "x"}};
  job.add("gone", 128, {some});
  job.add("kept", 128, {some});
  job.add("never had any", 128, {{}});
  const std::vector<restore_target> target{{"kept", "Kept", 1, 128, {}}};
  const auto e = error_of([&] { assign_state(job.metadata, "/c", target); });
  CHECK(e.to_string() ==
        "unmatched_state: the checkpoint has state that no operator of the job takes: operator 'Name of "
        "gone' (uid 'gone') (give the operators the uids that they had, or drop it: --allow-non-restored-state)");
  const auto a = assign_state(job.metadata, "/c", target, true);
  CHECK(a.dropped == std::vector<std::string>{"gone"});
  CHECK(a.operators.size() == 1);
  // A new operator starts from nothing.
  CHECK(assign_state(job.metadata, "/c", {target[0], {"new", "New", 3, 128, {}}}, true).find("new", 0) == nullptr);
}

TEST_CASE("a checkpoint of another job is told from one with a few operators too many") {
  stored_job job;
  operator_subtask_state some;
  some.states.states["s"] = of_kind("s", state_kind::keyed);
  some.states.states["s"].parts = {{0, "x"}};
  job.add("theirs", 128, {some});
  job.metadata.job_name = "their job";
  const auto e = error_of([&] { assign_state(job.metadata, "/c", {{"ours", "Ours", 1, 128, {}}}); });
  CHECK(e.code() == errc::unmatched_state);
  CHECK(e.cause().find("it is of job 'their job'") == 0);
}

TEST_CASE("an operator without state may go, also one whose chain has some") {
  operator_metadata op;
  op.parts.resize(2);
  op.parts[0].subtask = 0; // the object of its subtask, in which others have something
  CHECK_FALSE(op.has_state());
  op.parts[1].splits.push_back({"split", "position"});
  CHECK(op.has_state());
}

TEST_CASE("another max parallelism is refused for keyed state only") {
  stored_job job;
  operator_subtask_state keyed, list;
  keyed.states.states["s"] = of_kind("s", state_kind::keyed);
  keyed.states.states["s"].parts = {{0, "x"}};
  list.states.states["s"] = of_kind("s", state_kind::list);
  list.states.states["s"].parts = {{0, "x"}};
  job.add("keyed", 128, {keyed});
  job.add("list", 128, {list});
  const auto e = error_of([&] { assign_state(job.metadata, "/c", {{"keyed", "K", 1, 256, {}}}, true); });
  CHECK(e.code() == errc::incompatible_state);
  CHECK(e.cause() == "operator 'K' (uid 'keyed') has stored keyed state in 128 key groups, and the job wants 256");
  CHECK_NOTHROW(assign_state(job.metadata, "/c", {{"list", "L", 1, 256, {}}}, true));
  CHECK(stored_max_parallelism(job.metadata, "keyed") == 128u);
  CHECK_FALSE(stored_max_parallelism(job.metadata, "list"));
  CHECK_FALSE(stored_max_parallelism(job.metadata, "new"));
}

TEST_CASE("another version of key hash or key codec is refused when there are keys") {
  stored_job job;
  operator_subtask_state keyed;
  keyed.states.states["s"] = of_kind("s", state_kind::keyed);
  job.add("op", 128, {keyed});
  job.metadata.key_hash_version = 99;
  const auto e = error_of([&] { assign_state(job.metadata, "/c", {{"op", "Op", 1, 128, {}}}); });
  CHECK(e.code() == errc::incompatible_state);
  CHECK(e.cause().find("version 99 of the hash of keys") != std::string::npos);
  job.metadata.operators[0].parts[0].states.clear();
  CHECK_NOTHROW(assign_state(job.metadata, "/c", {{"op", "Op", 1, 128, {}}}));
}

TEST_CASE("splits stay with their readers at the same parallelism, else the enumerator gets them back") {
  stored_job job;
  std::vector<operator_subtask_state> readers(3);
  readers[0].splits = {{"a", "1"}, {"b", "2"}};
  readers[2].splits = {{"c", "3"}};
  job.add("src", 128, readers);
  job.metadata.operators[0].enumerator = "snapshot";
  auto a = assign_state(job.metadata, "/c", {{"src", "S", 3, 128, {}}});
  CHECK(a.enumerators.at("src").snapshot == "snapshot");
  CHECK(a.enumerators.at("src").splits.empty());
  for (std::uint32_t t = 0; t < 3; ++t)
    CHECK(load(*a.find("src", t), job.shelf.opener()).splits == readers[t].splits);
  for (std::uint32_t p : {1u, 2u, 5u}) {
    a = assign_state(job.metadata, "/c", {{"src", "S", p, 128, {}}});
    auto& back = a.enumerators.at("src").splits;
    REQUIRE(back.size() == 2);
    CHECK(back[0].subtask == 0);
    CHECK(back[0].splits == readers[0].splits);
    CHECK(back[1].splits == readers[2].splits);
    for (std::uint32_t t = 0; t < p; ++t)
      CHECK(a.find("src", t)->splits.empty());
  }
}

TEST_CASE("operators that were at their end are not run again") {
  stored_job job;
  job.add("op", 128, {{}, {}});
  job.metadata.operators[0].parts[0].finished = true;
  auto a = assign_state(job.metadata, "/c", {{"op", "Op", 2, 128, {}}});
  CHECK(a.find("op", 0)->finished);
  CHECK_FALSE(a.find("op", 1)->finished);
  CHECK(a.finished.empty());
  CHECK_FALSE(assign_state(job.metadata, "/c", {{"op", "Op", 1, 128, {}}}).find("op", 0)->finished);
  job.metadata.operators[0].parts[1].finished = true;
  a = assign_state(job.metadata, "/c", {{"op", "Op", 3, 128, {}}});
  CHECK(a.finished == std::vector<std::string>{"op"});
  CHECK(a.find("op", 2)->finished);
}

TEST_CASE("records under way on a hash edge reach every subtask that may own them, received before sent") {
  for (std::uint32_t p : {1u, 2u, 3u, 4u, 8u}) {
    CAPTURE(p);
    stored_job job;
    // A producer with 2 subtasks, a consumer with 4; every element tells its key group.
    std::vector<operator_subtask_state> producers(2), consumers(4);
    for (std::uint32_t i = 0; i < 2; ++i)
      for (std::uint32_t channel = 0; channel < 4; ++channel) {
        const auto group = channel * 2 + i; // of that consumer's range
        producers[i].outputs.push_back(
            {1, channel, {{{group, group}, "sent " + std::to_string(group)}}, "consumer", "int64"});
      }
    for (std::uint32_t i = 0; i < 4; ++i)
      consumers[i].inputs = {{1,
                              0,
                              {{{i * 2, i * 2}, "received " + std::to_string(i * 2)}, {{i * 2, i * 2 + 1}, "mixed"}},
                              "producer",
                              "int64"}};
    job.add("producer", 8, producers);
    job.add("consumer", 8, consumers);
    const restore_target target{"consumer", "C", p, 8, {{"producer", 1, in_flight_route::by_key_group, "int64"}}};
    const auto a = assign_state(job.metadata, "/c", {{"producer", "P", 3, 8, {}}, target});
    std::vector<std::string> all;
    for (std::uint32_t t = 0; t < p; ++t) {
      const auto range = range_of(t, p, 8);
      bool sent = false;
      const auto restored = load(*a.find("consumer", t), job.shelf.opener());
      for (std::size_t c = 0; c < restored.inputs.size(); ++c) {
        CHECK(restored.inputs[c].edge == 0);
        CHECK(restored.inputs[c].channel == c);
        for (auto& e : restored.inputs[c].elements) {
          CHECK(e.key_groups.first <= range.last);
          CHECK(e.key_groups.last >= range.first);
          const bool is_sent = e.bytes.substr(0, 4) == "sent";
          CHECK((is_sent || !sent)); // what was received comes first
          sent = sent || is_sent;
          if (e.bytes != "mixed") all.push_back(e.bytes);
        }
      }
    }
    std::sort(all.begin(), all.end());
    std::vector<std::string> expected;
    for (int group = 0; group < 8; ++group) {
      expected.push_back("sent " + std::to_string(group));
      if (group % 2 == 0) expected.push_back("received " + std::to_string(group));
    }
    std::sort(expected.begin(), expected.end());
    CHECK(all == expected); // each exactly once
  }
}

TEST_CASE("records under way on other edges reach exactly one subtask") {
  for (std::uint32_t p : {1u, 2u, 3u, 7u}) {
    stored_job job;
    std::vector<operator_subtask_state> producers(2), consumers(3);
    for (std::uint32_t i = 0; i < 2; ++i)
      for (std::uint32_t channel = 0; channel < 3; ++channel)
        producers[i].outputs.push_back(
            {0, channel, {{all_key_groups, "s" + std::to_string(i) + std::to_string(channel)}}, "consumer", "int64"});
    for (std::uint32_t i = 0; i < 3; ++i)
      consumers[i].inputs = {{0, 1, {{all_key_groups, "r" + std::to_string(i)}}, "producer", "int64"}};
    job.add("producer", 8, producers);
    job.add("consumer", 8, consumers);
    const restore_target target{"consumer", "C", p, 8, {{"producer", 0, in_flight_route::by_channel, "int64"}}};
    const auto a = assign_state(job.metadata, "/c", {{"producer", "P", 1, 8, {}}, target});
    std::vector<std::string> all;
    for (std::uint32_t t = 0; t < p; ++t)
      for (auto& c : load(*a.find("consumer", t), job.shelf.opener()).inputs)
        for (auto& e : c.elements) {
          all.push_back(e.bytes);
          if (p == 3) CHECK(e.bytes.back() == static_cast<char>('0' + t)); // where it was on its way to
        }
    std::sort(all.begin(), all.end());
    CHECK(all == std::vector<std::string>{"r0", "r1", "r2", "s00", "s01", "s02", "s10", "s11", "s12"});
  }
}

TEST_CASE("records under way on an edge that is gone are refused") {
  stored_job job;
  operator_subtask_state producer;
  producer.outputs = {{0, 0, {{all_key_groups, "x"}}, "consumer", "int64"}};
  job.add("producer", 8, {producer});
  const std::vector<restore_target> chained{{"producer", "P", 1, 8, {}}, {"consumer", "C", 1, 8, {}}};
  const auto e = error_of([&] { assign_state(job.metadata, "/c", chained); });
  CHECK(e.code() == errc::incompatible_state);
  CHECK(e.cause().find("records were under way behind operator 'Name of producer'") == 0);
  CHECK_NOTHROW(assign_state(job.metadata, "/c", chained, true));
}

TEST_CASE("records under way of another type than the edge has now are refused, naming both") {
  stored_job job;
  operator_subtask_state producer;
  producer.outputs = {{0, 0, {{all_key_groups, "x"}}, "consumer", "int32"}};
  job.add("producer", 8, {producer});
  job.add("consumer", 8, {{}});
  const std::vector<restore_target> changed{
      {"producer", "P", 1, 8, {}}, {"consumer", "C", 1, 8, {{"producer", 0, in_flight_route::by_channel, "int64"}}}};
  const auto e = error_of([&] { assign_state(job.metadata, "/c", changed); });
  CHECK(e.code() == errc::incompatible_state);
  CHECK(e.cause() ==
        "records of type 'int32' were under way behind operator 'Name of producer' (uid 'producer') when the "
        "unaligned checkpoint was made, and now they are of 'int64'");
}

TEST_CASE("an edge is found again by its operators and its number among the edges between them") {
  stored_job job;
  operator_subtask_state producer;
  producer.outputs = {{0, 0, {{all_key_groups, "left"}}, "join", "int64"},
                      {1, 0, {{all_key_groups, "right"}}, "join", "int64"},
                      {0, 0, {{all_key_groups, "aside"}}, "other", "int64"}};
  job.add("producer", 8, {producer});
  job.add("join", 8, {{}});
  job.add("other", 8, {{}});
  // A reader has come between, so that none of the edges is where it was.
  const auto by_channel = in_flight_route::by_channel;
  const std::vector<restore_target> changed{
      {"producer", "P", 1, 8, {}},
      {"new", "N", 1, 8, {{"producer", 0, by_channel, "int64"}}},
      {"other", "O", 1, 8, {{"new", 0, by_channel, "int64"}, {"producer", 0, by_channel, "int64"}}},
      {"join", "J", 1, 8, {{"producer", 0, by_channel, "int64"}, {"producer", 1, by_channel, "int64"}}}};
  const auto a = assign_state(job.metadata, "/c", changed);
  const auto join = load(*a.find("join", 0), job.shelf.opener()).inputs;
  REQUIRE(join.size() == 2);
  CHECK(join[0].edge == 0);
  CHECK(join[0].elements[0].bytes == "left");
  CHECK(join[1].edge == 1);
  CHECK(join[1].elements[0].bytes == "right");
  const auto other = load(*a.find("other", 0), job.shelf.opener()).inputs;
  REQUIRE(other.size() == 1);
  CHECK(other[0].edge == 1);
  CHECK(other[0].elements[0].bytes == "aside");
}
