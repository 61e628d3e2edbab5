#include <dataflow/checkpoint/merged_parts.hpp>
#include <dataflow/util/error.hpp>

#include <unordered_map>
#include <utility>

namespace dataflow {

namespace {

struct hash_of_key {
  std::size_t operator()(std::string_view key) const noexcept { return stored_checksum(key); }
};

struct entry {
  std::string_view key, value;
  bool there = false;
};

entry read_entry(byte_reader& in) {
  entry e;
  e.key = in.text();
  const auto length = in.varint();
  if (length == 0) return e;
  e.there = true;
  e.value = in.raw(static_cast<std::size_t>(length - 1));
  return e;
}

void put(std::string& out, const entry& e) {
  out += e.key;
  out += e.value;
}

std::string merge(const std::vector<std::string>& parts) {
  std::string out;
  // What changes the first part, in the order in which keys are met.
  std::vector<entry> later;
  std::unordered_map<std::string_view, std::size_t, hash_of_key> by_key;
  std::size_t bytes = 0;
  for (std::size_t i = 1; i < parts.size(); ++i)
    bytes += parts[i].size();
  by_key.reserve(bytes / 32);
  for (std::size_t i = 1; i < parts.size(); ++i)
    for (byte_reader in{parts[i]}; !in.at_end();) {
      const auto e = read_entry(in);
      const auto [at, fresh] = by_key.try_emplace(e.key, later.size());
      if (fresh)
        later.push_back(e);
      else
        later[at->second] = e;
    }
  out.reserve(parts.front().size() + bytes);
  std::vector<bool> written(later.size());
  for (byte_reader in{parts.front()}; !in.at_end();) {
    const auto e = read_entry(in);
    const auto at = later.empty() ? by_key.end() : by_key.find(e.key);
    if (at == by_key.end()) {
      if (e.there) put(out, e);
      continue;
    }
    if (later[at->second].there && !written[at->second]) put(out, later[at->second]);
    written[at->second] = true;
  }
  for (std::size_t i = 0; i < later.size(); ++i)
    if (later[i].there && !written[i]) put(out, later[i]);
  return out;
}

} // namespace

std::string merged(const std::vector<std::string>& parts, std::string_view state, std::uint32_t key_group) {
  try {
    return merge(parts);
  } catch (const error& e) {
    if (e.code() != errc::malformed_record) throw;
    throw error{errc::corrupt_state,
                "entries of key group " + std::to_string(key_group) + " of state '" + std::string{state} +
                    "' do not decode",
                "restore from another checkpoint"};
  }
}

part_location location_of(const stored_piece& piece) {
  return {*std::static_pointer_cast<const object_handle>(piece.object),
          piece.offset,
          piece.stored,
          piece.size,
          piece.checksum,
          static_cast<compression>(piece.how)};
}

part_objects::part_objects(checkpoint_objects& objects, const std::string& directory, std::string_view hint,
                           compression how, std::function<void(const object_handle&)> made)
    : objects_(objects), directory_(directory), hint_(hint), how_(how), made_(std::move(made)) {}

stored_piece part_objects::add(std::string_view part) {
  if (out_ && out_->size() >= large) finish();
  if (!out_) {
    out_ = objects_.create(directory_, object_scope::shared, hint_);
    handle_ = std::make_shared<object_handle>();
  }
  stored_piece piece;
  piece.object = handle_;
  piece.size = part.size();
  piece.how = static_cast<std::uint8_t>(detail::pack(how_, part, scratch_));
  piece.offset = out_->size();
  piece.stored = part.size();
  piece.checksum = stored_checksum(part);
  out_->append(part);
  return piece;
}

void part_objects::finish() {
  if (!out_) return;
  *handle_ = out_->finish();
  out_.reset();
  made_(*handle_);
  handle_.reset();
}

compression detail::pack(compression how, std::string_view& bytes, std::string& scratch) {
  if (how == compression::none || bytes.empty() || bytes.size() > largest_compressed_input) return compression::none;
  scratch.clear();
  compress(how, bytes, scratch);
  if (scratch.size() >= bytes.size()) return compression::none; // it would only be slower to read
  bytes = scratch;
  return how;
}

} // namespace dataflow
