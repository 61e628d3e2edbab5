#include <dataflow/state/declared_state.hpp>
#include <dataflow/state/keyed_store.hpp>
#include <dataflow/state/state_change.hpp>
#include <dataflow/state/state_database.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/memory.hpp>

#include <utility>

namespace dataflow {

std::string_view to_string(state_kind kind) noexcept {
  switch (kind) {
  case state_kind::keyed:
    return "keyed";
  case state_kind::list:
    return "list";
  case state_kind::union_list:
    return "union list";
  case state_kind::broadcast:
    return "broadcast";
  }
  return "unknown";
}

namespace {
void visit_once(const stored_state& s, const std::function<void(const state_part&)>& visit) {
  if (std::exchange(s.once->visited, true))
    throw error{errc::internal, "state \"" + s.info.name + "\" is restored a second time"};
  std::size_t bytes = 0;
  for (auto& part : s.once->parts) {
    visit(part);
    bytes += part.bytes.size();
    part = {};
  }
  s.once->parts = {};
  if (bytes > std::size_t{16} << 20) give_back_free_memory();
}

void visit_parts(const stored_state& s, const std::function<void(const state_part&)>& visit,
                 void (frozen_state::*write)(state_writer&) const) {
  for (auto& part : s.parts)
    visit(part);
  if (s.once) visit_once(s, visit);
  if (!s.frozen) return;
  stored_state scratch{s.info, {}};
  state_writer out{scratch, [&](state_part&& part) { visit(part); }};
  ((*s.frozen).*write)(out);
  out.finish();
}
} // namespace

void stored_state::for_each_part(const std::function<void(const state_part&)>& visit) const {
  visit_parts(*this, visit, &frozen_state::write);
}

void stored_state::give_up_parts(const std::function<void(const state_part&)>& visit) const {
  visit_parts(*this, visit, &frozen_state::write_last);
}

void keep_once(operator_snapshot& restored) {
  for (auto& [name, state] : restored.states) {
    state.once = std::make_shared<stored_state::read_once>();
    state.once->parts = std::exchange(state.parts, {});
  }
}

byte_writer& state_writer::part(std::uint32_t key_group) {
  finish();
  into_.parts.push_back({key_group, {}});
  open_ = true;
  return bytes_;
}

void state_writer::finish() {
  if (!open_) return;
  open_ = false;
  into_.parts.back().bytes = bytes_.take();
  bytes_.clear();
  const bool empty = into_.info.kind == state_kind::keyed && into_.parts.back().bytes.empty();
  if (!empty && !take_) return;
  auto part = std::move(into_.parts.back());
  into_.parts.pop_back();
  if (!empty) take_(std::move(part));
}

state_registry::state_registry(key_group_range groups, std::uint32_t max_parallelism,
                               std::shared_ptr<const operator_snapshot> restored)
    : groups_(groups), max_parallelism_(max_parallelism), restored_(std::move(restored)) {}

void state_registry::declare(declared_state& state) {
  const auto info = state.info();
  if (!states_.emplace(info.name, &state).second)
    throw error{errc::invalid_argument, "two states of one operator have the name \"" + info.name + "\"",
                "give each state of an operator a name of its own"};
  if (!restored_) return;
  auto i = restored_->states.find(info.name);
  if (i == restored_->states.end()) return;
  const auto& stored = i->second;
  const auto change = state_change::between(stored.info, info);
  stored.for_each_part([&](const state_part& part) {
    if (info.kind != state_kind::keyed || groups_.contains(part.key_group))
      state.restore(change.is_none() ? part : change.convert(part));
  });
}

state_change state_registry::change_of(const state_info& wanted) const {
  if (!restored_) return {};
  const auto i = restored_->states.find(wanted.name);
  return i == restored_->states.end() ? state_change{} : state_change::between(i->second.info, wanted);
}

state_change state_registry::change_of(std::string_view name) const {
  const auto i = states_.find(name);
  return i == states_.end() ? state_change{} : change_of(i->second->info());
}

operator_snapshot state_registry::snapshot() const {
  operator_snapshot all;
  for (auto& [name, state] : states_) {
    auto& stored = all.states[name];
    stored.info = state->info();
    state_writer out{stored};
    state->snapshot(out);
    out.finish();
  }
  return all;
}

operator_snapshot state_registry::freeze(bool self_contained, std::optional<std::int64_t> checkpoint) {
  operator_snapshot all;
  struct at_end {
    std::vector<keyed_store*>& stores;
    ~at_end() {
      for (auto* store : stores)
        store->end_freeze();
    }
  } at_end{stores_};
  for (std::size_t i = 0; i < stores_.size(); ++i)
    if (auto files = stores_[i]->begin_freeze(place_.incremental && !self_contained, checkpoint))
      all.databases.push_back({std::to_string(i), std::move(files), {}, groups_});
  for (auto& [name, state] : states_) {
    auto& stored = all.states[name];
    stored.info = state->info();
    stored.frozen = state->freeze();
    if (stored.frozen) continue;
    state_writer out{stored};
    state->snapshot(out);
    out.finish();
  }
  return all;
}

void state_registry::checkpoint_completed(std::int64_t checkpoint) {
  for (auto* store : stores_)
    store->checkpoint_completed(checkpoint);
}

void state_registry::checkpoint_aborted(std::int64_t checkpoint) {
  for (auto* store : stores_)
    store->checkpoint_aborted(checkpoint);
}

std::vector<std::string> state_registry::unclaimed() const {
  std::vector<std::string> names;
  if (restored_)
    for (auto& [name, state] : restored_->states)
      if (!states_.contains(name)) names.push_back(name);
  return names;
}

void state_registry::set_place(state_place place) { place_ = std::move(place); }

state_registry::opened_store state_registry::add_store(keyed_store& store, const dataflow::clock& clock) {
  opened_store out;
  out.name = std::to_string(stores_.size());
  stores_.push_back(&store);
  if (restored_)
    for (auto& d : restored_->databases)
      if (d.store == out.name) out.restored.push_back(&d);
  if (!place_.databases) return out;
  const bool as_it_is = out.restored.size() == 1 && out.restored[0]->go_on;
  out.database =
      place_.databases->open(place_.directory + "/" + out.name, clock, as_it_is ? out.restored[0]->directory : "");
  if (as_it_is) {
    out.database->keep_only(groups_);
    out.restored.clear();
    out.from_files = true;
  }
  return out;
}

} // namespace dataflow
