#include <dataflow/checkpoint/checkpoint_metadata.hpp>
#include <dataflow/checkpoint/subtask_index.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <set>

namespace dataflow {

namespace {

// "Do not change": what stands around the metadata of every version.
constexpr std::string_view metadata_magic = "DFCHKPNT";
constexpr std::uint32_t metadata_format_version = 2; // the highest; 1 is written when nothing was under way
constexpr std::size_t metadata_header_size = 24; // magic, version (4), zero (4), size of what follows but the checksum
constexpr std::size_t metadata_checksum_size = 8;

// "Do not change": flags of version 1.
constexpr std::uint8_t flag_unaligned = 1;
constexpr std::uint8_t part_has_object = 1, part_finished = 2;

using detail::fail_corrupt;

void write_part(byte_writer& out, const operator_part& p, std::uint32_t version) {
  out.fixed(static_cast<std::uint8_t>((p.subtask ? part_has_object : 0) | (p.finished ? part_finished : 0)));
  if (p.subtask) out.varint(*p.subtask);
  out.varint(p.states.size());
  for (auto& s : p.states) {
    out.text(s.info.name);
    out.fixed(s.info.kind);
    out.text(s.info.schema);
    out.varint(s.parts);
    out.varint(s.bytes);
  }
  out.varint(p.splits.size());
  for (auto& s : p.splits) {
    out.text(s.id);
    out.text(s.payload);
  }
  out.varint(p.in_flight.size());
  for (auto& f : p.in_flight) {
    out.fixed(static_cast<std::uint8_t>(f.sent ? 1 : 0));
    out.varint(f.edge);
    out.varint(f.elements);
    if (version < 2) continue;
    out.text(f.peer);
    out.text(f.schema);
  }
}

operator_part read_part(byte_reader& in, std::size_t subtasks, std::uint32_t version) {
  operator_part p;
  const auto flags = in.fixed<std::uint8_t>();
  if (flags > (part_has_object | part_finished)) fail_corrupt("unknown flags of a subtask");
  p.finished = (flags & part_finished) != 0;
  if ((flags & part_has_object) != 0) {
    const auto number = in.varint();
    if (number >= subtasks) fail_corrupt("an operator's state lies in a subtask that is not there");
    p.subtask = static_cast<std::uint32_t>(number);
  }
  p.states.resize(in.length(5));
  for (auto& s : p.states) {
    s.info.name = in.text();
    s.info.kind = in.fixed<state_kind>();
    if (s.info.kind > state_kind::broadcast) fail_corrupt("state '" + s.info.name + "' is of an unknown kind");
    s.info.schema = in.text();
    s.parts = in.varint();
    s.bytes = in.varint();
  }
  p.splits.resize(in.length(2));
  for (auto& s : p.splits) {
    s.id = in.text();
    s.payload = in.text();
  }
  p.in_flight.resize(in.length(3));
  for (auto& f : p.in_flight) {
    const auto sent = in.fixed<std::uint8_t>();
    const auto edge = in.varint();
    f.elements = in.varint();
    if (sent > 1 || edge > 0xFFFFFFFFu || f.elements == 0) fail_corrupt("impossible records under way");
    f.sent = sent == 1;
    f.edge = static_cast<std::uint32_t>(edge);
    if (version < 2) continue;
    f.peer = in.text();
    f.schema = in.text();
  }
  return p;
}

std::uint32_t version_of(const checkpoint_metadata& m) {
  for (auto& op : m.operators)
    for (auto& p : op.parts)
      if (!p.in_flight.empty()) return 2;
  return 1;
}

std::string encode_body(const checkpoint_metadata& m, std::uint32_t version) {
  byte_writer out;
  out.varint(m.id);
  out.fixed(m.kind);
  out.fixed(static_cast<std::uint8_t>(m.unaligned ? flag_unaligned : 0));
  out.text(m.job_id);
  out.text(m.job_name);
  out.varint(m.leader);
  out.fixed(m.triggered_at);
  out.fixed(m.completed_at);
  out.fixed(m.key_hash_version);
  out.fixed(m.key_codec_version);
  out.varint(m.subtasks.size());
  for (auto& s : m.subtasks) {
    write_handle(out, s.object);
    out.varint(s.shared.size());
    for (auto& o : s.shared)
      write_handle(out, o);
  }
  out.varint(m.operators.size());
  for (auto& op : m.operators) {
    out.text(op.uid);
    out.text(op.name);
    out.varint(op.parallelism);
    out.varint(op.max_parallelism);
    out.fixed(static_cast<std::uint8_t>(op.enumerator ? 1 : 0));
    if (op.enumerator) out.text(*op.enumerator);
    for (auto& p : op.parts)
      write_part(out, p, version);
  }
  return out.take();
}

checkpoint_metadata decode_body(byte_reader& in, std::uint32_t version) {
  checkpoint_metadata m;
  m.id = in.varint();
  m.kind = in.fixed<checkpoint_kind>();
  if (m.kind != checkpoint_kind::checkpoint && m.kind != checkpoint_kind::savepoint)
    fail_corrupt("neither a checkpoint nor a savepoint");
  const auto flags = in.fixed<std::uint8_t>();
  if (flags > flag_unaligned) fail_corrupt("unknown flags");
  m.unaligned = (flags & flag_unaligned) != 0;
  m.job_id = in.text();
  m.job_name = in.text();
  m.leader = in.varint();
  m.triggered_at = in.fixed<std::int64_t>();
  m.completed_at = in.fixed<std::int64_t>();
  m.key_hash_version = in.fixed<std::uint16_t>();
  m.key_codec_version = in.fixed<std::uint16_t>();
  m.subtasks.resize(in.length(13));
  for (auto& s : m.subtasks) {
    s.object = read_handle(in);
    s.shared.resize(in.length(12));
    for (auto& o : s.shared)
      o = read_handle(in);
  }
  m.operators.resize(in.length(6));
  for (auto& op : m.operators) {
    op.uid = in.text();
    op.name = in.text();
    const auto parallelism = in.varint(), max_parallelism = in.varint();
    if (parallelism == 0 || parallelism > max_parallelism || max_parallelism > upper_max_parallelism)
      fail_corrupt("operator '" + op.uid + "' has an impossible parallelism");
    op.parallelism = static_cast<std::uint32_t>(parallelism);
    op.max_parallelism = static_cast<std::uint32_t>(max_parallelism);
    const auto has_enumerator = in.fixed<std::uint8_t>();
    if (has_enumerator > 1) fail_corrupt("unknown flags of an operator");
    if (has_enumerator == 1) op.enumerator = in.text();
    for (std::uint32_t i = 0; i < op.parallelism; ++i)
      op.parts.push_back(read_part(in, m.subtasks.size(), version));
  }
  if (!in.at_end()) fail_corrupt("longer than what it says");
  return m;
}

} // namespace

bool operator_metadata::finished() const noexcept {
  return !parts.empty() && std::all_of(parts.begin(), parts.end(), [](auto& p) { return p.finished; });
}

bool operator_metadata::has_state() const noexcept {
  if (enumerator) return true;
  return std::any_of(parts.begin(), parts.end(),
                     [](auto& p) { return !p.states.empty() || !p.splits.empty() || !p.in_flight.empty(); });
}

const operator_metadata* checkpoint_metadata::find(std::string_view uid) const noexcept {
  auto i = std::find_if(operators.begin(), operators.end(), [&](auto& op) { return op.uid == uid; });
  return i == operators.end() ? nullptr : &*i;
}

std::uint64_t checkpoint_metadata::bytes() const {
  std::uint64_t sum = 0;
  std::set<std::string_view> counted; // shared ones
  for (auto& s : subtasks) {
    sum += s.object.size;
    for (auto& o : s.shared)
      if (counted.insert(o.name).second) sum += o.size;
  }
  return sum;
}

std::string encode(const checkpoint_metadata& metadata) {
  for (auto& op : metadata.operators)
    if (op.parts.size() != op.parallelism)
      throw error{errc::internal, "operator '" + op.uid + "' has " + std::to_string(op.parts.size()) + " parts for " +
                                      std::to_string(op.parallelism) + " subtasks"};
  const auto version = version_of(metadata);
  const auto body = encode_body(metadata, version);
  byte_writer out;
  out.raw(metadata_magic.data(), metadata_magic.size());
  out.fixed(version);
  out.fixed(std::uint32_t{0});
  out.fixed(std::uint64_t{body.size()});
  out.raw(body.data(), body.size());
  out.fixed(stored_checksum(out.buffer()));
  return out.take();
}

checkpoint_metadata decode_checkpoint_metadata(std::string_view bytes) {
  if (bytes.size() < metadata_header_size + metadata_checksum_size) fail_corrupt("the metadata is cut short");
  byte_reader in{bytes.substr(0, bytes.size() - metadata_checksum_size)};
  byte_reader end{bytes.substr(bytes.size() - metadata_checksum_size)};
  if (in.raw(metadata_magic.size()) != metadata_magic) fail_corrupt("this is not the metadata of a checkpoint");
  const auto version = in.fixed<std::uint32_t>();
  in.fixed<std::uint32_t>();
  const auto size = in.fixed<std::uint64_t>();
  if (size != in.remaining()) fail_corrupt("the metadata is cut short");
  if (end.fixed<std::uint64_t>() != stored_checksum(bytes.substr(0, bytes.size() - metadata_checksum_size)))
    fail_corrupt("the metadata is not what was written");
  if (version > metadata_format_version)
    throw error{errc::newer_format,
                "the checkpoint has format version " + std::to_string(version) + ", this library reads up to " +
                    std::to_string(metadata_format_version),
                "restore with the version of dataflow that wrote it, or a later one"};
  try {
    return decode_body(in, version);
  } catch (const error& e) {
    if (e.code() == errc::malformed_record) fail_corrupt("the metadata ends too early");
    throw e.within("the metadata of the checkpoint");
  }
}

} // namespace dataflow
