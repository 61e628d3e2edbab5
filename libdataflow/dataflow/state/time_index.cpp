#include <dataflow/state/declared_state.hpp>
#include <dataflow/state/time_index.hpp>

#include <algorithm>
#include <tuple>

namespace dataflow {

namespace {
constexpr std::size_t batch_bytes = 1 << 20;
constexpr std::size_t usual_bytes = 128; // of an element in the cache
constexpr std::size_t most_cached = 256; // of a group
constexpr std::uint64_t sign = std::uint64_t{1} << 63;
} // namespace

std::size_t time_index::cache_for(const state_registry& states, const state_database& database) noexcept {
  const auto rows = states.place().memory_bytes;
  return (rows > 0 ? rows : database.row_memory()) / 16;
}

void time_index::put_time(timestamp t, std::string& out) {
  const auto flipped = static_cast<std::uint64_t>(t.time_since_epoch().count()) ^ sign;
  for (int shift = 56; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(flipped >> shift & 0xff));
}

timestamp time_index::time_of(std::string_view bytes) noexcept {
  std::uint64_t flipped = 0;
  for (std::size_t i = 0; i < 8; ++i)
    flipped = flipped << 8 | static_cast<unsigned char>(bytes[i]);
  return timestamp{std::chrono::milliseconds{static_cast<std::int64_t>(flipped ^ sign)}};
}

bool time_index::earlier::operator()(const head& a, const head& b) const noexcept {
  if (order == ties::by_rest) return std::tie(a.first, a.group) < std::tie(b.first, b.group);
  const auto times = a.first.compare(0, 8, b.first, 0, 8);
  return times != 0 ? times < 0 : a.group < b.group; // each group has one
}

time_index::time_index(state_database& database, const std::string& table, key_group_range groups, ties order,
                       std::size_t cache_bytes)
    : database_(database), table_(database.open_table({.name = table})), range_(groups),
      most_(std::clamp<std::size_t>(cache_bytes / groups.size() / usual_bytes, 1, most_cached)), groups_(groups.size()),
      heads_(earlier{order}) {
  bool any = false;
  database_.scan(table_, range_, [&](std::string_view, std::string_view) { return !(any = true); });
  if (!any) return;
  for (auto g = range_.first; g <= range_.last; ++g) {
    refill(g, {});
    refresh(g, {});
  }
}

std::string_view time_index::table_key(std::uint32_t key_group, std::string_view of) {
  key_.clear();
  key_.push_back(static_cast<char>(key_group >> 8));
  key_.push_back(static_cast<char>(key_group & 0xff));
  key_.append(of);
  return key_;
}

void time_index::write_batch_if_large() {
  if (database_.unwritten() >= batch_bytes) database_.write();
}

void time_index::cache(group& g, std::string_view of) {
  if (g.cached.emplace(of).second) bytes_ += of.size() + node_bytes;
}

void time_index::uncache_last(group& g) {
  const auto last = std::prev(g.cached.end());
  bytes_ -= last->size() + node_bytes;
  g.cached.erase(last);
}

void time_index::refresh(std::uint32_t key_group, const element& before) {
  const auto& g = at(key_group);
  const bool none = g.cached.empty();
  if (!none && *g.cached.begin() == before) return;
  if (!before.empty()) heads_.erase(head{before, key_group});
  if (!none) heads_.insert({*g.cached.begin(), key_group});
}

void time_index::refill(std::uint32_t key_group, std::string_view from) {
  database_.write();
  auto& g = at(key_group);
  g.complete = true;
  std::size_t n = 0;
  database_.scan_from(table_, table_key(key_group, from), key_group, [&](std::string_view key, std::string_view) {
    if (n++ == most_) return g.complete = false;
    cache(g, key.substr(2));
    return true;
  });
}

void time_index::add(std::uint32_t key_group, timestamp t, std::string_view rest) {
  element_.clear();
  put_time(t, element_);
  element_.append(rest);
  database_.put(table_, table_key(key_group, element_), {});
  auto& g = at(key_group);
  if (g.complete || element_ < *g.cached.rbegin()) {
    const auto before = g.cached.empty() ? element{} : *g.cached.begin();
    cache(g, element_);
    if (g.cached.size() > most_) {
      uncache_last(g);
      g.complete = false;
    }
    refresh(key_group, before);
  }
  write_batch_if_large();
}

void time_index::remove(std::uint32_t key_group, timestamp t, std::string_view rest) {
  element_.clear();
  put_time(t, element_);
  element_.append(rest);
  database_.remove(table_, table_key(key_group, element_));
  auto& g = at(key_group);
  if (const auto found = g.cached.find(element_); found != g.cached.end()) {
    const auto before = *g.cached.begin();
    bytes_ -= found->size() + node_bytes;
    g.cached.erase(found);
    // It was the last one that was known, and no other is before it.
    if (g.cached.empty() && !g.complete) refill(key_group, element_);
    refresh(key_group, before);
  }
  write_batch_if_large();
}

void time_index::pop_first() {
  const auto first = *heads_.begin();
  const auto time = time_of(first.first);
  remove(first.group, time, std::string_view{first.first}.substr(8));
}

std::size_t time_index::count() {
  database_.write();
  std::size_t n = 0;
  database_.scan(table_, range_, [&](std::string_view, std::string_view) { return ++n, true; });
  return n;
}

} // namespace dataflow
