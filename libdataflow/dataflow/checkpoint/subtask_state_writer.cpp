#include <dataflow/checkpoint/merged_parts.hpp>
#include <dataflow/checkpoint/subtask_index.hpp>
#include <dataflow/checkpoint/subtask_state.hpp>
#include <dataflow/record/key_groups.hpp>
#include <dataflow/record/record_type.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <utility>

namespace dataflow {

using detail::encode_index;
using detail::index_channel;
using detail::index_entry;
using detail::index_operator;
using detail::index_state;
using detail::item_block_bytes;
using detail::subtask_header;
using detail::subtask_index;
using detail::subtask_trailer;

std::uint64_t subtask_summary::bytes() const noexcept {
  auto sum = object.size;
  for (auto& s : shared)
    sum += s.size;
  return sum;
}

struct subtask_state_writer::body {
  object_writer& out;
  const compression how;
  const std::uint32_t version;
  subtask_index index;
  std::vector<std::vector<source_split>> splits; // per operator
  std::vector<object_handle> files;              // of all operators
  std::string scratch;                           // a compressed part
  byte_writer block;                             // items of a list that are not written yet
  std::uint64_t block_items = 0;
  index_state* state = nullptr;                                          // that parts go into
  bool begun = false;                                                    // the header is written
  std::map<std::pair<object_scope, std::string>, std::uint32_t> numbers; // of index.objects, from 1

  index_operator& op() {
    if (index.operators.empty()) throw error{errc::internal, "a state is written before its operator is named"};
    return index.operators.back();
  }

  index_entry append(std::string_view bytes) {
    if (!begun) {
      out.append(subtask_header(version));
      begun = true;
    }
    index_entry e;
    e.size = bytes.size();
    e.how = detail::pack(how, bytes, scratch);
    e.offset = out.size();
    e.stored = bytes.size();
    e.checksum = stored_checksum(bytes);
    out.append(bytes);
    return e;
  }

  void flush_items() {
    if (block_items == 0) return;
    auto e = append(block.buffer());
    e.items = std::exchange(block_items, 0);
    state->parts.push_back(e);
    block.clear();
  }

  void close_state() {
    flush_items();
    state = nullptr;
  }

  std::uint32_t number_of(const object_handle& object) {
    const auto [at, fresh] =
        numbers.try_emplace({object.scope, object.name}, static_cast<std::uint32_t>(index.objects.size() + 1));
    if (fresh) index.objects.push_back(object);
    return at->second;
  }

  std::vector<index_channel> append(const std::vector<channel_state>& channels) {
    if (version < 2 && !channels.empty())
      throw error{errc::internal, "records under way are written into the state of an aligned checkpoint"};
    std::vector<index_channel> written;
    for (auto& c : channels) {
      index_channel entry{c.edge, c.channel, {}, c.peer, c.schema};
      for (auto& e : c.elements) {
        byte_writer encoded;
        if (e.data) e.data->type().encode(*e.data, encoded);
        entry.elements.push_back({e.key_groups, append(e.data ? std::string_view{encoded.buffer()} : e.bytes)});
      }
      written.push_back(std::move(entry));
    }
    return written;
  }
};

bool subtask_state::has_in_flight() const noexcept {
  for (auto& [uid, op] : operators)
    if (!op.inputs.empty() || !op.outputs.empty()) return true;
  return false;
}

in_flight_element in_flight(batch_ptr data, bool hashed, std::uint32_t max_parallelism) {
  in_flight_element e;
  if (hashed) {
    e.key_groups = {upper_max_parallelism, 0};
    for (auto hash : data->hashes) {
      const auto group = key_group_of(hash, max_parallelism);
      e.key_groups.first = std::min(e.key_groups.first, group);
      e.key_groups.last = std::max(e.key_groups.last, group);
    }
  }
  e.data = std::move(data);
  return e;
}

batch_ptr only_key_groups(batch_ptr data, key_group_range range, std::uint32_t max_parallelism,
                          const batch_pool::handle& pool) {
  const auto ours = [&](std::size_t i) { return range.contains(key_group_of(data->hashes[i], max_parallelism)); };
  const auto size = data->size();
  if (data->hashes.size() != size)
    throw error{errc::corrupt_state, "records under way on a hash edge have no hashes of their keys",
                "restore from another checkpoint"};
  batch_ptr kept;
  for (std::size_t begin = 0; begin < size;) {
    auto end = begin;
    while (end < size && ours(end))
      ++end;
    if (begin == 0 && end == size) return data;
    if (end > begin && !kept) kept = pool->get();
    if (end > begin) data->type().append(*kept, *data, begin, end, true);
    begin = end + 1;
  }
  return kept;
}

subtask_state_writer::subtask_state_writer(object_writer& out, compression how, bool in_flight, bool increments)
    : body_(std::make_unique<body>(
          body{out, how, detail::subtask_version(in_flight, increments), {}, {}, {}, {}, {}, 0, nullptr, false, {}})) {}
subtask_state_writer::~subtask_state_writer() = default;

void subtask_state_writer::begin_operator(std::string_view uid) {
  body_->close_state();
  auto& operators = body_->index.operators;
  if (!operators.empty() && operators.back().uid >= uid)
    throw error{errc::internal,
                "state of operator '" + std::string{uid} + "' is written after that of '" + operators.back().uid + "'"};
  operators.emplace_back().uid = uid;
  body_->splits.emplace_back();
}

void subtask_state_writer::begin_state(const state_info& info) {
  body_->close_state();
  auto& states = body_->op().states;
  if (!states.empty() && states.back().info.name >= info.name)
    throw error{errc::internal, "state '" + info.name + "' is written after '" + states.back().info.name + "'"};
  body_->state = &states.emplace_back(index_state{info, {}});
}

part_location subtask_state_writer::part(std::uint32_t key_group, std::string_view bytes) {
  auto* state = body_->state;
  if (!state) throw error{errc::internal, "a part is written before its state is named"};
  if (state->info.kind != state_kind::keyed) {
    body_->block.text(bytes);
    ++body_->block_items;
    if (body_->block.size() >= item_block_bytes) body_->flush_items();
    return {};
  }
  auto e = body_->append(bytes);
  e.key_group = key_group;
  state->parts.push_back(e);
  return {{}, e.offset, e.stored, e.size, e.checksum, e.how};
}

void subtask_state_writer::stored_part(std::uint32_t key_group, const part_location& where, part_form form) {
  auto* state = body_->state;
  if (form != part_form::plain && body_->version < 3)
    throw error{errc::internal, "a part in entries is written into the state of a checkpoint that has none"};
  if (!state || state->info.kind != state_kind::keyed || where.object.scope != object_scope::shared)
    throw error{errc::internal, "only parts of keyed states in shared objects are stored once for several checkpoints"};
  index_entry e;
  e.key_group = key_group;
  e.object = body_->number_of(where.object);
  e.offset = where.offset;
  e.stored = where.stored;
  e.size = where.size;
  e.checksum = where.checksum;
  e.how = where.how;
  e.form = form;
  state->parts.push_back(e);
}

void subtask_state_writer::splits(std::vector<source_split> splits) {
  body_->op();
  body_->splits.back() = std::move(splits);
}

void subtask_state_writer::inputs(const std::vector<channel_state>& channels) {
  body_->close_state();
  body_->op().inputs = body_->append(channels);
}

void subtask_state_writer::outputs(const std::vector<channel_state>& channels) {
  body_->close_state();
  body_->op().outputs = body_->append(channels);
}

void subtask_state_writer::file(std::string_view name, const object_handle& object) {
  body_->op().files.emplace_back(name, object);
  if (object.scope != object_scope::inlined) body_->files.push_back(object);
}

void subtask_state_writer::add(std::string_view uid, const operator_subtask_state& state) {
  begin_operator(uid);
  for (auto& [name, stored] : state.states.states) {
    begin_state(stored.info);
    if (const auto* increment = stored.frozen ? stored.frozen->increment() : nullptr) {
      if (body_->version < 3)
        throw error{errc::internal, "a state that leaves out what is stored is written as a whole"};
      increment->for_each([&](std::uint32_t group, detail::group_form form, const stored_piece& piece) {
        stored_part(group, location_of(piece),
                    form == detail::group_form::whole ? part_form::whole : part_form::changes);
      });
      continue;
    }
    stored.give_up_parts([&](const state_part& p) { part(p.key_group, p.bytes); });
  }
  splits(state.splits);
  inputs(state.inputs);
  outputs(state.outputs);
  for (auto& [name, object] : state.files)
    file(name, object);
}

subtask_summary subtask_state_writer::finish() {
  body_->close_state();
  subtask_summary summary;
  auto& index = body_->index;
  bool anything = body_->begun;
  for (std::size_t i = 0; i < index.operators.size(); ++i) {
    auto& op = index.operators[i];
    operator_summary s{op.uid, {}, std::move(body_->splits[i]), op.in_flight()};
    for (auto& state : op.states) {
      s.states.push_back(state.summary());
      anything = anything || !state.parts.empty();
    }
    anything = anything || !op.files.empty();
    summary.operators.push_back(std::move(s));
  }
  if (!anything) return summary;
  const auto header = subtask_header(body_->version);
  if (!body_->begun) body_->out.append(header);
  const auto bytes = encode_index(index, body_->version);
  const auto trailer = subtask_trailer(header, body_->out.size(), bytes);
  body_->out.append(bytes);
  body_->out.append(trailer);
  summary.object = body_->out.finish();
  summary.shared = index.objects;
  for (auto& f : body_->files) {
    bool known = false;
    for (auto& s : summary.shared)
      known = known || (s.scope == f.scope && s.name == f.name);
    if (!known) summary.shared.push_back(f);
  }
  return summary;
}

subtask_summary write_subtask_state(const subtask_state& state, object_writer& out, compression how) {
  subtask_state_writer writer{out, how, state.has_in_flight()};
  for (auto& [uid, op] : state.operators)
    writer.add(uid, op);
  return writer.finish();
}

} // namespace dataflow
