#include <dataflow/checkpoint/completed_checkpoint_store.hpp>

#include <algorithm>
#include <set>
#include <utility>

namespace dataflow {

namespace {

/// Damage that lets an older checkpoint be used; everything else is for people to mend.
bool is_damage(const error& e) {
  return e.code() == errc::corrupt_state || e.code() == errc::file_not_found || e.code() == errc::io_failed;
}

std::set<std::string> shared_names(const checkpoint_metadata& metadata) {
  std::set<std::string> names;
  for (auto& s : metadata.subtasks) {
    if (s.object.scope == object_scope::shared) names.insert(s.object.name);
    for (auto& o : s.shared)
      if (o.scope == object_scope::shared) names.insert(o.name);
  }
  return names;
}

} // namespace

bool removes_checkpoints(externalized_retention retention, job_end end) noexcept {
  switch (end) {
  case job_end::finished:
    return true;
  case job_end::failed:
    return retention == externalized_retention::no_externalized_checkpoints;
  case job_end::canceled:
    return retention != externalized_retention::retain_on_cancellation;
  case job_end::suspended:
    return false;
  }
  return false;
}

template <class F>
bool completed_checkpoint_store::try_to(F&& f) {
  try {
    f();
    return true;
  } catch (const error&) { // it is tried again; nothing depends on it
    return false;
  }
}

completed_checkpoint_store::completed_checkpoint_store(checkpoint_storage& storage, std::uint32_t num_retained)
    : storage_(storage), num_retained_(std::max<std::uint32_t>(num_retained, 1)) {}

void completed_checkpoint_store::hold(const checkpoint_metadata& metadata) {
  for (auto& name : shared_names(metadata))
    ++references_[name];
}

std::uint32_t completed_checkpoint_store::references(const std::string& shared_object) const {
  auto i = references_.find(shared_object);
  return i == references_.end() ? 0 : i->second;
}

std::optional<completed_checkpoint> completed_checkpoint_store::latest() const {
  if (retained_.empty()) return std::nullopt;
  return retained_.back();
}

completed_checkpoint_store::recovery completed_checkpoint_store::recover(std::uint64_t token, verification how) {
  recovery out;
  retained_.clear();
  rejected_.clear();
  damaged_.clear();
  references_.clear();
  const auto valid = storage_.take_over(token);
  for (auto& c : valid) { // the newest first
    if (!c.published) continue;
    try {
      auto metadata = std::make_shared<const checkpoint_metadata>(storage_.read(c.directory));
      if (metadata->id != c.id)
        throw error{errc::corrupt_state,
                    "'" + c.directory + "' holds the metadata of checkpoint " + std::to_string(metadata->id),
                    "restore from another checkpoint"};
      // Older ones are looked at when they are needed.
      if (retained_.empty()) verify_checkpoint(storage_, c.directory, *metadata, how);
      hold(*metadata);
      retained_.push_back({c.id, c.directory, std::move(metadata)});
    } catch (const error& e) {
      if (!is_damage(e)) throw;
      rejected_.push_back({c.id, c.directory, e});
      if (retained_.empty()) out.skipped.push_back(rejected_.back());
    }
  }
  std::reverse(retained_.begin(), retained_.end());

  // What nothing refers to: attempts that were never published, checkpoints of leaders that had been replaced, shared
  // objects. As long as a checkpoint is damaged, nobody knows which shared objects it names: they stay.
  for (auto& c : storage_.list()) {
    out.next_id = std::max(out.next_id, c.id + 1);
    const bool is_valid = std::any_of(valid.begin(), valid.end(), [&](auto& v) { return v.id == c.id && v.published; });
    if (!is_valid && try_to([&] { storage_.remove_checkpoint(c.directory); })) out.removed.push_back(c.directory);
  }
  if (rejected_.empty())
    for (auto& name : storage_.shared_objects())
      if (references(name) == 0 && try_to([&] { storage_.remove_shared(name); })) out.removed.push_back(name);
  out.latest = latest();
  return out;
}

void completed_checkpoint_store::retry() {
  auto before = std::exchange(left_over_, {});
  for (auto& l : before) {
    if (!l.shared.empty() && references(l.shared) > 0) continue; // it is needed again
    const bool gone = try_to([&] {
      if (l.shared.empty())
        storage_.remove_checkpoint(l.directory);
      else
        storage_.remove_shared(l.shared);
    });
    if (!gone) left_over_.push_back(std::move(l));
  }
}

void completed_checkpoint_store::remove(const completed_checkpoint& c) {
  // The metadata goes first: a checkpoint that is half removed is none.
  if (!try_to([&] { storage_.remove_checkpoint(c.directory); })) left_over_.push_back({c.directory, {}});
  release(*c.metadata);
}

void completed_checkpoint_store::release(const checkpoint_metadata& metadata) {
  for (auto& name : shared_names(metadata)) {
    auto i = references_.find(name);
    if (i == references_.end() || --i->second > 0) continue;
    references_.erase(i);
    if (!try_to([&] { storage_.remove_shared(name); })) left_over_.push_back({{}, name});
  }
}

void completed_checkpoint_store::remove(const skipped_checkpoint& c) {
  if (!try_to([&] { storage_.remove_checkpoint(c.directory); })) left_over_.push_back({c.directory, {}});
  if (const auto known = damaged_.find(c.id); known != damaged_.end()) {
    release(*known->second);
    damaged_.erase(known);
  }
}

void completed_checkpoint_store::claim(completed_checkpoint c) {
  claimed_ = std::move(c);
  if (retained_.size() >= num_retained_) remove_claimed();
}

void completed_checkpoint_store::remove_claimed() {
  const auto c = std::move(*claimed_);
  claimed_.reset();
  if (!try_to([&] { storage_.remove_checkpoint(c.directory); })) left_over_.push_back({c.directory, {}});
  for (auto& s : c.metadata->subtasks)
    for (auto& o : s.shared)
      if (o.scope == object_scope::shared) try_to([&] { storage_.remove(c.directory, o); });
}

void completed_checkpoint_store::add(std::uint64_t id, const std::string& directory, checkpoint_metadata metadata) {
  retry();
  hold(metadata);
  completed_checkpoint c{id, directory, std::make_shared<const checkpoint_metadata>(std::move(metadata))};
  const auto at = std::upper_bound(retained_.begin(), retained_.end(), id, [](auto a, auto& b) { return a < b.id; });
  retained_.insert(at, std::move(c));
  while (retained_.size() > num_retained_) {
    const auto oldest = std::move(retained_.front());
    retained_.erase(retained_.begin());
    remove(oldest);
  }
  if (claimed_ && retained_.size() >= num_retained_) remove_claimed();
  // A damaged one is kept for people to look at until there are enough newer ones.
  if (retained_.size() < num_retained_) return;
  std::erase_if(rejected_, [&](auto& r) {
    if (r.id > retained_.front().id) return false;
    remove(r);
    return true;
  });
}

void completed_checkpoint_store::reject(std::uint64_t id, const error& why) {
  auto i = std::find_if(retained_.begin(), retained_.end(), [&](auto& c) { return c.id == id; });
  if (i == retained_.end()) return;
  rejected_.push_back({i->id, i->directory, why});
  damaged_[i->id] = i->metadata;
  retained_.erase(i);
}

void completed_checkpoint_store::discard(const checkpoint_actions::discard& what, std::uint64_t leader) {
  for (auto& object : what.objects) {
    if (object.scope == object_scope::shared && references(object.name) > 0) continue;
    if (!try_to([&] { storage_.remove(what.options.directory, object); }) && object.scope == object_scope::shared)
      left_over_.push_back({{}, object.name});
  }
  if (what.directory) try_to([&] { storage_.discard(what.options.directory, leader); });
}

void completed_checkpoint_store::shut_down(job_end end, externalized_retention retention) {
  retry();
  if (removes_checkpoints(retention, end)) {
    for (auto& c : std::exchange(retained_, {}))
      remove(c);
    for (auto& r : std::exchange(rejected_, {}))
      remove(r);
    if (claimed_) remove_claimed();
  }
  storage_.release();
}

} // namespace dataflow
