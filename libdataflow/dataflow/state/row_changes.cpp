#include <dataflow/state/row_changes.hpp>

#include <algorithm>
#include <bit>

namespace dataflow {

namespace detail {

namespace {

/// Entries in an index cost memory and time, whatever is in them.
constexpr std::uint32_t most_parts_of_all = 1 << 15;

/// Whether `later` consists of `earlier` and what was added to it.
bool begins_with(const group_part* later, const group_part* earlier) noexcept {
  if (!earlier) return true;
  while (later && later->depth > earlier->depth)
    later = later->before.get();
  return later == earlier;
}

} // namespace

std::uint32_t row_changes::most_parts(std::uint32_t groups) noexcept {
  return std::clamp<std::uint32_t>(most_parts_of_all / std::max<std::uint32_t>(groups, 1), 4, 128);
}

void row_changes::open(key_group_range groups) {
  groups_ = groups;
  now_.removed.resize(groups.size());
}

void row_changes::remove(std::uint32_t key_group, std::string_view entry, std::size_t rows) {
  auto& r = now_.removed[key_group - groups_.first];
  if (r.too_many) return;
  r.entries += entry;
  if (++r.count <= rows / 4 + 1024) return;
  r.too_many = true;
  r.entries = {};
}

std::size_t row_changes::changed_segments() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(now_.changed.begin(), now_.changed.end(), [](auto bits) { return bits != 0; }));
}

void row_changes::forget() { std::fill(now_.changed.begin(), now_.changed.end(), 0); }

void row_changes::interval::add(const interval& other) {
  changed.resize(std::max(changed.size(), other.changed.size()));
  for (std::size_t i = 0; i < other.changed.size(); ++i)
    changed[i] |= other.changed[i];
  for (std::size_t g = 0; g < removed.size(); ++g) {
    auto& r = removed[g];
    r.entries += other.removed[g].entries;
    r.count += other.removed[g].count;
    r.too_many = r.too_many || other.removed[g].too_many;
  }
}

/// Whether what a group consists of in the newest complete checkpoint is there as long as any that may follow it is.
bool row_changes::is_kept_by_all(std::size_t group) const noexcept {
  const auto* parts = taken_.front().parts[group].get();
  return parts && std::all_of(taken_.begin() + 1, taken_.end(),
                              [&](auto& t) { return begins_with(t.parts[group].get(), parts); });
}

std::shared_ptr<const store_increment> row_changes::begin(std::int64_t checkpoint,
                                                          const std::function<group_rows(std::uint32_t)>& rows_of) {
  auto out = std::make_shared<store_increment>();
  const std::size_t groups = groups_.size();
  out->groups = groups_;
  out->forms.resize(groups);
  out->parts.resize(groups);
  out->removed.resize(groups);
  out->needed = now_.changed;
  // What has changed since the complete one: the one that comes behind it and so on.
  const std::size_t first = first_is_complete_ ? 1 : 0;
  for (auto i = first; i < taken_.size(); ++i)
    for (std::size_t s = 0; s < taken_[i].before.changed.size(); ++s)
      out->needed[s] |= taken_[i].before.changed[s];
  const auto most = most_parts(groups_.size());
  for (std::size_t g = 0; g < groups; ++g) {
    const auto key_group = groups_.first + static_cast<std::uint32_t>(g);
    const auto of_group = rows_of(key_group);
    std::uint64_t changed = now_.removed[g].count;
    bool too_many = now_.removed[g].too_many;
    for (auto i = first; i < taken_.size(); ++i) {
      changed += taken_[i].before.removed[g].count;
      too_many = too_many || taken_[i].before.removed[g].too_many;
    }
    for (auto s : of_group.segments)
      changed += static_cast<std::uint64_t>(std::popcount(out->needed[s]));
    const std::shared_ptr<const group_part> before = first_is_complete_ ? taken_.front().parts[g] : nullptr;
    auto& form = out->forms[g];
    if (first_is_complete_ && changed == 0 && (!before || is_kept_by_all(g))) {
      form = group_form::nothing;
      out->parts[g] = before;
      continue;
    }
    const bool whole = !first_is_complete_ || too_many || !is_kept_by_all(g) || before->depth + 1 >= most ||
                       (before->changed + changed) * 256 > std::uint64_t{of_group.rows} * share_of(key_group);
    form = whole ? group_form::whole : group_form::changes;
    if (whole && of_group.rows == 0) { // nothing to write: it is empty
      form = group_form::nothing;
      for (auto s : of_group.segments)
        out->needed[s] = 0;
      continue;
    }
    auto part = std::make_shared<group_part>();
    if (whole) {
      for (auto s : of_group.segments)
        out->needed[s] = ~std::uint64_t{0};
    } else {
      part->before = before;
      part->depth = before->depth + 1;
      part->changed = before->changed + changed;
      for (auto i = first; i < taken_.size(); ++i)
        out->removed[g] += taken_[i].before.removed[g].entries;
      out->removed[g] += now_.removed[g].entries;
    }
    out->parts[g] = std::move(part);
  }
  interval next;
  next.changed.resize(now_.changed.size());
  next.removed.resize(groups);
  taken_.push_back({checkpoint, std::exchange(now_, std::move(next)), out->parts});
  has_begun_ = true;
  return out;
}

void row_changes::completed(std::int64_t checkpoint) {
  const auto i = std::find_if(taken_.begin(), taken_.end(), [&](auto& t) { return t.checkpoint == checkpoint; });
  if (i == taken_.end()) return;
  taken_.erase(taken_.begin(), i); // earlier ones will never be complete
  taken_.front().before = {};
  first_is_complete_ = true;
}

void row_changes::aborted(std::int64_t checkpoint) {
  const auto i = std::find_if(taken_.begin(), taken_.end(), [&](auto& t) { return t.checkpoint == checkpoint; });
  if (i == taken_.end() || (i == taken_.begin() && first_is_complete_)) return;
  const auto next = i + 1;
  (next == taken_.end() ? now_ : next->before).add(i->before);
  taken_.erase(i);
}

} // namespace detail

bool state_increment::has_earlier(std::uint32_t key_group) const {
  const auto* own = store_->parts[key_group - store_->groups.first].get();
  for (auto* p = own ? own->before.get() : nullptr; p; p = p->before.get())
    if (column_ < p->pieces.size() && p->pieces[column_].object) return true;
  return false;
}

void state_increment::note(std::uint32_t key_group, stored_piece where) const {
  auto& pieces = store_->parts[key_group - store_->groups.first]->pieces;
  if (pieces.size() <= column_) pieces.resize(column_ + 1);
  pieces[column_] = std::move(where);
}

void state_increment::for_each(
    const std::function<void(std::uint32_t, detail::group_form, const stored_piece&)>& visit) const {
  std::vector<const detail::group_part*> chain;
  for (std::size_t g = 0; g < store_->parts.size(); ++g) {
    chain.clear();
    for (auto* p = store_->parts[g].get(); p; p = p->before.get())
      chain.push_back(p);
    for (auto p = chain.rbegin(); p != chain.rend(); ++p)
      if (column_ < (*p)->pieces.size() && (*p)->pieces[column_].object)
        visit(store_->groups.first + static_cast<std::uint32_t>(g),
              (*p)->before ? detail::group_form::changes : detail::group_form::whole, (*p)->pieces[column_]);
  }
}

} // namespace dataflow
