// A checkpoint of every released format must still load. The files are never made anew: they are what was written.
#include <dataflow/checkpoint/state_assignment.hpp>
#include <dataflow/checkpoint/state_view.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <doctest/doctest.h>

#include <tests/support/checkpoint_samples.hpp>
#include <tests/support/error_of.hpp>
#include <tests/support/tree_paths.hpp>

using namespace dataflow;

TEST_CASE("a checkpoint of format version 1 loads and holds what was stored") {
  const std::string root = dataflow::test::source_path("tests/golden/data/checkpoint-format-1");
  const auto directory = root + "/job/chk-7";
  auto& files = system_files();
  file_checkpoint_storage storage{files, root, "job", 1};
  const auto m = storage.read(directory);
  CHECK(m.id == 7);
  CHECK(m.kind == checkpoint_kind::checkpoint);
  CHECK(m.job_id == "0123456789abcdef0123456789abcdef");
  CHECK(m.job_name == "word count");
  CHECK(m.leader == 5);
  CHECK(m.triggered_at == 1'700'000'000'000);
  CHECK(m.completed_at == 1'700'000'000'250);
  CHECK(m.key_hash_version == 1);
  CHECK(m.key_codec_version == 1);
  REQUIRE(m.operators.size() == 2);
  CHECK(m.operators[1].enumerator == "files left: none");
  CHECK(m.operators[1].parts[1].splits == std::vector<source_split>{{"file-1", "offset 100"}});
  REQUIRE(m.subtasks.size() == 2);
  CHECK(m.subtasks[0].object.scope == object_scope::exclusive);
  CHECK(m.subtasks[1].object.scope == object_scope::inlined);
  CHECK_NOTHROW(verify_checkpoint(storage, directory, m, verification::content));

  const auto shares = assign_state(m, directory, {{"counts", "Count", 1, 128, {}}, {"lines", "Source", 1, 128, {}}});
  const auto counts = load(*shares.find("counts", 0), storage.opener(directory)).states.states;
  std::vector<state_part> expected;
  for (std::uint32_t subtask : {0, 1}) {
    const auto state = test::sample_state(subtask);
    for (auto& p : state.operators.at("counts").states.states.at("count").parts)
      expected.push_back(p);
  }
  REQUIRE(counts.at("count").parts.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(counts.at("count").parts[i].key_group == expected[i].key_group);
    CHECK(counts.at("count").parts[i].bytes == expected[i].bytes);
  }
  CHECK(counts.at("count").info.schema == "string -> int64");
  CHECK(counts.at("rules").parts.size() == 1);
  const auto positions = load(*shares.find("lines", 0), storage.opener(directory)).states.states.at("positions").parts;
  REQUIRE(positions.size() == 3);
  CHECK(positions[0].bytes == test::encoded(std::int64_t{0}));
  CHECK(positions[2].bytes == test::encoded(std::int64_t{11}));

  const state_view view{storage, directory};
  CHECK(view.get("counts", "count", "\"group 73\"")->value == "73");
}

namespace {
struct kept final : object_writer {
  std::string bytes;
  void append(std::string_view more) override { bytes.append(more); }
  std::uint64_t size() const noexcept override { return bytes.size(); }
  object_handle finish() override { return inlined_object(bytes); }
};
} // namespace

TEST_CASE("records under way of format version 2 load, and what is written today has its bytes") {
  const std::string root = dataflow::test::source_path("tests/golden/data/checkpoint-format-2");
  const auto stored = system_files().read_file(root + "/subtask");
  const auto state = test::sample_under_way();
  const subtask_state_reader reader{inlined_object(stored), open_inlined};
  CHECK_NOTHROW(reader.verify());
  for (auto& [uid, op] : state.operators) {
    CHECK(reader.read(uid).inputs == op.inputs);
    CHECK(reader.read(uid).outputs == op.outputs);
    CHECK(reader.read(uid).states.states.size() == op.states.states.size());
  }
  kept today;
  const auto summary = write_subtask_state(state, today);
  CHECK(today.bytes == stored);

  const auto published = system_files().read_file(root + "/_metadata");
  const auto m = decode_checkpoint_metadata(published);
  CHECK(m.unaligned);
  REQUIRE(m.operators.size() == 2);
  for (std::size_t i = 0; i < 2; ++i)
    CHECK(m.operators[i].parts.at(0).in_flight == summary.operators[i].in_flight);
  CHECK(m.operators[0].parts[0].in_flight.at(1) == in_flight_summary{false, 0, 1, "other", "(a int64, b bool)"});
  CHECK(encode(m) == published);
}

TEST_CASE("keyed state in entries of format version 3 loads, and what is written today has its bytes") {
  const std::string root = dataflow::test::source_path("tests/golden/data/checkpoint-format-3");
  memory_file_system files;
  file_checkpoint_storage today{files, "/", "job", 1, 0};
  files.create_directories("/job/chk-9");
  files.create_directories("/job/shared");
  const auto summary = test::write_sample_in_entries(today, "/job/chk-9");
  REQUIRE(summary.shared.size() == 2);
  const auto stored = system_files().read_file(root + "/job/chk-9/" + summary.object.name);
  CHECK(files.read_file("/job/chk-9/" + summary.object.name) == stored);
  CHECK(stored[8] == 3);
  for (auto& object : summary.shared)
    CHECK(files.read_file("/job/shared/" + object.name) ==
          system_files().read_file(root + "/job/shared/" + object.name));

  file_checkpoint_storage storage{system_files(), root, "job", 1};
  const subtask_state_reader reader{summary.object, storage.opener(root + "/job/chk-9")};
  CHECK_NOTHROW(reader.verify());
  std::map<std::uint32_t, std::string> parts;
  reader.keyed_parts("counts", "count", all_key_groups, [&](state_part&& p) { parts[p.key_group] += p.bytes; });
  const auto row = [](const std::string& key, std::int64_t value) { return test::encoded(key) + test::encoded(value); };
  CHECK(parts == std::map<std::uint32_t, std::string>{
                     {3, row("a", 10) + row("c", 3) + row("e", 5)}, {5, row("d", 4)}, {9, row("f", 6)}});
}

TEST_CASE("what is written today has the bytes of format version 1") {
  // Changed bytes need a new format version, and a reader of the old one beside it.
  const std::string root = dataflow::test::source_path("tests/golden/data/checkpoint-format-1");
  const auto m = read_checkpoint_metadata(system_files(), root + "/job/chk-7");
  CHECK(encode(m) == system_files().read_file(root + "/job/chk-7/_metadata"));
  kept first, second;
  write_subtask_state(test::sample_state(0), first, compression::none);
  CHECK(first.bytes == system_files().read_file(root + "/job/chk-7/" + m.subtasks[0].object.name));
  write_subtask_state(test::sample_state(1), second, compression::none);
  CHECK(second.bytes == m.subtasks[1].object.bytes);
}
