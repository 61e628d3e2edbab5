#include <dataflow/checkpoint/checkpoint_storage.hpp>
#include <dataflow/util/durable_directory.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

namespace dataflow {

namespace {

constexpr std::string_view leader_note_prefix = "_leader-";
constexpr std::string_view published_note_prefix = "_published-";

std::string hex(std::uint64_t value, int digits) {
  std::string out;
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4)
    out.push_back("0123456789abcdef"[value >> shift & 15]);
  return out;
}

/// Bijective: names never repeat for one seed.
std::uint64_t mixed(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

/// What may stand in a name, of a text for people.
std::string tame(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 40)) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    out.push_back(fine ? c : '-');
  }
  return out;
}

std::optional<std::uint64_t> number_behind(std::string_view name, std::string_view prefix) {
  if (name.substr(0, prefix.size()) != prefix) return std::nullopt;
  name.remove_prefix(prefix.size());
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), value);
  if (name.empty() || failure != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return value;
}

std::string path_of(const std::string& directory, const object_handle& object) {
  switch (object.scope) {
  case object_scope::shared:
    return join_path(join_path(parent_directory(directory), shared_directory_name), object.name);
  case object_scope::task_owned:
    return join_path(join_path(parent_directory(directory), task_owned_directory_name), object.name);
  default:
    return join_path(directory, object.name);
  }
}

/// Grows in memory while it is small, then in a file of its own.
class file_object final : public object_writer {
public:
  file_object(file_system& files, std::string path, object_scope scope, std::uint64_t threshold)
      : files_(files), path_(std::move(path)), scope_(scope), threshold_(threshold) {
    if (threshold_ == 0) open();
  }
  ~file_object() override {
    if (finished_ || !file_) return;
    file_.reset();
    try {
      files_.remove(path_);
    } catch (...) { // nobody refers to it: the next clean-up finds it
    }
  }
  void append(std::string_view bytes) override {
    size_ += bytes.size();
    checksum_.add(bytes);
    buffer_.append(bytes);
    if (!file_ && buffer_.size() > threshold_) open();
    if (file_ && buffer_.size() >= write_size) flush();
  }
  std::uint64_t size() const noexcept override { return size_; }
  object_handle finish() override {
    if (!file_) return inlined_object(std::move(buffer_));
    flush();
    file_->sync();
    file_->close();
    files_.sync_directory(parent_directory(path_));
    finished_ = true;
    return {scope_, std::string{file_name(path_)}, size_, checksum_.value(), {}};
  }

private:
  static constexpr std::size_t write_size = 256 * 1024;
  void open() { file_ = files_.open_write(path_, write_mode::create_new); }
  void flush() {
    file_->append(buffer_);
    buffer_.clear();
  }

  file_system& files_;
  const std::string path_;
  const object_scope scope_;
  const std::uint64_t threshold_; // 0: always a file
  std::unique_ptr<writable_file> file_;
  running_checksum checksum_;
  std::string buffer_;
  std::uint64_t size_ = 0;
  bool finished_ = false;
};

[[noreturn]] void fail_taken(const std::string& directory) {
  throw error{errc::checkpoint_failed, "there is a checkpoint in '" + directory + "' already",
              "the next one has another number"};
}

/// `what` in front of "not found" and of the like.
template <class F>
auto explained(const std::string& what, F&& f) {
  try {
    return f();
  } catch (const error& e) {
    throw e.within(what);
  }
}

} // namespace

object_opener checkpoint_objects::opener(std::string directory) {
  return [this, directory = std::move(directory)](const object_handle& object) { return open(directory, object); };
}

void verify_checkpoint(checkpoint_objects& storage, const std::string& directory, const checkpoint_metadata& metadata,
                       verification how) {
  std::set<std::string> seen; // shared objects of several subtasks
  const auto check = [&](const object_handle& object) {
    if (object.scope == object_scope::shared && !seen.insert(object.name).second) return;
    const auto file = storage.open(directory, object);
    if (how == verification::objects) return;
    running_checksum sum;
    std::string piece(1 << 20, '\0');
    for (std::uint64_t at = 0; at < object.size;) {
      const auto n = file->read_at(piece.data(), piece.size(), at);
      if (n == 0) break;
      sum.add({piece.data(), n});
      at += n;
    }
    if (sum.value() != object.checksum)
      throw error{errc::corrupt_state, "the bytes of '" + object.name + "' are not what was written",
                  "restore from another checkpoint"};
  };
  for (auto& s : metadata.subtasks) {
    check(s.object);
    for (auto& o : s.shared)
      check(o);
    const subtask_state_reader reader{s.object, storage.opener(directory)};
    if (how == verification::content) reader.verify();
  }
}

std::string checkpoint_directory_of(std::string_view path) {
  if (path.substr(0, 5) == "file:") {
    path.remove_prefix(5);
    if (path.substr(0, 2) == "//") path.remove_prefix(2);
  }
  while (path.size() > 1 && path.back() == '/')
    path.remove_suffix(1);
  return file_name(path) == metadata_file_name ? parent_directory(path) : std::string{path};
}

checkpoint_metadata read_checkpoint_metadata(file_system& files, std::string_view path) {
  const auto directory = checkpoint_directory_of(path);
  const auto found = files.find(directory);
  if (!found)
    throw error{errc::file_not_found, "there is no checkpoint or savepoint '" + directory + "'",
                "name the directory that holds its _metadata"};
  if (found->kind != file_kind::directory)
    throw error{errc::invalid_argument, "'" + directory + "' is not a checkpoint or savepoint",
                "name the directory that holds its _metadata"};
  const auto file = join_path(directory, metadata_file_name);
  if (!files.exists(file)) {
    const bool empty = files.list(directory).empty();
    throw error{errc::file_not_found,
                "'" + directory +
                    "' holds no complete checkpoint or savepoint: " + (empty ? "it is empty" : "it has no _metadata"),
                empty ? "name the directory that holds a _metadata"
                      : "it was never completed or is half deleted: use another one"};
  }
  return explained("'" + directory + "'", [&] { return decode_checkpoint_metadata(files.read_file(file)); });
}

file_checkpoint_storage::file_checkpoint_storage(file_system& files, std::string_view root, std::string_view job_id,
                                                 std::uint64_t seed, std::uint64_t inline_threshold,
                                                 file_system* outside, takeover right)
    : files_(files), outside_(outside ? *outside : files), directory_(join_path(checkpoint_directory_of(root), job_id)),
      seed_(seed), inline_threshold_(inline_threshold), right_(right) {}
file_checkpoint_storage::~file_checkpoint_storage() = default;

file_system& file_checkpoint_storage::files_of(const std::string& directory) const {
  return parent_directory(directory) == directory_ ? files_ : outside_;
}

checkpoint_metadata file_checkpoint_storage::read(const std::string& path) {
  return read_checkpoint_metadata(files_of(checkpoint_directory_of(path)), path);
}

std::unique_ptr<object_writer> file_checkpoint_storage::create(const std::string& directory, object_scope scope,
                                                               std::string_view hint) {
  if (scope == object_scope::inlined)
    throw error{errc::internal, "an object cannot be made in the metadata: make an exclusive one that stays small"};
  object_handle handle;
  handle.scope = scope;
  const auto number = mixed(seed_ + 0x9E3779B97F4A7C15ull * ++next_name_);
  handle.name = tame(hint) + "-" + hex(mixed(seed_), 16) + hex(number, 16);
  return std::make_unique<file_object>(files_of(directory), path_of(directory, handle), scope,
                                       scope == object_scope::exclusive ? inline_threshold_ : 0);
}

std::unique_ptr<readable_file> file_checkpoint_storage::open(const std::string& directory,
                                                             const object_handle& object) {
  if (object.scope == object_scope::inlined) return open_inlined(object);
  const auto path = path_of(directory, object);
  std::unique_ptr<readable_file> file;
  try {
    file = files_of(directory).open_read(path);
  } catch (const error& e) {
    if (e.code() != errc::file_not_found) throw;
    throw error{errc::corrupt_state, "the object '" + path + "' of the checkpoint is not there",
                "restore from another checkpoint"};
  }
  const auto size = file->size();
  if (size != object.size)
    throw error{errc::corrupt_state,
                "'" + path + "' has " + std::to_string(size) + " bytes instead of " + std::to_string(object.size),
                "restore from another checkpoint"};
  return file;
}

void file_checkpoint_storage::remove(const std::string& directory, const object_handle& object) {
  if (object.scope == object_scope::shared && parent_directory(directory) == directory_) must_lead();
  if (object.scope == object_scope::exclusive || object.scope == object_scope::shared)
    files_of(directory).remove(path_of(directory, object));
}

std::vector<file_checkpoint_storage::leader_note> file_checkpoint_storage::leaders() {
  std::vector<leader_note> notes;
  for (auto& entry : files_.list(directory_))
    if (auto token = number_behind(entry.name, leader_note_prefix)) {
      const auto bytes = files_.read_file(join_path(directory_, entry.name));
      byte_reader in{bytes};
      leader_note note;
      note.token = *token;
      if (in.remaining() == 8) note.after = in.fixed<std::uint64_t>();
      notes.push_back(note);
    }
  return notes;
}

bool file_checkpoint_storage::is_stale(const stored_checkpoint& c, const std::vector<leader_note>& notes) {
  if (!c.published) return false;
  std::uint64_t token = 0;
  try {
    token = read_checkpoint_metadata(files_, c.directory).leader;
  } catch (const error&) {
    return false; // whoever restores from it will say what is wrong with it
  }
  return std::any_of(notes.begin(), notes.end(), [&](auto& note) { return note.token > token && c.id > note.after; });
}

bool file_checkpoint_storage::lock_directory() {
  const std::lock_guard guard{mutex_};
  if (!lock_ && !released_) lock_ = files_.lock(join_path(directory_, storage_lock_name));
  return lock_ != nullptr;
}

std::vector<stored_checkpoint> file_checkpoint_storage::take_over(std::uint64_t token) {
  bool locked = false;
  explained("cannot use the checkpoint directory '" + directory_ + "'", [&] {
    for (auto name : {shared_directory_name, task_owned_directory_name})
      make_durable_directory(files_, join_path(directory_, name));
    {
      const std::lock_guard guard{mutex_};
      released_ = false; // a job whose end was not heard of ends once more
    }
    locked = lock_directory();
  });
  const auto notes = leaders();
  // A process that is stopped keeps the lock, maybe before it has left a note. Its leader was replaced: it may change
  // nothing here any more.
  if (!locked && right_ != takeover::by_token)
    throw error{errc::storage_locked, "another job works in the checkpoint directory '" + directory_ + "'",
                "stop it, or give this job another execution.checkpointing.dir"};
  for (auto& note : notes)
    if (note.token > token)
      throw error{errc::stale_message,
                  "a leader with token " + std::to_string(note.token) + " has taken over the checkpoint directory '" +
                      directory_ + "'",
                  "this one, with token " + std::to_string(token) + ", must not go on"};
  auto there = list();
  std::erase_if(there, [&](auto& c) { return is_stale(c, notes); });
  byte_writer note;
  std::uint64_t after = 0;
  for (auto& c : there)
    if (c.published) after = std::max(after, c.id);
  note.fixed(after);
  const bool known = std::any_of(notes.begin(), notes.end(), [&](auto& n) { return n.token == token; });
  if (!known)
    files_.put_if_absent(join_path(directory_, std::string{leader_note_prefix} + std::to_string(token)), note.buffer());
  token_ = token;
  return there;
}

void file_checkpoint_storage::must_lead() {
  if (token_ == 0 || !files_.exists(directory_)) return;
  for (auto& entry : files_.list(directory_))
    if (number_behind(entry.name, leader_note_prefix).value_or(0) > token_)
      throw error{errc::stale_message, "a later leader has taken over the checkpoint directory '" + directory_ + "'",
                  "this one changes nothing there any more"};
  lock_directory(); // of a leader that has ended by now
}

std::string file_checkpoint_storage::begin(std::uint64_t id) {
  must_lead();
  auto path = join_path(directory_, std::string{checkpoint_directory_prefix} + std::to_string(id));
  files_.create_directories(path);
  if (files_.exists(join_path(path, metadata_file_name))) fail_taken(path);
  for (auto& left_over : files_.list(path))
    files_.remove_all(join_path(path, left_over.name));
  return path;
}

std::string file_checkpoint_storage::begin_savepoint(const std::string& parent, std::string_view job_id,
                                                     std::uint64_t random) {
  const auto path = join_path(checkpoint_directory_of(parent), std::string{savepoint_directory_prefix} +
                                                                   tame(job_id.substr(0, 6)) + "-" + hex(random, 12));
  make_durable_directory(outside_, path);
  if (!outside_.list(path).empty())
    throw error{errc::invalid_argument, "the savepoint directory '" + path + "' is not empty", "try again"};
  return path;
}

void file_checkpoint_storage::publish(const std::string& directory, const checkpoint_metadata& metadata) {
  if (parent_directory(directory) == directory_)
    for (auto& note : leaders())
      if (note.token > metadata.leader)
        throw error{errc::stale_message, "a later leader has taken over the checkpoint directory '" + directory_ + "'",
                    "what this one still publishes does not count"};
  auto& files = files_of(directory);
  if (!files.put_if_absent(join_path(directory, metadata_file_name), encode(metadata))) fail_taken(directory);
  files.sync_directory(parent_directory(directory));
}

void file_checkpoint_storage::remove_checkpoint(const std::string& directory) {
  if (parent_directory(directory) == directory_) must_lead();
  auto& files = files_of(directory);
  files.remove(join_path(directory, metadata_file_name));
  files.remove_all(directory);
}

void file_checkpoint_storage::discard(const std::string& directory, std::uint64_t leader) {
  const auto metadata = join_path(directory, metadata_file_name);
  auto& files = files_of(directory);
  if (files.exists(metadata)) {
    try {
      if (decode_checkpoint_metadata(files.read_file(metadata)).leader != leader) return;
    } catch (const error& e) {
      if (e.code() != errc::corrupt_state && e.code() != errc::newer_format) throw;
      return; // not ours: what we publish is whole
    }
  }
  remove_checkpoint(directory);
}

void file_checkpoint_storage::release() {
  must_lead();
  // A task that has been told to end may still write: what comes in between makes the directory one that is not empty.
  for (int attempts = 3; list().empty(); --attempts) {
    try {
      files_.remove_all(directory_);
      break;
    } catch (const error& e) {
      if (e.code() != errc::io_failed || attempts == 1) throw;
    }
  }
  const std::lock_guard guard{mutex_};
  lock_.reset();
  released_ = true;
}

std::vector<stored_checkpoint> file_checkpoint_storage::list() {
  if (!files_.exists(directory_)) return {};
  std::vector<stored_checkpoint> out;
  for (auto& entry : files_.list(directory_))
    if (auto id = number_behind(entry.name, checkpoint_directory_prefix);
        id && entry.status.kind == file_kind::directory) {
      auto path = join_path(directory_, entry.name);
      const bool published = files_.exists(join_path(path, metadata_file_name));
      out.push_back({*id, std::move(path), published});
    }
  std::sort(out.begin(), out.end(), [](auto& a, auto& b) { return a.id > b.id; });
  return out;
}

void file_checkpoint_storage::note_published(const published_output& published) {
  must_lead();
  const auto name = std::string{published_note_prefix} + std::to_string(published.checkpoint);
  files_.put_if_absent(join_path(directory_, name), encode(published)); // the one of a number is always the same
  for (auto& entry : files_.list(directory_))
    if (const auto n = number_behind(entry.name, published_note_prefix); n && *n < published.checkpoint)
      files_.remove(join_path(directory_, entry.name));
}

published_output file_checkpoint_storage::published() {
  std::uint64_t highest = 0;
  for (auto& entry : files_.list(directory_))
    highest = std::max(highest, number_behind(entry.name, published_note_prefix).value_or(0));
  if (highest == 0) return {};
  const auto path = join_path(directory_, std::string{published_note_prefix} + std::to_string(highest));
  try {
    return decode_published_output(files_.read_file(path));
  } catch (const error& e) {
    if (e.code() != errc::corrupt_state && e.code() != errc::io_failed) throw;
    return {highest, {}};
  }
}

std::vector<std::string> file_checkpoint_storage::shared_objects() {
  std::vector<std::string> names;
  for (auto& entry : files_.list(join_path(directory_, shared_directory_name)))
    names.push_back(entry.name);
  return names;
}

void file_checkpoint_storage::remove_shared(const std::string& name) {
  must_lead();
  files_.remove(join_path(join_path(directory_, shared_directory_name), name));
}

} // namespace dataflow
