#include <dataflow/checkpoint/merged_parts.hpp>
#include <dataflow/checkpoint/subtask_index.hpp>
#include <dataflow/checkpoint/subtask_state.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>

#include <algorithm>

namespace dataflow {

using detail::check_ends;
using detail::decode_index;
using detail::fail_corrupt;
using detail::index_channel;
using detail::index_entry;
using detail::index_operator;
using detail::index_state;
using detail::subtask_header_size;
using detail::subtask_index;
using detail::subtask_trailer_size;

namespace {

std::string name_of(const object_handle& object) {
  return object.scope == object_scope::inlined ? "a subtask's state in the metadata"
                                               : "the stored object '" + object.name + "'";
}

/// The bytes [offset, offset + size). REQUIRES: they lie in a file that is known to be there, or size is small.
std::string read_exactly(readable_file& file, std::uint64_t offset, std::uint64_t size) {
  const auto there = file.size();
  if (offset > there || size > there - offset) fail_corrupt("it is cut short");
  std::string bytes(static_cast<std::size_t>(size), '\0');
  if (file.read_at(bytes.data(), bytes.size(), offset) != bytes.size()) fail_corrupt("it is cut short");
  return bytes;
}

} // namespace

struct subtask_state_reader::body {
  object_handle object;
  object_opener open;
  subtask_index index;
  std::uint64_t index_offset = 0;
  mutable std::vector<std::unique_ptr<readable_file>> files; // [0]: the object itself; others when they are needed

  readable_file& file(std::uint32_t number) const {
    auto& f = files[number];
    if (!f) f = open(index.objects[number - 1]);
    return *f;
  }
  const object_handle& handle(std::uint32_t number) const { return number == 0 ? object : index.objects[number - 1]; }

  /// Runs `f` with the object's name in front of what it throws.
  template <class F>
  auto named(const object_handle& which, F&& f) const {
    try {
      return f();
    } catch (const error& e) {
      throw e.within(name_of(which));
    }
  }

  std::string stored_bytes(const index_entry& e) const {
    auto bytes = read_exactly(file(e.object), e.offset, e.stored);
    if (stored_checksum(bytes) != e.checksum)
      fail_corrupt("the " + std::to_string(e.stored) + " bytes at " + std::to_string(e.offset) +
                   " are not what was written");
    return bytes;
  }
  std::string part(const index_entry& e) const {
    return named(handle(e.object), [&] {
      auto bytes = stored_bytes(e);
      if (e.how == compression::none && e.stored == e.size) return bytes;
      return expand(e.how, bytes, static_cast<std::size_t>(e.size));
    });
  }
  std::string_view item(const index_entry& e, byte_reader& in, const index_state& state) const {
    try {
      return in.text();
    } catch (const error&) {
      named(handle(e.object), [&] { fail_corrupt("items of state '" + state.info.name + "' do not decode"); });
      throw;
    }
  }
  const index_operator* find(std::string_view uid) const {
    auto i = std::find_if(index.operators.begin(), index.operators.end(), [&](auto& op) { return op.uid == uid; });
    return i == index.operators.end() ? nullptr : &*i;
  }
  const index_state* find(std::string_view uid, std::string_view state) const {
    auto* op = find(uid);
    if (!op) return nullptr;
    auto i = std::find_if(op->states.begin(), op->states.end(), [&](auto& s) { return s.info.name == state; });
    return i == op->states.end() ? nullptr : &*i;
  }
  std::vector<channel_state> channels(const std::vector<index_channel>& stored, key_group_range range) const {
    std::vector<channel_state> out;
    for (auto& c : stored) {
      channel_state channel{c.edge, c.channel, {}, c.peer, c.schema};
      for (auto& e : c.elements)
        if (e.key_groups.first <= range.last && range.first <= e.key_groups.last)
          channel.elements.push_back({e.key_groups, part(e.where), {}});
      out.push_back(std::move(channel));
    }
    return out;
  }
};

subtask_state_reader::subtask_state_reader(const object_handle& object, object_opener open)
    : body_(std::make_unique<body>()) {
  body_->object = object;
  body_->open = std::move(open);
  body_->named(object, [&] {
    body_->files.push_back(body_->open(object));
    auto& file = *body_->files.front();
    const auto size = file.size();
    if (size != object.size)
      fail_corrupt("it has " + std::to_string(size) + " bytes instead of " + std::to_string(object.size));
    if (size < subtask_header_size + subtask_trailer_size) fail_corrupt("it is cut short");
    const auto place = check_ends(read_exactly(file, 0, subtask_header_size),
                                  read_exactly(file, size - subtask_trailer_size, subtask_trailer_size), size);
    const auto bytes = read_exactly(file, place.offset, place.size);
    if (stored_checksum(bytes) != place.checksum) fail_corrupt("its index is not what was written");
    body_->index = decode_index(bytes, place.version);
    body_->index_offset = place.offset;
  });
  body_->files.resize(body_->index.objects.size() + 1);
}
subtask_state_reader::~subtask_state_reader() = default;

std::vector<std::string> subtask_state_reader::operators() const {
  std::vector<std::string> uids;
  for (auto& op : body_->index.operators)
    uids.push_back(op.uid);
  return uids;
}

std::vector<state_summary> subtask_state_reader::states(std::string_view uid) const {
  std::vector<state_summary> out;
  if (auto* op = body_->find(uid))
    for (auto& s : op->states)
      out.push_back(s.summary());
  return out;
}

void subtask_state_reader::keyed_parts(std::string_view uid, std::string_view state, key_group_range range,
                                       const part_function& visit) const {
  auto* s = body_->find(uid, state);
  if (!s || s->info.kind != state_kind::keyed) return;
  for (std::size_t i = 0; i < s->parts.size();) {
    const auto& p = s->parts[i++];
    if (!range.contains(p.key_group)) continue;
    if (p.form == part_form::plain) {
      visit({p.key_group, body_->part(p)});
      continue;
    }
    std::vector<std::string> all{body_->part(p)};
    const auto belongs = [&](const index_entry& e) {
      return e.key_group == p.key_group && e.form == part_form::changes;
    };
    for (; i < s->parts.size() && belongs(s->parts[i]); ++i)
      all.push_back(body_->part(s->parts[i]));
    auto bytes = body_->named(body_->object, [&] { return merged(all, s->info.name, p.key_group); });
    if (!bytes.empty()) visit({p.key_group, std::move(bytes)});
  }
}

void subtask_state_reader::items(std::string_view uid, std::string_view state, std::uint64_t first, std::uint64_t count,
                                 const part_function& visit) const {
  auto* s = body_->find(uid, state);
  if (!s || s->info.kind == state_kind::keyed) return;
  const auto last = count > ~first ? ~std::uint64_t{0} : first + count;
  std::uint64_t at = 0; // number of the part's first item
  for (auto& p : s->parts) {
    if (at >= last) return;
    if (at + p.items > first) {
      const auto bytes = body_->part(p);
      byte_reader in{bytes};
      for (auto i = at; i < std::min(last, at + p.items); ++i) {
        const auto item = body_->item(p, in, *s);
        if (i >= first) visit({0, std::string{item}});
      }
    }
    at += p.items;
  }
}

std::vector<std::pair<std::uint32_t, std::uint64_t>> subtask_state_reader::sizes(std::string_view uid,
                                                                                 std::string_view state) const {
  std::vector<std::pair<std::uint32_t, std::uint64_t>> out;
  auto* s = body_->find(uid, state);
  if (!s || s->info.kind != state_kind::keyed) return out;
  for (auto& p : s->parts) {
    if (out.empty() || out.back().first != p.key_group) out.emplace_back(p.key_group, 0);
    out.back().second += p.stored;
  }
  return out;
}

std::vector<channel_state> subtask_state_reader::inputs(std::string_view uid, key_group_range range) const {
  auto* op = body_->find(uid);
  return op ? body_->channels(op->inputs, range) : std::vector<channel_state>{};
}

std::vector<channel_state> subtask_state_reader::outputs(std::string_view uid, key_group_range range) const {
  auto* op = body_->find(uid);
  return op ? body_->channels(op->outputs, range) : std::vector<channel_state>{};
}

std::map<std::string, object_handle, std::less<>> subtask_state_reader::files(std::string_view uid) const {
  std::map<std::string, object_handle, std::less<>> out;
  if (auto* op = body_->find(uid))
    for (auto& [name, object] : op->files)
      out.emplace(name, object);
  return out;
}

operator_subtask_state subtask_state_reader::read(std::string_view uid) const {
  operator_subtask_state out;
  for (auto& summary : states(uid)) {
    auto& stored = out.states.states[summary.info.name];
    stored.info = summary.info;
    const auto take = [&](state_part&& p) { stored.parts.push_back(std::move(p)); };
    if (summary.info.kind == state_kind::keyed)
      keyed_parts(uid, summary.info.name, all_key_groups, take);
    else
      items(uid, summary.info.name, 0, summary.parts, take);
  }
  out.inputs = inputs(uid, all_key_groups);
  out.outputs = outputs(uid, all_key_groups);
  out.files = files(uid);
  return out;
}

void subtask_state_reader::verify() const {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> own; // offset and size of the parts in this object
  body_->index.for_each_entry([&](const index_entry& e) {
    body_->part(e);
    if (e.object == 0) own.emplace_back(e.offset, e.stored);
  });
  std::sort(own.begin(), own.end());
  body_->named(body_->object, [&] {
    std::uint64_t at = subtask_header_size;
    for (auto& [offset, size] : own) {
      if (offset != at) fail_corrupt("its parts do not lie one behind the other");
      at += size;
    }
    if (at != body_->index_offset) fail_corrupt("it has bytes that belong to nothing");
  });
}

} // namespace dataflow
