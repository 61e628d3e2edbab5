#include <dataflow/checkpoint/state_rewrite.hpp>
#include <dataflow/util/error.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace dataflow {

namespace {
using json = nlohmann::ordered_json;

std::string dumped(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace); }
} // namespace

std::string json_line(const state_entry& e) {
  json j{{"key_group", e.key_group}};
  if (!e.key.empty()) j["key"] = json::parse(e.key);
  j["value"] = json::parse(e.value);
  j["bytes"] = e.bytes;
  return dumped(j);
}

struct state_rewrite::body {
  struct entry {
    state_entry shown;
    std::uint32_t subtask = 0;
    std::string stored;
    std::optional<std::string> wanted; ///< its bytes in the copy
  };
  checkpoint_storage& storage;
  state_view view;
  std::string uid, state;
  state_info info;
  std::unique_ptr<state_decoder> decoder;
  std::vector<entry> entries;
  std::multimap<std::string, std::size_t> by_name; ///< key group and key: those that are not taken yet
  std::uint64_t lines = 0;

  body(checkpoint_storage& objects, const std::string& directory, std::string_view op, std::string_view name)
      : storage(objects), view(objects, directory), uid(op), state(name) {}

  /// Entries of states that have no key of their own are told apart by their places.
  std::string name_of(const state_entry& e) const {
    return std::to_string(e.key_group) + " " + (e.key.empty() ? std::string{} : dumped(json::parse(e.key)));
  }
  bool keyed() const { return info.kind == state_kind::keyed; }

  void load() {
    const auto& op = view.find(uid, state, info);
    decoder = std::make_unique<state_decoder>(info);
    if (!decoder->readable())
      throw error{errc::invalid_argument,
                  "state '" + uid + "/" + state + "' is stored as " + info.schema + ", which only its job can read"};
    for (std::uint32_t subtask = 0; subtask < op.parallelism; ++subtask) {
      if (info.kind == state_kind::broadcast && !entries.empty()) break; // all subtasks have the same
      view.parts_of(op, info, subtask, [&](state_part&& p) {
        std::size_t at = 0;
        decoder->entries(p, [&](state_entry&& e) {
          const auto size = keyed() ? e.bytes : p.bytes.size();
          by_name.emplace(name_of(e), entries.size());
          entries.push_back({std::move(e), subtask, p.bytes.substr(at, size), {}});
          at += size;
        });
      });
    }
  }

  void put(std::string_view text) {
    ++lines;
    const auto entry_named = [&](const std::string& name) { return "entry " + std::to_string(lines) + name; };
    json j;
    try {
      j = json::parse(text);
    } catch (const json::exception& e) {
      throw error{errc::malformed_record, entry_named("") + " is no JSON: " + e.what(),
                  "write one object a line, as `dataflow state export` does"};
    }
    const auto bad = [&](const std::string& what) {
      return error{errc::malformed_record, entry_named("") + ": " + what,
                   "an entry has the fields that `dataflow state export` writes: key_group, key and value"};
    };
    if (!j.is_object() || !j.contains("value")) throw bad("there is no field 'value'");
    if (!j.contains("key_group") || !j["key_group"].is_number_unsigned()) throw bad("there is no field 'key_group'");
    const auto key = j.contains("key") ? dumped(j["key"]) : std::string{};
    const auto named = key.empty() ? std::string{} : " (key " + key + ")";
    const auto i = by_name.find(std::to_string(j["key_group"].get<std::uint64_t>()) + " " + key);
    if (i == by_name.end())
      throw error{errc::malformed_record,
                  entry_named(named) + ": the state has no such entry in key group " + dumped(j["key_group"]) +
                      ", or it was put already",
                  "keys and key groups cannot change; entries can change their values or be left out"};
    auto& e = entries[i->second];
    try {
      e.wanted = decoder->with_value(e.stored, dumped(j["value"]));
    } catch (const error& why) {
      throw error{errc::malformed_record, entry_named(named) + ": " + why.cause(), "the state is " + info.schema};
    }
    by_name.erase(i);
  }

  /// Parts of the state in the copy.
  void write(std::uint32_t subtask, subtask_state_writer& out) const {
    constexpr std::size_t part_bytes = 64 * 1024;
    std::string part;
    std::uint32_t group = 0;
    const auto flush = [&] {
      if (!part.empty()) out.part(group, part);
      part.clear();
    };
    for (auto& e : entries) {
      if (!e.wanted || (e.subtask != subtask && info.kind != state_kind::broadcast)) continue;
      if (!keyed()) {
        out.part(0, *e.wanted);
        continue;
      }
      if (e.shown.key_group != group || part.size() >= part_bytes) flush();
      group = e.shown.key_group;
      part += *e.wanted;
    }
    flush();
  }
};

state_rewrite::state_rewrite(checkpoint_storage& storage, const std::string& directory, std::string_view uid,
                             std::string_view state)
    : body_(std::make_unique<body>(storage, directory, uid, state)) {
  if (body_->view.metadata().unaligned)
    throw error{errc::incompatible_state,
                "'" + directory + "' is an unaligned checkpoint: records were under way when it was made",
                "rewrite a savepoint; `dataflow run -s ... --stop-with-savepoint DIR` makes one"};
  body_->load();
}
state_rewrite::~state_rewrite() = default;

void state_rewrite::entries(const std::function<void(const state_entry&, const std::string&)>& visit) const {
  for (auto& e : body_->entries)
    visit(e.shown, json_line(e.shown));
}

void state_rewrite::put(std::string_view json) { body_->put(json); }

std::uint64_t state_rewrite::write_to(const std::string& directory) {
  auto& b = *body_;
  auto m = b.view.metadata();
  m.kind = checkpoint_kind::savepoint;
  // By subtask of the old objects: what every operator has there, in the order of uids.
  std::vector<std::vector<std::pair<operator_metadata*, std::uint32_t>>> owners(m.subtasks.size());
  for (auto& op : m.operators)
    for (std::uint32_t i = 0; i < op.parts.size(); ++i)
      if (op.parts[i].subtask) owners[*op.parts[i].subtask].emplace_back(&op, i);
  for (std::uint32_t s = 0; s < m.subtasks.size(); ++s) {
    const auto object = b.storage.create(directory, object_scope::exclusive, "rewritten");
    subtask_state_writer out{*object, compression::none};
    for (auto& [op, subtask] : owners[s]) {
      out.begin_operator(op->uid);
      for (auto& state : op->parts[subtask].states) {
        out.begin_state(state.info);
        if (op->uid == b.uid && state.info.name == b.state)
          b.write(subtask, out);
        else
          b.view.parts_of(*b.view.metadata().find(op->uid), state.info, subtask,
                          [&](state_part&& p) { out.part(p.key_group, p.bytes); });
      }
    }
    auto written = out.finish();
    m.subtasks[s] = {std::move(written.object), std::move(written.shared)};
    for (std::size_t o = 0; o < owners[s].size(); ++o)
      owners[s][o].first->parts[owners[s][o].second].states = std::move(written.operators[o].states);
  }
  b.storage.publish(directory, m);
  return static_cast<std::uint64_t>(
      std::count_if(b.entries.begin(), b.entries.end(), [](const body::entry& e) { return e.wanted.has_value(); }));
}

} // namespace dataflow
