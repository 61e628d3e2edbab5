#include <dataflow/checkpoint/stored_object.hpp>
#include <dataflow/high_availability/ha_store.hpp>
#include <dataflow/util/bytes.hpp>
#include <dataflow/util/durable_directory.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

namespace dataflow {

namespace {

// "Do not change": they are stored.
constexpr std::string_view jobs_prefix = "jobs/";
constexpr std::string_view graph_suffix = "/graph";
constexpr std::string_view checkpoints_part = "/checkpoints/";
constexpr std::string_view results_prefix = "results/";
constexpr std::string_view artifacts_prefix = "artifacts/";
enum class stored_as : std::uint8_t { bytes = 0, file = 1 };

std::string key_of(std::string_view prefix, std::string_view name, std::string_view suffix = {}) {
  return std::string{prefix}.append(name).append(suffix);
}

std::string hex(std::uint64_t value) {
  std::string out;
  for (int shift = 60; shift >= 0; shift -= 4)
    out.push_back("0123456789abcdef"[value >> shift & 15]);
  return out;
}

struct file_pointer {
  std::string name;
  std::uint64_t size = 0, checksum = 0;
};

std::string encode(const file_pointer& f) {
  byte_writer out;
  out.fixed(stored_as::file);
  out.text(f.name);
  out.varint(f.size);
  out.fixed(f.checksum);
  return out.take();
}

std::optional<file_pointer> pointer_in(std::string_view value) {
  byte_reader in{value};
  if (in.fixed<stored_as>() != stored_as::file) return std::nullopt;
  file_pointer f;
  f.name = in.text();
  f.size = in.varint();
  f.checksum = in.fixed<std::uint64_t>();
  return f;
}

} // namespace

ha_store::ha_store(std::shared_ptr<fenced_store> values, file_system& files, std::string files_directory,
                   std::size_t inline_limit)
    : values_(std::move(values)), files_(files), directory_(std::move(files_directory)), inline_limit_(inline_limit) {}

/// A file has the token in its name: it belongs to one leadership, and clean() of a later one may remove it.
bool ha_store::put(leader_token token, const std::string& key, std::string_view bytes, bool replace,
                   std::size_t limit) {
  std::string value;
  const auto before = values_->get(key);
  if (before && !replace) return values_->put_if_absent(token, key, *before); // false, unless we are fenced
  if (bytes.size() <= limit) {
    value.push_back(static_cast<char>(stored_as::bytes));
    value.append(bytes);
  } else {
    const auto sum = stored_checksum(bytes);
    const file_pointer f{std::to_string(token) + "-" + hex(stored_checksum(key)) + "-" + hex(sum), bytes.size(), sum};
    make_durable_directory(files_, directory_);
    files_.put_if_absent(join_path(directory_, f.name), bytes); // one of the same name has the same bytes
    value = encode(f);
  }
  if (!replace) return values_->put_if_absent(token, key, value);
  values_->put(token, key, value);
  if (before && *before != value)
    if (const auto f = pointer_in(*before)) files_.remove(join_path(directory_, f->name));
  return true;
}

std::optional<std::string> ha_store::get(const std::string& key) {
  const auto value = values_->get(key);
  if (!value) return std::nullopt;
  const auto f = pointer_in(*value);
  if (!f) return value->substr(1);
  const auto path = join_path(directory_, f->name);
  auto bytes = files_.read_file(path);
  if (bytes.size() != f->size || stored_checksum(bytes) != f->checksum)
    throw error{errc::corrupt_state, "the bytes of '" + path + "' are not what was written for " + key,
                "put a copy of high-availability.storageDir back, or submit the job again with -s"};
  return bytes;
}

void ha_store::remove(leader_token token, const std::string& key) {
  const auto value = values_->get(key);
  values_->remove(token, key);
  if (!value) return;
  if (const auto f = pointer_in(*value)) files_.remove(join_path(directory_, f->name));
}

std::vector<std::string> ha_store::names(const std::string& prefix, std::string_view suffix) {
  std::vector<std::string> out;
  for (const auto& key : values_->list(prefix))
    if (key.ends_with(suffix)) out.push_back(key.substr(prefix.size(), key.size() - prefix.size() - suffix.size()));
  return out;
}

bool ha_store::put_job(leader_token token, const std::string& job, std::string_view submission) {
  return put(token, key_of(jobs_prefix, job, graph_suffix), submission, false, inline_limit_);
}

void ha_store::update_job(leader_token token, const std::string& job, std::string_view submission) {
  put(token, key_of(jobs_prefix, job, graph_suffix), submission, true, inline_limit_);
}

std::optional<std::string> ha_store::job(const std::string& job) { return get(key_of(jobs_prefix, job, graph_suffix)); }

std::vector<std::string> ha_store::jobs() { return names(std::string{jobs_prefix}, graph_suffix); }

/// The graph goes first: without it the job is not recovered, and the rest is garbage that nobody reads.
void ha_store::remove_job(leader_token token, const std::string& job) {
  remove(token, key_of(jobs_prefix, job, graph_suffix));
  for (const auto& key : values_->list(key_of(jobs_prefix, job, "/")))
    remove(token, key);
}

void ha_store::add_checkpoint(leader_token token, const std::string& job, const checkpoint_pointer& checkpoint) {
  const auto key = key_of(jobs_prefix, job, checkpoints_part) + std::to_string(checkpoint.id);
  put(token, key, checkpoint.path, true, inline_limit_);
}

void ha_store::remove_checkpoint(leader_token token, const std::string& job, std::uint64_t id) {
  remove(token, key_of(jobs_prefix, job, checkpoints_part) + std::to_string(id));
}

std::vector<checkpoint_pointer> ha_store::checkpoints(const std::string& job) {
  const auto prefix = key_of(jobs_prefix, job, checkpoints_part);
  std::vector<checkpoint_pointer> out;
  for (const auto& name : names(prefix, {})) {
    checkpoint_pointer c;
    const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), c.id);
    if (failure != std::errc{} || end != name.data() + name.size())
      throw error{errc::corrupt_state, "the store holds '" + prefix + name + "', which is no checkpoint"};
    if (auto path = get(prefix + name)) { // not removed meanwhile
      c.path = std::move(*path);
      out.push_back(std::move(c));
    }
  }
  std::sort(out.begin(), out.end(), [](auto& a, auto& b) { return a.id > b.id; });
  return out;
}

void ha_store::put_result(leader_token token, const std::string& job, std::string_view result) {
  put(token, key_of(results_prefix, job), result, true, inline_limit_);
}

std::optional<std::string> ha_store::result(const std::string& job) { return get(key_of(results_prefix, job)); }

std::vector<std::string> ha_store::results() { return names(std::string{results_prefix}, {}); }

void ha_store::remove_result(leader_token token, const std::string& job) { remove(token, key_of(results_prefix, job)); }

bool ha_store::put_artifact(leader_token token, const std::string& hash, std::string_view bytes) {
  return put(token, key_of(artifacts_prefix, hash), bytes, false, 0);
}

std::optional<std::string> ha_store::artifact(const std::string& hash) { return get(key_of(artifacts_prefix, hash)); }

std::vector<std::string> ha_store::artifacts() { return names(std::string{artifacts_prefix}, {}); }

void ha_store::remove_artifact(leader_token token, const std::string& hash) {
  remove(token, key_of(artifacts_prefix, hash));
}

void ha_store::clean(leader_token token) {
  if (!files_.exists(directory_)) return;
  std::set<std::string> wanted;
  for (const auto& key : values_->list({}))
    if (const auto value = values_->get(key))
      if (const auto f = pointer_in(*value)) wanted.insert(f->name);
  for (const auto& entry : files_.list(directory_)) {
    std::uint64_t of = 0;
    const auto [end, failure] = std::from_chars(entry.name.data(), entry.name.data() + entry.name.size(), of);
    const bool ours = failure == std::errc{} && *end == '-';
    const bool half_written = entry.name.starts_with(".put-"); // by file_system::put_if_absent
    if (half_written || (ours && of < token && !wanted.contains(entry.name)))
      files_.remove(join_path(directory_, entry.name));
  }
}

} // namespace dataflow
