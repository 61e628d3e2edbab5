#include <dataflow/checkpoint/state_assignment.hpp>
#include <dataflow/record/hash.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <set>
#include <tuple>

namespace dataflow {

namespace {

std::string named(std::string_view name, std::string_view uid) {
  return "operator '" + std::string{name} + "' (uid '" + std::string{uid} + "')";
}

key_group_range common(key_group_range a, key_group_range b) {
  return {std::max(a.first, b.first), std::min(a.last, b.last)};
}
bool is_empty(key_group_range r) { return r.last < r.first; }

bool has_keyed_state(const operator_metadata& op) {
  for (auto& p : op.parts)
    for (auto& s : p.states)
      if (s.info.kind == state_kind::keyed) return true;
  return false;
}

/// An edge with records under way, from where they were stored: uid, sent or received, uid at the other end, number.
using stored_edge = std::tuple<std::string, bool, std::string, std::uint32_t>;

bool has_in_flight(const operator_part& part, const stored_edge& edge) {
  auto& [owner, sent, peer, number] = edge;
  for (auto& f : part.in_flight)
    if (f.sent == sent && f.edge == number && f.peer == peer) return true;
  return false;
}

void check_schema(const operator_metadata& owner, const stored_edge& edge, const std::string& schema) {
  auto& [uid, sent, peer, number] = edge;
  for (auto& part : owner.parts)
    for (auto& f : part.in_flight)
      if (f.sent == sent && f.edge == number && f.peer == peer && f.schema != schema)
        throw error{errc::incompatible_state,
                    "records of type '" + f.schema + "' were under way " + (sent ? "behind " : "before ") +
                        named(owner.name, owner.uid) +
                        " when the unaligned checkpoint was made, and now they are of '" + schema + "'",
                    "restore with the job that made it, take a savepoint, and restore the changed job from that"};
}

/// Builds the shares of one operator's new subtasks.
class share_builder {
public:
  share_builder(const checkpoint_metadata& metadata, const operator_metadata& stored, const restore_target& target,
                const std::string& directory)
      : metadata_(metadata), stored_(stored), target_(target), shares_(target.parallelism) {
    for (auto& s : shares_) {
      s.uid = target.uid;
      s.checkpoint = metadata.id;
      s.directory = directory;
    }
  }

  std::vector<operator_restore> take() { return std::move(shares_); }
  bool same_parallelism() const { return stored_.parallelism == target_.parallelism; }

  void states() {
    std::map<std::string, state_info> infos; // in the order of their names
    for (auto& p : stored_.parts)
      for (auto& s : p.states)
        infos.emplace(s.info.name, s.info);
    for (auto& [name, info] : infos) {
      for (auto& share : shares_)
        share.states.push_back(info);
      switch (info.kind) {
      case state_kind::keyed:
        keyed(name);
        break;
      case state_kind::list:
        list(name);
        break;
      case state_kind::union_list:
        for (std::uint32_t t = 0; t < target_.parallelism; ++t)
          for (auto& [subtask, count] : holders(name))
            items(t, subtask, name, 0, count);
        break;
      case state_kind::broadcast:
        broadcast(name);
        break;
      }
    }
  }

  void splits_and_ends() {
    for (std::uint32_t t = 0; t < target_.parallelism; ++t) {
      shares_[t].finished = stored_.finished() || (same_parallelism() && stored_.parts[t].finished);
      if (same_parallelism()) shares_[t].splits = stored_.parts[t].splits;
    }
  }

  /// Records under way, stored by `owner` for that edge, that go into our edge number `input`.
  void in_flight(const operator_metadata& owner, const stored_edge& edge, std::uint32_t input, in_flight_route route) {
    const bool sent = std::get<1>(edge);
    for (std::uint32_t old = 0; old < owner.parallelism; ++old) {
      auto& part = owner.parts[old];
      if (!part.subtask || !has_in_flight(part, edge)) continue;
      for (std::uint32_t t = 0; t < target_.parallelism; ++t) {
        operator_restore::in_flight_share s;
        std::tie(s.owner, s.sent, s.peer, s.edge) = edge;
        s.input_edge = input;
        if (route == in_flight_route::by_key_group) {
          const auto mine = range_of(t, target_.parallelism, target_.max_parallelism);
          // What was received lies in the old subtask's range; what was sent may be for anybody.
          if (!sent && is_empty(common(mine, range_of(old, owner.parallelism, owner.max_parallelism)))) continue;
          s.key_groups = mine;
          add(t, *part.subtask, s);
        } else if (!sent) {
          if (old % target_.parallelism == t) add(t, *part.subtask, s);
        } else {
          for (auto channel = t; channel < stored_.parallelism; channel += target_.parallelism) {
            s.channel = channel;
            add(t, *part.subtask, s);
          }
        }
      }
    }
  }

  /// Files of a backend hold keys of the whole range that their subtask had.
  void backend_files() {
    for (std::uint32_t t = 0; t < target_.parallelism; ++t) {
      const auto mine = range_of(t, target_.parallelism, target_.max_parallelism);
      for (std::uint32_t old = 0; old < stored_.parallelism; ++old) {
        const auto both = common(mine, range_of(old, stored_.parallelism, stored_.max_parallelism));
        if (!is_empty(both) && stored_.parts[old].subtask)
          shares_[t].files.emplace_back(object(t, *stored_.parts[old].subtask), both);
      }
    }
  }

private:
  /// Old subtasks that have a state, with the number of its items.
  std::vector<std::pair<std::uint32_t, std::uint64_t>> holders(const std::string& state) const {
    std::vector<std::pair<std::uint32_t, std::uint64_t>> out;
    for (std::uint32_t old = 0; old < stored_.parallelism; ++old)
      for (auto& s : stored_.parts[old].states)
        if (s.info.name == state && s.parts > 0) out.emplace_back(old, s.parts);
    return out;
  }

  std::uint32_t object(std::uint32_t t, std::uint32_t number) {
    auto& objects = shares_[t].objects;
    const auto& handle = metadata_.subtasks[number].object;
    const auto [i, fresh] = numbers_.emplace(std::pair{t, number}, static_cast<std::uint32_t>(objects.size()));
    if (fresh) objects.push_back(handle);
    return i->second;
  }

  void add(std::uint32_t t, std::uint32_t number, operator_restore::in_flight_share share) {
    share.object = object(t, number);
    shares_[t].in_flight.push_back(std::move(share));
  }

  void items(std::uint32_t t, std::uint32_t old, const std::string& state, std::uint64_t first, std::uint64_t count) {
    if (count > 0 && stored_.parts[old].subtask)
      shares_[t].items.push_back({object(t, *stored_.parts[old].subtask), state, first, count});
  }

  void keyed(const std::string& state) {
    for (auto& [old, count] : holders(state)) {
      const auto theirs = range_of(old, stored_.parallelism, stored_.max_parallelism);
      for (std::uint32_t t = 0; t < target_.parallelism; ++t) {
        const auto both = common(theirs, range_of(t, target_.parallelism, target_.max_parallelism));
        if (!is_empty(both)) shares_[t].keyed.push_back({object(t, *stored_.parts[old].subtask), state, both});
      }
    }
  }

  /// Flink's round-robin: equal shares, the odd items one each to the subtasks after those that got the last ones.
  void list(const std::string& state) {
    const auto from = holders(state);
    if (same_parallelism()) {
      for (auto& [old, count] : from)
        items(old, old, state, 0, count);
      return;
    }
    std::uint64_t total = 0;
    for (auto& [old, count] : from)
      total += count;
    const auto share = total / target_.parallelism;
    auto odd = static_cast<std::int64_t>(total % target_.parallelism);
    auto next_start = start_;
    std::size_t source = 0;
    std::uint64_t at = 0; // in that source
    for (std::uint32_t i = 0; i < target_.parallelism; ++i) {
      const auto t = (i + start_) % target_.parallelism;
      auto wanted = share;
      if (odd > 0) {
        ++wanted;
        --odd;
      } else if (odd == 0) {
        next_start = t;
        --odd;
      }
      while (wanted > 0) {
        const auto n = std::min(wanted, from[source].second - at);
        items(t, from[source].first, state, at, n);
        wanted -= n;
        at += n;
        if (at == from[source].second) {
          ++source;
          at = 0;
        }
      }
    }
    start_ = next_start;
  }

  void broadcast(const std::string& state) {
    const auto from = holders(state);
    if (from.empty()) return;
    for (std::uint32_t t = 0; t < target_.parallelism; ++t) {
      auto& [old, count] = from[t % from.size()];
      items(t, old, state, 0, count);
    }
  }

  const checkpoint_metadata& metadata_;
  const operator_metadata& stored_;
  const restore_target& target_;
  std::vector<operator_restore> shares_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> numbers_; // (new subtask, stored subtask) -> object
  std::uint32_t start_ = 0;                                                  // subtask that the next list begins with
};

void check_versions(const checkpoint_metadata& m) {
  const auto check = [&](std::uint16_t stored, std::uint16_t ours, const char* what) {
    if (stored != ours)
      throw error{errc::incompatible_state,
                  "the checkpoint was written with version " + std::to_string(stored) + " of the " + what +
                      ", this library has version " + std::to_string(ours),
                  "restore with the version of dataflow that wrote it"};
  };
  const bool keyed = std::any_of(m.operators.begin(), m.operators.end(), has_keyed_state);
  if (!keyed && !m.unaligned) return;
  check(m.key_hash_version, key_hash_version, "hash of keys");
  check(m.key_codec_version, key_codec_version, "encoding of keys");
}

void check_parallelism(const operator_metadata& stored, const restore_target& target, bool keyed) {
  if (!keyed || stored.max_parallelism == target.max_parallelism) return;
  throw error{errc::incompatible_state,
              named(target.name, target.uid) + " has stored keyed state in " + std::to_string(stored.max_parallelism) +
                  " key groups, and the job wants " + std::to_string(target.max_parallelism),
              "set its max parallelism (or pipeline.max-parallelism) to " + std::to_string(stored.max_parallelism)};
}

/// Where records under way on the edges of an operator go in the new job.
void assign_in_flight(const checkpoint_metadata& m, const restore_target& target, const operator_metadata& stored,
                      share_builder& shares, std::set<stored_edge>& placed) {
  // What was received was received before what was still to be sent: it comes first.
  for (const bool sent : {false, true})
    for (std::uint32_t e = 0; e < target.inputs.size(); ++e) {
      auto& edge = target.inputs[e];
      auto* owner = sent ? m.find(edge.producer) : &stored;
      if (edge.route == in_flight_route::none || !owner) continue;
      const stored_edge which{owner->uid, sent, sent ? target.uid : edge.producer, edge.number};
      check_schema(*owner, which, edge.schema);
      shares.in_flight(*owner, which, e, edge.route);
      placed.insert(which);
    }
}

void check_in_flight(const checkpoint_metadata& m, const std::set<stored_edge>& placed) {
  for (auto& op : m.operators)
    for (auto& part : op.parts)
      for (auto& f : part.in_flight)
        if (!placed.contains({op.uid, f.sent, f.peer, f.edge}))
          throw error{errc::incompatible_state,
                      "records were under way " + std::string{f.sent ? "behind " : "before "} + named(op.name, op.uid) +
                          " when the unaligned checkpoint was made, and the job has no such edge any more",
                      "restore with the job that made it, take a savepoint, and restore the changed job from that"};
}

} // namespace

const operator_restore* restore_assignment::find(std::string_view uid, std::uint32_t subtask) const noexcept {
  auto i = operators.find(uid);
  return i == operators.end() || subtask >= i->second.size() ? nullptr : &i->second[subtask];
}

std::optional<std::uint32_t> stored_max_parallelism(const checkpoint_metadata& metadata, std::string_view uid) {
  auto* op = metadata.find(uid);
  if (!op || (!has_keyed_state(*op) && !metadata.unaligned)) return std::nullopt;
  return op->max_parallelism;
}

restore_assignment assign_state(const checkpoint_metadata& metadata, const std::string& directory,
                                const std::vector<restore_target>& job, bool allow_non_restored) {
  check_versions(metadata);
  restore_assignment out;
  out.checkpoint = metadata.id;

  std::string lost;
  for (auto& op : metadata.operators) {
    const bool there = std::any_of(job.begin(), job.end(), [&](auto& t) { return t.uid == op.uid; });
    if (there || !op.has_state()) continue;
    out.dropped.push_back(op.uid);
    lost += (lost.empty() ? "" : ", ") + named(op.name, op.uid);
  }
  const bool any = std::any_of(job.begin(), job.end(), [&](auto& t) { return metadata.find(t.uid) != nullptr; });
  if (!lost.empty() && !allow_non_restored && !any)
    throw error{errc::unmatched_state,
                "it is of job '" + metadata.job_name + "', and this job has none of the operators with state: " + lost,
                "start the job that it is of, or give the operators the uids that they had there"};
  if (!lost.empty() && !allow_non_restored)
    throw error{errc::unmatched_state, "the checkpoint has state that no operator of the job takes: " + lost,
                "give the operators the uids that they had, or drop it: --allow-non-restored-state"};

  std::set<stored_edge> placed;
  for (auto& target : job) {
    auto* stored = metadata.find(target.uid);
    if (!stored) continue;
    const bool hashed = std::any_of(target.inputs.begin(), target.inputs.end(),
                                    [](auto& e) { return e.route == in_flight_route::by_key_group; });
    check_parallelism(*stored, target, has_keyed_state(*stored) || (hashed && metadata.unaligned));
    share_builder shares{metadata, *stored, target, directory};
    shares.states();
    shares.backend_files();
    shares.splits_and_ends();
    if (metadata.unaligned) assign_in_flight(metadata, target, *stored, shares, placed);
    if (stored->enumerator) {
      auto& e = out.enumerators[target.uid];
      e.snapshot = *stored->enumerator;
      if (!shares.same_parallelism())
        for (std::uint32_t old = 0; old < stored->parallelism; ++old)
          if (!stored->parts[old].splits.empty()) e.splits.push_back({old, stored->parts[old].splits});
    }
    if (stored->finished()) out.finished.push_back(target.uid);
    out.operators.emplace(target.uid, shares.take());
  }

  if (!allow_non_restored) check_in_flight(metadata, placed);
  return out;
}

operator_subtask_state load(const operator_restore& share, const object_opener& open) {
  operator_subtask_state out;
  std::map<std::uint32_t, std::unique_ptr<subtask_state_reader>> readers;
  const auto reader = [&](std::uint32_t number) -> const subtask_state_reader& {
    auto& r = readers[number];
    if (!r) r = std::make_unique<subtask_state_reader>(share.objects.at(number), open);
    return *r;
  };
  for (auto& info : share.states)
    out.states.states[info.name].info = info;
  const auto into = [&](const std::string& state) {
    return [&parts = out.states.states[state].parts](state_part&& p) { parts.push_back(std::move(p)); };
  };
  for (auto& k : share.keyed)
    reader(k.object).keyed_parts(share.uid, k.state, k.key_groups, into(k.state));
  for (auto& i : share.items)
    reader(i.object).items(share.uid, i.state, i.first, i.count, into(i.state));
  for (auto& [name, stored] : out.states.states)
    if (stored.info.kind == state_kind::keyed)
      std::stable_sort(stored.parts.begin(), stored.parts.end(),
                       [](auto& a, auto& b) { return a.key_group < b.key_group; });
  std::uint32_t channels = 0;
  for (auto& f : share.in_flight) {
    const auto range = f.key_groups.value_or(all_key_groups);
    for (auto& c : f.sent ? reader(f.object).outputs(f.owner, range) : reader(f.object).inputs(f.owner, range))
      if (c.edge == f.edge && c.peer == f.peer && (!f.channel || *f.channel == c.channel) && !c.elements.empty())
        out.inputs.push_back({f.input_edge, channels++, std::move(c.elements), std::move(c.peer), std::move(c.schema)});
  }
  for (auto& [number, range] : share.files)
    for (auto& [name, object] : reader(number).files(share.uid))
      out.files.emplace(name, object);
  out.splits = share.splits;
  return out;
}

} // namespace dataflow
