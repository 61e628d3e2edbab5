#include <dataflow/connectors/file_parts.hpp>
#include <dataflow/record/hash.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/platform.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace dataflow::detail {

namespace {

// "Do not change".
constexpr std::string_view staging_name = ".in-progress";
constexpr std::string_view staging_suffix = ".in-progress";

constexpr std::size_t write_size = 64 * 1024; // so much text is gathered before it is written
constexpr std::int64_t least_pause = 10;      // between two looks at all buckets; milliseconds

std::string hex8(std::uint64_t value) {
  std::string out;
  for (int shift = 28; shift >= 0; shift -= 4)
    out.push_back("0123456789abcdef"[value >> shift & 15]);
  return out;
}

std::uint64_t hash_of(std::string_view text) { return hash_bytes(text.data(), text.size()); }

void check_bucket(std::string_view id) {
  bool inside = id.empty() || (id.front() != '/' && id.back() != '/' && id.front() != '.');
  for (auto rest = id; inside && !rest.empty();) {
    const auto slash = rest.find('/');
    const auto part = rest.substr(0, slash);
    inside = !part.empty() && part != "." && part != "..";
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  }
  if (!inside || id.find('\0') != std::string_view::npos)
    throw error{errc::invalid_argument, "'" + std::string{id.substr(0, 100)} + "' is no name of a bucket",
                "a bucket is a relative path that does not begin with a dot and has no empty, '.' or '..' parts"};
}

error not_there(const std::string& path, const std::string& how) {
  return {errc::corrupt_state, "the part '" + path + "' of the checkpoint " + how,
          "put it back, or give the sink another uid to start without its state"};
}

} // namespace

file_parts::file_parts(file_sink_settings settings, delivery_guarantee guarantee)
    : settings_(std::move(settings)), guarantee_(guarantee), staging_(join_path(settings_.directory, staging_name)) {}
file_parts::~file_parts() = default;

void file_parts::open(runtime_context& context, const restored_sink<file_committable, file_writer_state>& restored) {
  auto& world = context.platform();
  files_ = world.files;
  job_ = context.job_id();
  task_ = context.task_name_with_subtasks();
  subtask_ = context.subtask_index();
  parallelism_ = context.parallelism();
  wall_ = context.clock().wall().count();
  family_ = hex8(hash_combine(hash_of(job_), hash_of(context.operator_uid())));
  // Attempts are numbered from 0 again when another job manager leads, but then time has passed.
  const auto now = static_cast<std::uint64_t>(context.clock().now().count()) ^ static_cast<std::uint64_t>(wall_) << 20;
  writer_ = family_ + "-" + std::to_string(subtask_) + "-" +
            hex8(hash_combine(hash_combine(world.seed, now), std::uint64_t{context.attempt()} << 32 | subtask_));
  files_->create_directories(staging_);
  if (durable()) {
    files_->sync_directory(settings_.directory);
    try {
      files_->sync_directory(parent_directory(settings_.directory));
    } catch (const error& e) { // somebody else's, who gave us only what is below it
      if (e.code() != errc::permission_denied) throw;
    }
  }
  if (settings_.clean_up) remove_strays(restored); // before there are parts of our own
  for (auto& s : restored.own)
    restore(s);
}

void file_parts::restore(const file_writer_state& s) {
  if (files_->exists(s.to)) return files_->remove(s.from); // published meanwhile
  const auto found = files_->find(s.from);
  if (!found) {
    if (guarantee_ == delivery_guarantee::exactly_once) throw not_there(s.from, "is not there");
    return; // published or removed meanwhile: what it held behind the checkpoint comes again
  }
  if (found->size < s.size)
    throw not_there(s.from, "has " + std::to_string(found->size) + " bytes instead of " + std::to_string(s.size));
  if (s.size == 0) return files_->remove(s.from);
  if (s.closed) {
    if (found->size > s.size) files_->truncate(s.from, s.size);
    return closed_.push_back({s.bucket, s.from, s.to, s.size, {}});
  }
  auto& b = find(s.bucket);
  if (b.file) close_part(b); // of several subtasks at another parallelism: the last one goes on
  b.lock = files_->lock(s.from);
  if (b.lock) {
    if (found->size > s.size) files_->truncate(s.from, s.size);
    b.file = files_->open_write(s.from, write_mode::append);
    b.from = s.from;
    b.to = s.to;
  } else {
    go_on_with_copy(b, s);
  }
  b.size = b.part_bytes = s.size;
  b.created = s.created;
  b.written = s.written;
  b.unsynced = true;
  next_check_ = std::min(next_check_, wall_ + least_pause);
}

/// Its writer is not gone: it was given up because it stood still, and may write again before it hears of that. It
/// keeps its file, which goes when the copy is published, or when an attempt finds it unknown to its checkpoint.
void file_parts::go_on_with_copy(file_bucket& b, const file_writer_state& s) {
  log_warn({"file sink", job_, task_},
           "'" + s.from + "' still has an earlier writer: its first " + std::to_string(s.size) + " bytes are copied");
  b.file = new_file(s.bucket, b.from, b.to);
  b.lock = files_->lock(b.from);
  b.copied_from = s.from;
  copy(s.from, s.size, *b.file);
}

void file_parts::copy(const std::string& from, std::uint64_t size, writable_file& to) {
  std::string piece(std::min<std::uint64_t>(size, 1 << 20), '\0');
  const auto in = files_->open_read(from);
  for (std::uint64_t at = 0; at < size;) {
    const auto n = in->read_at(piece.data(), std::min<std::uint64_t>(piece.size(), size - at), at);
    if (n == 0) throw not_there(from, "has become shorter");
    to.append({piece.data(), n});
    at += n;
  }
}

/// What earlier attempts of this subtask have left and no checkpoint knows, and what those of subtasks have left that
/// there are no more. Other subtasks may be running: theirs are theirs.
void file_parts::remove_strays(const restored_sink<file_committable, file_writer_state>& restored) {
  std::set<std::string_view> known;
  for (auto& s : restored.all)
    known.insert(file_name(s.from));
  for (auto& c : restored.pending) {
    known.insert(file_name(c.from));
    for (auto& o : c.obsolete)
      known.insert(file_name(o));
  }
  const auto mark = "-" + family_ + "-";
  for (auto& entry : files_->list(staging_)) {
    const std::string_view name = entry.name;
    const auto at = name.rfind(mark);
    if (at == std::string_view::npos || known.contains(name)) continue;
    std::uint32_t owner = 0;
    const auto* digits = name.data() + at + mark.size();
    const auto [end, failure] = std::from_chars(digits, name.data() + name.size(), owner);
    if (failure != std::errc{} || end == name.data() + name.size() || *end != '-' || owner % parallelism_ != subtask_)
      continue;
    files_->remove(join_path(staging_, name));
  }
}

file_bucket& file_parts::find(const std::string& id) {
  auto i = buckets_.find(id);
  if (i == buckets_.end()) {
    check_bucket(id);
    i = buckets_.try_emplace(id).first;
    i->second.id = id;
  }
  last_ = &i->second;
  return *last_;
}

void file_parts::begin_part(file_bucket& b) {
  b.created = wall_;
  next_check_ =
      std::min(next_check_, wall_ + std::min(settings_.rolling.interval, settings_.rolling.inactivity).count());
}

std::unique_ptr<writable_file> file_parts::new_file(const std::string& bucket, std::string& from, std::string& to) {
  const auto name = settings_.prefix + "-" + writer_ + "-" + std::to_string(next_part_++) + settings_.suffix;
  from = join_path(staging_, name + std::string{staging_suffix});
  to = join_path(bucket.empty() ? settings_.directory : join_path(settings_.directory, bucket), name);
  names_changed_ = true;
  return files_->open_write(from, write_mode::create_new);
}

void file_parts::append(file_bucket& b, std::string_view bytes) {
  if (bytes.empty()) return;
  if (!b.file) {
    b.file = new_file(b.id, b.from, b.to);
    b.lock = files_->lock(b.from);
  }
  b.file->append(bytes);
  b.size += bytes.size();
  b.unsynced = true;
}

void file_parts::close_part(file_bucket& b) {
  if (!b.file) return;
  if (durable() && b.unsynced) b.file->sync();
  b.file->close();
  b.file.reset();
  b.lock.reset();
  closed_.push_back({b.id, std::move(b.from), std::move(b.to), std::exchange(b.size, 0), {}});
  if (!b.copied_from.empty()) closed_.back().obsolete.push_back(std::exchange(b.copied_from, {}));
  b.from.clear();
  b.to.clear();
  b.unsynced = false;
}

void file_parts::flush() {
  for (auto* b : dirty_) {
    b->dirty = false;
    std::size_t begin = 0;
    for (const auto end : b->ends) {
      append(*b, std::string_view{b->text}.substr(begin, end - begin));
      close_part(*b);
      begin = end;
    }
    b->ends.clear();
    if (b->text.size() - begin >= write_size) {
      append(*b, std::string_view{b->text}.substr(begin));
      begin = b->text.size();
    }
    b->text.erase(0, begin);
  }
  dirty_.clear();
}

/// REQUIRES: behind flush().
void file_parts::write_out(file_bucket& b) {
  append(b, b.text);
  b.text.clear();
}

/// Buckets of dates that are over must not pile up.
void file_parts::drop_empty() {
  std::erase_if(buckets_, [](auto& b) { return !b.second.file && b.second.text.empty(); });
  last_ = nullptr;
}

void file_parts::barrier() {
  flush();
  for (auto& [id, b] : buckets_) {
    write_out(b);
    if (settings_.rolling.on_checkpoint) {
      close_part(b);
      b.part_bytes = 0;
    } else if (b.file && b.unsynced) {
      b.file->sync();
      b.unsynced = false;
    }
  }
  drop_empty();
  sync_names();
  barrier_passed_ = true;
}

void file_parts::sync_names() {
  if (durable() && std::exchange(names_changed_, false)) files_->sync_directory(staging_);
}

void file_parts::finish() {
  flush();
  for (auto& [id, b] : buckets_) {
    write_out(b);
    close_part(b);
    b.part_bytes = 0;
  }
  drop_empty();
  finished_ = true;
}

std::vector<file_committable> file_parts::prepare_commit() {
  std::vector<file_committable> out;
  const bool passed = std::exchange(barrier_passed_, false);
  for (auto& c : std::exchange(closed_, {})) {
    if (c.size >= settings_.compaction.size) {
      out.push_back({std::move(c.from), std::move(c.to), c.size, std::move(c.obsolete)});
      continue;
    }
    auto& held = held_[c.bucket];
    held.bytes += c.size;
    held.parts.push_back(std::move(c));
  }
  for (auto h = held_.begin(); h != held_.end();) {
    auto& held = h->second;
    if (passed) ++held.barriers;
    const bool full = held.bytes >= settings_.compaction.size || held.barriers >= settings_.compaction.checkpoints;
    if (full || finished_) out.push_back(merged(held));
    h = full || finished_ ? held_.erase(h) : std::next(h);
  }
  if (!out.empty()) sync_names();
  return out;
}

/// The parts in one file; they stay until that is published.
file_committable file_parts::merged(const held_parts& held) {
  const auto& parts = held.parts;
  if (parts.size() == 1) return {parts[0].from, parts[0].to, parts[0].size, parts[0].obsolete};
  file_committable out;
  auto file = new_file(parts[0].bucket, out.from, out.to);
  for (auto& p : parts) {
    copy(p.from, p.size, *file);
    out.size += p.size;
    out.obsolete.push_back(p.from);
    out.obsolete.insert(out.obsolete.end(), p.obsolete.begin(), p.obsolete.end());
  }
  if (durable()) file->sync();
  file->close();
  return out;
}

std::vector<file_writer_state> file_parts::snapshot() const {
  std::vector<file_writer_state> out;
  for (auto& [id, b] : buckets_)
    if (b.file) out.push_back({id, b.from, b.to, b.size, b.created, b.written, false});
  for (auto& [id, held] : held_)
    for (auto& p : held.parts)
      out.push_back({id, p.from, p.to, p.size, 0, 0, true});
  return out;
}

std::optional<std::chrono::milliseconds> file_parts::next_wake() const noexcept {
  if (next_check_ == INT64_MAX) return {};
  return std::chrono::milliseconds{next_check_};
}

void file_parts::wake(std::int64_t wall) {
  wall_ = wall;
  if (wall < next_check_) return;
  next_check_ = INT64_MAX;
  flush();
  for (auto& [id, b] : buckets_) {
    if (b.part_bytes == 0) continue;
    const auto due =
        std::min(b.created + settings_.rolling.interval.count(), b.written + settings_.rolling.inactivity.count());
    if (due > wall) {
      next_check_ = std::min(next_check_, std::max(due, wall + least_pause));
      continue;
    }
    write_out(b);
    close_part(b);
    b.part_bytes = 0;
  }
  drop_empty();
}

void file_parts::close() noexcept {
  buckets_.clear();
  last_ = nullptr;
  dirty_.clear();
}

file_committer::file_committer(std::string directory, delivery_guarantee guarantee)
    : directory_(std::move(directory)), durable_(guarantee != delivery_guarantee::none) {}

void file_committer::open(runtime_context& context) {
  files_ = context.platform().files;
  job_ = context.job_id();
  task_ = context.task_name_with_subtasks();
}

/// A directory that somebody made before a crash may not be on the disk yet.
void file_committer::make_directory(const std::string& path) {
  if (!made_.insert(path).second) return;
  files_->create_directories(path);
  if (!durable_) return;
  for (auto p = path; p.size() > directory_.size(); p = parent_directory(p))
    files_->sync_directory(parent_directory(p));
}

void file_committer::commit(std::vector<commit_request<file_committable>>& requests) {
  std::set<std::string> changed;
  for (auto& r : requests) {
    const auto& c = r.committable();
    const auto from = files_->find(c.from);
    if (!from) { // published before; whoever reads the output may have taken it away
      if (!files_->exists(c.to))
        log_warn({"file sink", job_, task_}, "'" + c.to +
                                                 "' was published before a restart, or removed before it could be: "
                                                 "neither it nor '" +
                                                 c.from + "' is there");
      continue;
    }
    const auto to = parent_directory(c.to);
    make_directory(to);
    changed.insert(to);
    if (files_->link(c.from, c.to)) continue;
    const auto there = files_->status(c.to);
    if (there.inode != from->inode || there.device != from->device)
      throw error{errc::io_failed, "'" + c.to + "' is to be published, and another file has that name",
                  "move it away; the sink's part is '" + c.from + "'"};
  }
  if (durable_)
    for (auto& directory : changed)
      files_->sync_directory(directory);
  for (auto& r : requests) {
    files_->remove(r.committable().from);
    for (auto& o : r.committable().obsolete)
      files_->remove(o);
  }
}

} // namespace dataflow::detail
