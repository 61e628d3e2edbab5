#include <dataflow/checkpoint/shared_files.hpp>
#include <dataflow/checkpoint/state_view.hpp>
#include <dataflow/state/state_database.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>

#include <algorithm>
#include <map>
#include <utility>

namespace dataflow {

std::string_view to_string(entry_change change) noexcept {
  switch (change) {
  case entry_change::added:
    return "added";
  case entry_change::removed:
    return "removed";
  case entry_change::changed:
    return "changed";
  }
  return "unknown";
}

state_view::state_view(checkpoint_storage& storage, std::string directory)
    : storage_(storage), directory_(checkpoint_directory_of(directory)), metadata_(storage.read(directory_)) {}

std::vector<state_row> state_view::list() const {
  std::vector<state_row> rows;
  for (auto& op : metadata_.operators) {
    std::map<std::string_view, state_row> states;
    for (auto& part : op.parts)
      for (auto& s : part.states) {
        auto& row = states[s.info.name];
        row = {op.uid, op.name, op.parallelism, op.max_parallelism, s.info, row.parts + s.parts, row.bytes + s.bytes};
      }
    for (auto& [name, row] : states)
      rows.push_back(std::move(row));
  }
  return rows;
}

const operator_metadata& state_view::find(std::string_view uid, std::string_view state, state_info& info) const {
  std::string there;
  for (auto& row : list()) {
    if (row.uid == uid && row.state.name == state) {
      info = row.state;
      return *metadata_.find(uid);
    }
    there += (there.empty() ? "" : ", ") + row.uid + "/" + row.state.name;
  }
  throw error{errc::invalid_argument,
              "there is no state '" + std::string{state} + "' of operator '" + std::string{uid} + "' in '" +
                  directory_ + "'",
              there.empty() ? "it holds no state" : "there are: " + there};
}

namespace {

/// Files of a database, fetched for as long as they are looked at.
struct fetched_files {
  std::string directory = system_files().temporary_name("", "dataflow-state-view-");
  fetched_files(const stored_files& files, const object_opener& open) {
    try {
      fetch(files, open, directory);
    } catch (...) {
      system_files().remove_all(directory);
      throw;
    }
  }
  fetched_files(const fetched_files&) = delete;
  ~fetched_files() {
    try {
      system_files().remove_all(directory);
    } catch (const error&) { // temporary files: whoever cleans the disk removes them
    }
  }
};

constexpr std::size_t part_bytes = 64 * 1024;

/// Rows of the databases' tables of that name, as parts.
void parts_of_files(const subtask_state_reader& reader, std::string_view uid, const state_info& info,
                    key_group_range range, const object_opener& open, const std::function<void(state_part&&)>& visit) {
  const state_decoder decoder{info};
  for (auto& store : files_of(reader, uid)) {
    const fetched_files there{store, open};
    std::uint32_t group = 0;
    byte_writer part;
    const auto hand_over = [&] {
      if (part.size() > 0) visit({group, part.take()});
      part.clear();
    };
    read_database_files(there.directory, info.name, range, [&](std::string_view key, std::string_view value) {
      if (const auto of = database_key_group(key); of != group || part.size() >= part_bytes) {
        hand_over();
        group = of;
      }
      decoder.add_stored_row(key.substr(2), value, part);
    });
    hand_over();
  }
}

} // namespace

void state_view::parts_of(const operator_metadata& op, const state_info& info, std::uint32_t subtask,
                          const std::function<void(state_part&&)>& visit, key_group_range range) const {
  auto& part = op.parts[subtask];
  const auto summary =
      std::find_if(part.states.begin(), part.states.end(), [&](auto& s) { return s.info.name == info.name; });
  if (!part.subtask || summary == part.states.end()) return;
  const bool keyed = info.kind == state_kind::keyed;
  if (summary->parts == 0 && !keyed) return;
  const auto own = range_of(subtask, op.parallelism, op.max_parallelism);
  if (keyed && (own.last < range.first || range.last < own.first)) return;
  const auto open = storage_.opener(directory_);
  const auto& object = metadata_.subtasks[*part.subtask].object;
  if (object.size == 0) return; // nothing was stored
  const subtask_state_reader reader{object, open};
  const auto take = [&](state_part&& p) { visit(std::move(p)); };
  if (summary->parts == 0)
    parts_of_files(reader, op.uid, info, {std::max(own.first, range.first), std::min(own.last, range.last)}, open,
                   take);
  else if (keyed)
    reader.keyed_parts(op.uid, info.name, range, take);
  else
    reader.items(op.uid, info.name, 0, ~std::uint64_t{0}, take);
}

void state_view::parts(const operator_metadata& op, const state_info& info, key_group_range range,
                       const std::function<void(state_part&&)>& visit) const {
  bool any = false;
  for (std::uint32_t i = 0; i < op.parallelism; ++i) {
    parts_of(
        op, info, i,
        [&](state_part&& p) {
          any = true;
          visit(std::move(p));
        },
        range);
    if (info.kind == state_kind::broadcast && any) return; // all subtasks have the same
  }
}

void state_view::for_each(std::string_view uid, std::string_view state,
                          const std::function<void(state_entry&&)>& visit) const {
  state_info info;
  const auto& op = find(uid, state, info);
  const state_decoder decoder{info};
  parts(op, info, all_key_groups, [&](state_part&& p) { decoder.entries(p, visit); });
}

state_inspection state_view::inspect(std::string_view uid, std::string_view state, std::size_t largest) const {
  state_info info;
  find(uid, state, info);
  state_inspection out;
  out.readable = state_decoder{info}.readable();
  const auto larger = [](const state_entry& a, const state_entry& b) { return a.bytes > b.bytes; };
  for_each(uid, state, [&](state_entry&& e) {
    ++out.entries;
    out.bytes += e.bytes;
    if (info.kind == state_kind::keyed) {
      if (out.key_groups.empty() || out.key_groups.back().key_group != e.key_group)
        out.key_groups.push_back({e.key_group, 0, 0});
      ++out.key_groups.back().entries;
      out.key_groups.back().bytes += e.bytes;
    }
    if (out.largest.size() == largest && (largest == 0 || !larger(e, out.largest.back()))) return;
    out.largest.insert(std::upper_bound(out.largest.begin(), out.largest.end(), e, larger), std::move(e));
    if (out.largest.size() > largest) out.largest.pop_back();
  });
  return out;
}

std::optional<state_entry> state_view::get(std::string_view uid, std::string_view state, std::string_view key) const {
  std::optional<state_entry> found;
  for_each(uid, state, [&](state_entry&& e) {
    if (e.key == key) found = std::move(e);
  });
  return found;
}

void diff(const state_view& before, const state_view& after, std::string_view uid, std::string_view state,
          const std::function<void(entry_change, const state_entry*, const state_entry*)>& visit) {
  state_info was, is;
  const auto& old_op = before.find(uid, state, was);
  const auto& new_op = after.find(uid, state, is);
  if (was.kind != state_kind::keyed || is.kind != state_kind::keyed)
    throw error{errc::invalid_argument, "state '" + std::string{state} + "' is not keyed: there are no keys to compare",
                "export both and compare the files"};
  if (was.schema != is.schema || old_op.max_parallelism != new_op.max_parallelism)
    throw error{errc::incompatible_state,
                "state '" + std::string{state} + "' is stored as " + was.schema + " in " +
                    std::to_string(old_op.max_parallelism) + " key groups, and as " + is.schema + " in " +
                    std::to_string(new_op.max_parallelism),
                "export both and compare the files"};
  const state_decoder decoder{is};
  const auto entries = [&](const state_view& view, const operator_metadata& op, std::uint32_t group) {
    std::map<std::string, state_entry> out;
    view.parts(op, is, {group, group}, [&](state_part&& p) {
      decoder.entries(p, [&](state_entry&& e) {
        // A state that keeps the key in its value, or that cannot be read, is compared by its content.
        auto key = e.key.empty() ? e.value : e.key;
        out.insert_or_assign(std::move(key), std::move(e));
      });
    });
    return out;
  };
  for (std::uint32_t group = 0; group < new_op.max_parallelism; ++group) {
    const auto a = entries(before, old_op, group), b = entries(after, new_op, group);
    for (auto& [key, entry] : a)
      if (!b.contains(key)) visit(entry_change::removed, &entry, nullptr);
    for (auto& [key, entry] : b) {
      auto i = a.find(key);
      if (i == a.end())
        visit(entry_change::added, nullptr, &entry);
      else if (i->second.value != entry.value)
        visit(entry_change::changed, &i->second, &entry);
    }
  }
}

} // namespace dataflow
