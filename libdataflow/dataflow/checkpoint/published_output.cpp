#include <dataflow/checkpoint/published_output.hpp>
#include <dataflow/record/hash.hpp>

#include <algorithm>

namespace dataflow {

namespace {

// "Do not change": they stand in files.
constexpr std::string_view magic = "DFPUBLSH";
constexpr std::uint32_t version = 1;

} // namespace

bool published_output::add(const checkpoint_metadata& metadata) {
  bool any = false;
  for (auto& op : metadata.operators) {
    const bool publishes = std::any_of(op.parts.begin(), op.parts.end(), [](auto& part) {
      return std::any_of(part.states.begin(), part.states.end(),
                         [](auto& s) { return s.info.name == committables_state && s.parts > 0; });
    });
    if (!publishes) continue;
    any = true;
    auto i = std::lower_bound(sinks.begin(), sinks.end(), op.uid, [](auto& s, auto& uid) { return s.uid < uid; });
    if (i == sinks.end() || i->uid != op.uid) i = sinks.insert(i, {op.uid, op.name, 0});
    i->checkpoint = std::max(i->checkpoint, metadata.id);
  }
  if (any) checkpoint = std::max(checkpoint, metadata.id);
  return any;
}

std::optional<error> published_output::doubled_by(std::uint64_t usable) const {
  if (checkpoint <= usable) return {};
  std::string who;
  for (auto& s : sinks)
    if (s.checkpoint > usable)
      who += (who.empty() ? "" : ", ") + std::string{"sink '"} + s.name + "' (uid '" + s.uid + "', up to checkpoint " +
             std::to_string(s.checkpoint) + ")";
  if (who.empty()) who = "some sink (up to checkpoint " + std::to_string(checkpoint) + ")";
  const auto range = usable + 1 == checkpoint
                         ? "checkpoint " + std::to_string(checkpoint)
                         : "checkpoints " + std::to_string(usable + 1) + " to " + std::to_string(checkpoint);
  return error{errc::checkpoint_failed,
               (usable == 0 ? std::string{"no checkpoint can be used"}
                            : "checkpoint " + std::to_string(usable) + " is the newest that can be used") +
                   ", and exactly-once output was published beyond it: " + who + "; the output of " + range +
                   " would be doubled",
               "mend the newer checkpoint, or remove that output and set "
               "execution.checkpointing.allow-doubled-output: true"};
}

std::string encode(const published_output& published) {
  byte_writer out;
  out.raw(magic.data(), magic.size());
  out.fixed(version);
  out.varint(published.checkpoint);
  out.varint(published.sinks.size());
  for (auto& s : published.sinks) {
    out.text(s.uid);
    out.text(s.name);
    out.varint(s.checkpoint);
  }
  out.fixed(hash_bytes(out.buffer().data(), out.buffer().size()));
  return out.take();
}

published_output decode_published_output(std::string_view bytes) {
  const auto damaged = [] {
    return error{errc::corrupt_state, "the note of what was published is not what was written", ""};
  };
  if (bytes.size() < magic.size() + 12 || bytes.substr(0, magic.size()) != magic) throw damaged();
  byte_reader sum{bytes.substr(bytes.size() - 8)};
  if (sum.fixed<std::uint64_t>() != hash_bytes(bytes.data(), bytes.size() - 8)) throw damaged();
  byte_reader in{bytes.substr(magic.size(), bytes.size() - magic.size() - 8)};
  if (const auto v = in.fixed<std::uint32_t>(); v != version)
    throw error{errc::newer_format, "the note of what was published has format " + std::to_string(v),
                "use the version of dataflow that wrote it"};
  try {
    published_output out;
    out.checkpoint = in.varint();
    for (auto n = in.length(3); n > 0; --n) {
      published_output::sink s;
      s.uid = in.text();
      s.name = in.text();
      s.checkpoint = in.varint();
      out.sinks.push_back(std::move(s));
    }
    if (!in.at_end()) throw damaged();
    return out;
  } catch (const error& e) {
    if (e.code() == errc::malformed_record) throw damaged();
    throw;
  }
}

} // namespace dataflow
