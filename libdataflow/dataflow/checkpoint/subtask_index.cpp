#include <dataflow/checkpoint/subtask_index.hpp>
#include <dataflow/util/error.hpp>

#include <tuple>

namespace dataflow::detail {

namespace {

void write_entry(byte_writer& out, const index_entry& e, bool keyed, std::uint32_t version) {
  out.varint(keyed ? e.key_group : e.items);
  out.varint(e.object);
  out.varint(e.offset);
  out.varint(e.stored);
  out.varint(e.size);
  out.fixed(e.how);
  out.fixed(e.checksum);
  if (keyed && version >= 3) out.fixed(e.form);
}

constexpr std::size_t least_entry = 14;

std::uint32_t small_number(byte_reader& in, std::uint64_t most, const char* what) {
  const auto value = in.varint();
  if (value > most) fail_corrupt(std::string{what} + " " + std::to_string(value) + " is out of range");
  return static_cast<std::uint32_t>(value);
}

index_entry read_entry(byte_reader& in, bool keyed, std::size_t objects, std::uint32_t version) {
  index_entry e;
  if (keyed)
    e.key_group = small_number(in, upper_max_parallelism - 1, "key group");
  else
    e.items = in.varint();
  e.object = small_number(in, objects, "object");
  e.offset = in.varint();
  e.stored = in.varint();
  e.size = in.varint();
  e.how = in.fixed<compression>();
  e.checksum = in.fixed<std::uint64_t>();
  if (e.how > compression::zstd) fail_corrupt("an unknown compression");
  if (keyed && version >= 3) e.form = in.fixed<part_form>();
  if (e.form > part_form::changes) fail_corrupt("an unknown form of a part");
  return e;
}

void write_channels(byte_writer& out, const std::vector<index_channel>& channels, std::uint32_t version) {
  out.varint(channels.size());
  for (auto& c : channels) {
    out.varint(c.edge);
    out.varint(c.channel);
    if (version >= 2) {
      out.text(c.peer);
      out.text(c.schema);
    }
    out.varint(c.elements.size());
    for (auto& e : c.elements) {
      out.varint(e.key_groups.first);
      out.varint(e.key_groups.last);
      write_entry(out, e.where, false, version);
    }
  }
}

std::vector<index_channel> read_channels(byte_reader& in, std::size_t objects, std::uint32_t version) {
  std::vector<index_channel> channels(in.length(3));
  for (auto& c : channels) {
    c.edge = small_number(in, ~std::uint32_t{0}, "edge");
    c.channel = small_number(in, ~std::uint32_t{0}, "channel");
    if (version >= 2) {
      c.peer = in.text();
      c.schema = in.text();
    }
    c.elements.resize(in.length(least_entry + 2));
    for (auto& e : c.elements) {
      e.key_groups.first = small_number(in, upper_max_parallelism - 1, "key group");
      e.key_groups.last = small_number(in, upper_max_parallelism - 1, "key group");
      e.where = read_entry(in, false, objects, version);
    }
  }
  return channels;
}

} // namespace

void fail_corrupt(std::string what) {
  throw error{errc::corrupt_state, std::move(what), "restore from another checkpoint"};
}

state_summary index_state::summary() const {
  state_summary s{info, 0, 0};
  for (auto& p : parts) {
    s.parts += info.kind == state_kind::keyed ? 1 : p.items;
    s.bytes += p.stored;
  }
  return s;
}

std::vector<in_flight_summary> index_operator::in_flight() const {
  std::map<std::tuple<bool, std::string_view, std::uint32_t>, in_flight_summary> by_edge;
  for (auto* channels : {&inputs, &outputs})
    for (auto& c : *channels) {
      if (c.elements.empty()) continue;
      const bool sent = channels == &outputs;
      const auto [at, fresh] =
          by_edge.try_emplace({sent, c.peer, c.edge}, in_flight_summary{sent, c.edge, 0, c.peer, c.schema});
      at->second.elements += c.elements.size();
    }
  std::vector<in_flight_summary> out;
  for (auto& [edge, summary] : by_edge)
    out.push_back(std::move(summary));
  return out;
}

std::string encode_index(const subtask_index& index, std::uint32_t version) {
  byte_writer out;
  out.varint(index.objects.size());
  for (auto& o : index.objects)
    write_handle(out, o);
  out.varint(index.operators.size());
  for (auto& op : index.operators) {
    out.text(op.uid);
    out.varint(op.states.size());
    for (auto& s : op.states) {
      out.text(s.info.name);
      out.fixed(s.info.kind);
      out.text(s.info.schema);
      out.varint(s.parts.size());
      for (auto& p : s.parts)
        write_entry(out, p, s.info.kind == state_kind::keyed, version);
    }
    write_channels(out, op.inputs, version);
    write_channels(out, op.outputs, version);
    out.varint(op.files.size());
    for (auto& [name, object] : op.files) {
      out.text(name);
      write_handle(out, object);
    }
  }
  return out.take();
}

subtask_index decode_index(std::string_view bytes, std::uint32_t version) {
  try {
    byte_reader in{bytes};
    subtask_index index;
    index.objects.resize(in.length(12));
    for (auto& o : index.objects)
      o = read_handle(in);
    const auto objects = index.objects.size();
    index.operators.resize(in.length(5));
    for (auto& op : index.operators) {
      op.uid = in.text();
      op.states.resize(in.length(4));
      for (auto& s : op.states) {
        s.info.name = in.text();
        s.info.kind = in.fixed<state_kind>();
        if (s.info.kind > state_kind::broadcast) fail_corrupt("state '" + s.info.name + "' is of an unknown kind");
        s.info.schema = in.text();
        s.parts.resize(in.length(least_entry));
        for (auto& p : s.parts)
          p = read_entry(in, s.info.kind == state_kind::keyed, objects, version);
      }
      op.inputs = read_channels(in, objects, version);
      op.outputs = read_channels(in, objects, version);
      op.files.resize(in.length(13));
      for (auto& [name, object] : op.files) {
        name = in.text();
        object = read_handle(in);
      }
    }
    if (!in.at_end()) fail_corrupt("the index is longer than what it says");
    return index;
  } catch (const error& e) {
    if (e.code() != errc::malformed_record) throw;
    fail_corrupt("the index ends too early");
  }
}

std::string subtask_header(std::uint32_t version) {
  byte_writer out;
  out.raw(subtask_magic.data(), subtask_magic.size());
  out.fixed(version);
  out.fixed(std::uint32_t{0});
  return out.take();
}

std::string subtask_trailer(std::string_view header, std::uint64_t index_offset, std::string_view index) {
  byte_writer out;
  out.fixed(index_offset);
  out.fixed(std::uint64_t{index.size()});
  out.fixed(stored_checksum(index));
  out.fixed(stored_checksum(std::string{header} + out.buffer()));
  out.raw(subtask_end_magic.data(), subtask_end_magic.size());
  return out.take();
}

index_place check_ends(std::string_view header, std::string_view trailer, std::uint64_t object_size) {
  byte_reader begin{header}, end{trailer};
  if (begin.raw(subtask_magic.size()) != subtask_magic) fail_corrupt("it does not begin like the state of a subtask");
  const auto version = begin.fixed<std::uint32_t>();
  index_place place{};
  place.version = version;
  place.offset = end.fixed<std::uint64_t>();
  place.size = end.fixed<std::uint64_t>();
  place.checksum = end.fixed<std::uint64_t>();
  const auto checksum = end.fixed<std::uint64_t>();
  if (end.raw(subtask_end_magic.size()) != subtask_end_magic) fail_corrupt("its end is missing");
  if (checksum != stored_checksum(std::string{header} + std::string{trailer.substr(0, 24)}))
    fail_corrupt("its first or last bytes are not what was written");
  if (version > subtask_format_version)
    throw error{errc::newer_format,
                "it has format version " + std::to_string(version) + ", this library reads up to " +
                    std::to_string(subtask_format_version),
                "restore with the version of dataflow that wrote it, or a later one"};
  const auto room = object_size - subtask_header_size - subtask_trailer_size;
  if (place.offset < subtask_header_size || place.size > room ||
      place.offset != subtask_header_size + room - place.size)
    fail_corrupt("its index lies outside");
  return place;
}

} // namespace dataflow::detail
