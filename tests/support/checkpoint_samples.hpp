/// A small checkpoint with something of everything, for tests of formats and storage.
#pragma once

#include <dataflow/checkpoint/checkpoint_storage.hpp>
#include <dataflow/checkpoint/merged_parts.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/record/hash.hpp>

#include <string>

namespace dataflow::test {

template <class T>
std::string encoded(const T& value) {
  byte_writer out;
  codec<T>::encode(value, out);
  return out.take();
}

/// Two subtasks of a source and a keyed operator. The content is fixed: a golden file is compared with it.
inline subtask_state sample_state(std::uint32_t subtask) {
  subtask_state s;
  auto& counts = s.operators["counts"];
  auto& keyed = counts.states.states["count"];
  keyed.info = {"count", state_kind::keyed, "string -> int64"};
  for (std::uint32_t group = subtask * 64; group < subtask * 64 + 64; group += 9)
    keyed.parts.push_back(
        {group, encoded(std::string{"group "} + std::to_string(group)) + encoded(std::int64_t{group})});
  auto& rules = counts.states.states["rules"];
  rules.info = {"rules", state_kind::broadcast, "string"};
  rules.parts.push_back({0, encoded(std::string{"rule"})});
  auto& source = s.operators["lines"];
  source.splits = {{"file-" + std::to_string(subtask), "offset 100"}};
  auto& items = source.states.states["positions"];
  items.info = {"positions", state_kind::list, "int64"};
  for (std::uint32_t i = 0; i <= subtask; ++i)
    items.parts.push_back({0, encoded(std::int64_t{subtask * 10 + i})});
  return s;
}

/// The first of them with records under way, as an unaligned checkpoint has it. The content is fixed, too.
inline subtask_state sample_under_way() {
  auto s = sample_state(0);
  s.operators["counts"].inputs = {{1, 2, {{{3, 60}, "a batch"}, {{7, 7}, "another"}}, "lines", "string"},
                                  {0, 0, {{all_key_groups, "of an edge without keys"}}, "other", "(a int64, b bool)"}};
  s.operators["lines"].outputs = {{1, 3, {{{0, 127}, "waits for credit"}}, "counts", "string"}};
  return s;
}

/// A keyed state in entries, as an incremental checkpoint of state in memory has it: two key groups as they were at
/// first, and what has changed in one of them and in a third, which was empty. The content is fixed, too.
inline subtask_summary write_sample_in_entries(checkpoint_objects& storage, const std::string& directory) {
  const auto put = [](const std::string& key, std::int64_t value) {
    byte_writer e;
    e.text(encoded(key));
    e.varint(sizeof value + 1);
    e.fixed(value);
    return e.take();
  };
  const auto removed = [](const std::string& key) {
    byte_writer e;
    e.text(encoded(key));
    e.varint(0);
    return e.take();
  };
  part_objects first{storage, directory, "counts-0", compression::none, [](const object_handle&) {}},
      second{storage, directory, "counts-0", compression::none, [](const object_handle&) {}};
  const auto of_3 = first.add(put("a", 1) + put("b", 2) + put("c", 3)), of_5 = first.add(put("d", 4));
  first.finish();
  const auto later_of_3 = second.add(removed("b") + put("a", 10) + put("e", 5)), of_9 = second.add(put("f", 6));
  second.finish();
  auto object = storage.create(directory, object_scope::exclusive, "counts-0");
  subtask_state_writer out{*object, compression::none, false, true};
  out.begin_operator("counts");
  out.begin_state({"count", state_kind::keyed, "string -> int64"});
  out.stored_part(3, location_of(of_3), part_form::whole);
  out.stored_part(3, location_of(later_of_3), part_form::changes);
  out.stored_part(5, location_of(of_5), part_form::whole);
  out.stored_part(9, location_of(of_9), part_form::changes);
  return out.finish();
}

/// Writes the objects into `directory` and returns the metadata that names them. Not published.
inline checkpoint_metadata write_sample(checkpoint_objects& storage, const std::string& directory, std::uint64_t id,
                                        std::uint64_t leader = 0) {
  checkpoint_metadata m;
  m.id = id;
  m.job_id = "0123456789abcdef0123456789abcdef";
  m.job_name = "word count";
  m.leader = leader;
  m.triggered_at = 1'700'000'000'000;
  m.completed_at = 1'700'000'000'250;
  m.key_hash_version = key_hash_version;
  m.key_codec_version = key_codec_version;
  m.operators.resize(2);
  m.operators[0].uid = "counts";
  m.operators[0].name = "Count";
  m.operators[1].uid = "lines";
  m.operators[1].name = "Source: lines";
  m.operators[1].enumerator = "files left: none";
  for (auto& op : m.operators) {
    op.parallelism = 2;
    op.parts.resize(2);
  }
  for (std::uint32_t subtask = 0; subtask < 2; ++subtask) {
    auto out = storage.create(directory, object_scope::exclusive, "counts-" + std::to_string(subtask));
    const auto summary = write_subtask_state(sample_state(subtask), *out);
    m.subtasks.push_back({summary.object, summary.shared});
    for (std::size_t i = 0; i < 2; ++i)
      m.operators[i].parts[subtask] = {subtask, false, summary.operators[i].states, summary.operators[i].splits,
                                       summary.operators[i].in_flight};
  }
  return m;
}

inline void flip(file_system& files, const std::string& path, std::size_t byte, unsigned bit = 0) {
  auto bytes = files.read_file(path);
  bytes.at(byte) = static_cast<char>(bytes.at(byte) ^ (1 << bit));
  files.write_file(path, bytes);
}

} // namespace dataflow::test
