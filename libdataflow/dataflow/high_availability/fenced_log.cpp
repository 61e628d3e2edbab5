#include <dataflow/checkpoint/stored_object.hpp>
#include <dataflow/high_availability/fenced_log.hpp>
#include <dataflow/util/bytes.hpp>
#include <dataflow/util/durable_directory.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/log.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace dataflow {

namespace {

// "Do not change": they stand in files and in their names.
constexpr std::string_view record_prefix = "record-";
constexpr std::string_view snapshot_prefix = "snapshot-";
constexpr std::string_view record_magic = "DFHALOG1";
constexpr std::string_view snapshot_magic = "DFHASNAP";
constexpr std::uint32_t version = 1;

std::optional<std::uint64_t> number_behind(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), value);
  if (name.empty() || failure != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return value;
}

constexpr std::string_view what_to_do =
    "put a copy of high-availability.storageDir back, or move the directory away and start the jobs from their "
    "checkpoints with -s";

byte_writer begun(std::string_view magic) {
  byte_writer out;
  out.raw(magic.data(), magic.size());
  out.fixed(version);
  return out;
}

std::string finished(byte_writer out) {
  out.fixed(stored_checksum(out.buffer()));
  return out.take();
}

/// What is between the head and the checksum.
std::string_view body_of(std::string_view bytes, std::string_view magic) {
  const auto head = magic.size() + sizeof version;
  if (bytes.size() < head + 8 || !bytes.starts_with(magic)) throw error{errc::corrupt_state, "it is not such a file"};
  const auto covered = bytes.substr(0, bytes.size() - 8);
  if (byte_reader{bytes.substr(covered.size())}.fixed<std::uint64_t>() != stored_checksum(covered))
    throw error{errc::corrupt_state, "its bytes are not what was written"};
  if (byte_reader{bytes.substr(magic.size())}.fixed<std::uint32_t>() > version)
    throw error{errc::newer_format, "it was written by a later version", "use that version"};
  return covered.substr(head);
}

/// `f` of the bytes of a file of ours; what is wrong with them names the file.
template <class F>
auto decoded(const std::string& path, F&& f) {
  try {
    return f();
  } catch (const error& e) {
    if (e.code() != errc::corrupt_state && e.code() != errc::malformed_record) throw e.within("'" + path + "'");
    throw error{errc::corrupt_state, "'" + path + "': " + e.cause(), std::string{what_to_do}};
  }
}

[[noreturn]] void fail_fenced(leader_token ours, leader_token theirs) {
  throw error{errc::stale_message,
              "the leader with token " + std::to_string(ours) + " was replaced by the one with token " +
                  std::to_string(theirs),
              "it must stop; nothing of what it asked for was stored"};
}

} // namespace

fenced_log::fenced_log(file_system& files, std::string directory, std::uint64_t compact_after)
    : files_(files), directory_(std::move(directory)), compact_after_(compact_after) {}

std::string fenced_log::encode(const record& r) {
  auto out = begun(record_magic);
  out.fixed(r.kind);
  out.varint(r.token);
  out.text(r.key);
  out.text(r.value);
  return finished(std::move(out));
}

fenced_log::record fenced_log::decode(std::string_view bytes) {
  byte_reader in{body_of(bytes, record_magic)};
  record r;
  r.kind = in.fixed<record_kind>();
  r.token = in.varint();
  r.key = in.text();
  r.value = in.text();
  if (r.kind < record_kind::leads || r.kind > record_kind::remove || !in.at_end())
    throw error{errc::corrupt_state, "it holds what no version writes"};
  return r;
}

std::string fenced_log::path_of(std::string_view prefix, std::uint64_t number) const {
  return join_path(directory_, std::string{prefix} + std::to_string(number));
}

fenced_log::listing fenced_log::list_directory() {
  listing out;
  if (!files_.exists(directory_)) return out;
  for (auto& entry : files_.list(directory_)) {
    if (const auto n = number_behind(entry.name, record_prefix)) out.records.push_back(*n);
    if (const auto n = number_behind(entry.name, snapshot_prefix)) out.snapshots.push_back(*n);
  }
  std::sort(out.records.begin(), out.records.end());
  std::sort(out.snapshots.begin(), out.snapshots.end());
  return out;
}

void fenced_log::load_snapshot(std::uint64_t number) {
  const auto path = path_of(snapshot_prefix, number);
  const auto bytes = files_.read_file(path);
  std::map<std::string, std::string> values;
  leadership last;
  decoded(path, [&] {
    byte_reader in{body_of(bytes, snapshot_magic)};
    last.token = in.varint();
    last.contender = in.text();
    last.address = in.text();
    last.resigned = in.fixed<std::uint8_t>() != 0;
    for (auto n = in.length(); n > 0; --n) {
      std::string key{in.text()};
      values.insert_or_assign(std::move(key), std::string{in.text()});
    }
    if (!in.at_end()) throw error{errc::corrupt_state, "it holds more than it should"};
  });
  values_ = std::move(values);
  leadership_ = std::move(last);
  snapshot_ = number;
  next_ = number + 1;
}

void fenced_log::apply(std::uint64_t number, const record& r) {
  switch (r.kind) {
  case record_kind::leads:
    leadership_ = {number, r.key, r.value, false};
    break;
  case record_kind::resigns:
    leadership_.resigned = true;
    break;
  case record_kind::put:
    values_.insert_or_assign(r.key, r.value);
    break;
  case record_kind::remove:
    values_.erase(r.key);
    break;
  }
  next_ = number + 1;
}

/// Records are read between two looks at the directory: one below a snapshot that came meanwhile may be a number that
/// was free again and that a fenced leader has used.
void fenced_log::refresh() {
  constexpr int looks = 16; // a list that is made while others write may miss one of them
  for (int gaps = 0;;) {
    try {
      const auto there = list_directory();
      if (!there.snapshots.empty() && there.snapshots.back() >= next_) load_snapshot(there.snapshots.back());
      std::vector<record> fresh;
      for (auto n = next_; std::binary_search(there.records.begin(), there.records.end(), n); ++n) {
        const auto path = path_of(record_prefix, n);
        const auto bytes = files_.read_file(path);
        fresh.push_back(decoded(path, [&] { return decode(bytes); }));
      }
      if (fresh.empty()) {
        if (there.records.empty() || there.records.back() < next_) return;
        if (++gaps < looks) continue;
        throw error{errc::corrupt_state, "'" + path_of(record_prefix, next_) + "' is not there, and a later one is",
                    std::string{what_to_do}};
      }
      const auto now = list_directory();
      if (!now.snapshots.empty() && now.snapshots.back() >= next_) continue;
      for (const auto& r : fresh)
        apply(next_, r);
      return;
    } catch (const error& e) {
      // A record or snapshot that was listed is gone: a newer snapshot covers it.
      if (e.code() != errc::file_not_found) throw;
    }
  }
}

/// False when the number is taken; then we know by whom. After an error nobody knows, until the next refresh().
bool fenced_log::append(const record& r) {
  make_durable_directory(files_, directory_);
  const auto number = next_;
  if (!files_.put_if_absent(path_of(record_prefix, number), encode(r))) {
    refresh();
    return false;
  }
  const auto there = list_directory();
  if (!there.snapshots.empty() && there.snapshots.back() >= number) {
    refresh();
    return false; // the number was free again: nobody will read it
  }
  apply(number, r);
  return true;
}

void fenced_log::require_leader(leader_token token) const {
  if (token == 0 || leadership_.token != token) fail_fenced(token, leadership_.token);
  if (leadership_.resigned)
    throw error{errc::stale_message, "the leader with token " + std::to_string(token) + " has resigned"};
}

void fenced_log::change(record r) {
  for (;;) {
    require_leader(r.token);
    if (append(r)) break;
    // Taken: by a record of ours whose write had failed for us, or by a later leader.
  }
  compact();
}

bool fenced_log::put_if_absent(leader_token token, const std::string& key, std::string_view value) {
  const std::lock_guard guard{mutex_};
  refresh();
  require_leader(token);
  if (values_.contains(key)) return false;
  change({record_kind::put, token, key, std::string{value}});
  return true;
}

void fenced_log::put(leader_token token, const std::string& key, std::string_view value) {
  const std::lock_guard guard{mutex_};
  refresh();
  change({record_kind::put, token, key, std::string{value}});
}

void fenced_log::remove(leader_token token, const std::string& key) {
  const std::lock_guard guard{mutex_};
  refresh();
  require_leader(token);
  if (values_.contains(key)) change({record_kind::remove, token, key, {}});
}

std::optional<std::string> fenced_log::get(const std::string& key) {
  const std::lock_guard guard{mutex_};
  refresh();
  const auto found = values_.find(key);
  if (found == values_.end()) return std::nullopt;
  return found->second;
}

std::vector<std::string> fenced_log::list(const std::string& prefix) {
  const std::lock_guard guard{mutex_};
  refresh();
  std::vector<std::string> out;
  for (auto i = values_.lower_bound(prefix); i != values_.end() && i->first.starts_with(prefix); ++i)
    out.push_back(i->first);
  return out;
}

fenced_log::leadership fenced_log::last_leadership() {
  const std::lock_guard guard{mutex_};
  refresh();
  return leadership_;
}

std::optional<leader_token> fenced_log::lead(leader_token after, const std::string& contender,
                                             const std::string& address) {
  const std::lock_guard guard{mutex_};
  refresh();
  const auto ours = [&] { return leadership_.token > after && leadership_.contender == contender; };
  while (leadership_.token == after)
    if (append({record_kind::leads, 0, contender, address})) break;
  if (!ours()) return std::nullopt;
  return leadership_.token;
}

void fenced_log::resign(leader_token token) {
  const std::lock_guard guard{mutex_};
  refresh();
  while (leadership_.token == token && !leadership_.resigned)
    append({record_kind::resigns, token, {}, {}});
}

/// What fails here fails nobody: it is tried again with the next change.
void fenced_log::compact() {
  if (next_ - 1 - snapshot_ < compact_after_) return;
  auto out = begun(snapshot_magic);
  out.varint(leadership_.token);
  out.text(leadership_.contender);
  out.text(leadership_.address);
  out.fixed(static_cast<std::uint8_t>(leadership_.resigned));
  out.varint(values_.size());
  for (const auto& [key, value] : values_) {
    out.text(key);
    out.text(value);
  }
  const auto number = next_ - 1;
  try {
    files_.put_if_absent(path_of(snapshot_prefix, number), finished(std::move(out)));
    snapshot_ = number;
    const auto there = list_directory();
    for (const auto n : there.records)
      if (n <= number) files_.remove(path_of(record_prefix, n));
    const auto kept = std::find(there.snapshots.begin(), there.snapshots.end(), number);
    if (kept != there.snapshots.end() && kept != there.snapshots.begin())
      std::for_each(there.snapshots.begin(), kept - 1, [&](auto n) { files_.remove(path_of(snapshot_prefix, n)); });
  } catch (const error& e) {
    log_warn({"high availability", {}, {}}, e.within("the log of the leader is not compacted").to_string());
  }
}

} // namespace dataflow
