/// Declared state: everything that an operator remembers from one element to the next.
///
/// An operator owns its state in whatever form is fast, and declares it in open() under a name that is unique within
/// the operator. Declaring restores: when the operator starts from a snapshot that has a state of this name, the parts
/// that belong to this subtask are handed to restore() at once. Snapshots are taken between two calls of the operator.
/// Keyed state is written in one part per key group, so that rescaling moves parts and never looks into them.
/// Threading: the task's own. Ownership: the operator owns the state; a registry borrows it until the operator closes.
/// Errors: errc::invalid_argument for a name that is declared twice; errc::incompatible_state when what was stored has
/// another kind or schema, with both in the text.
/// Source: Flink's StateInitializationContext and OperatorSnapshotFutures.
#pragma once

#include <dataflow/record/key_groups.hpp>
#include <dataflow/util/bytes.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

enum class state_kind : std::uint8_t {
  keyed,      ///< by key group; moves with the keys
  list,       ///< items that may go to any subtask, dealt out anew when the parallelism changes
  union_list, ///< every subtask gets all items
  broadcast,  ///< equal in all subtasks; every subtask gets one copy
};
std::string_view to_string(state_kind kind) noexcept;

struct state_info {
  std::string name;
  state_kind kind = state_kind::keyed;
  /// What is stored, in words that change when its encoding does: "string -> struct visit{page: string, at: int64}".
  std::string schema;
};

/// A key group's share of a keyed state, or one item of a list.
struct state_part {
  std::uint32_t key_group = 0; ///< of keyed states
  std::string bytes;
};

class frozen_state;
class state_increment;
struct stored_state {
  state_info info;
  std::vector<state_part> parts; ///< of keyed states in the order of their key groups, none empty
  /// Further parts, which nobody has written yet; may be null.
  std::shared_ptr<const frozen_state> frozen = {};
  /// Further parts that can be visited once, and are given up on the way; may be null. See keep_once().
  struct read_once {
    std::vector<state_part> parts;
    bool visited = false;
  };
  std::shared_ptr<read_once> once = {};

  /// Calls visit(const state_part&) for every part; those that are frozen are written for it, one at a time.
  void for_each_part(const std::function<void(const state_part&)>& visit) const;
  /// The same for the last time: what is frozen is given up as it is written.
  void give_up_parts(const std::function<void(const state_part&)>& visit) const;
};

class database_files;
/// The files of one keyed store's database.
struct stored_database {
  std::string store;                           ///< number of the store among those of its operator
  std::shared_ptr<const database_files> files; ///< of a snapshot: to be stored
  std::string directory;                       ///< of a restore: where the files lie now
  key_group_range groups = {};                 ///< of a restore: those that are to be taken from it
  bool go_on = false; ///< of a restore: a new database begins with the files, instead of reading them
};

/// What one operator of one subtask remembers.
struct operator_snapshot {
  std::map<std::string, stored_state, std::less<>> states;
  std::vector<stored_database> databases = {}; ///< where the values of keyed states are that have no parts
};

/// From now on parts can be visited once, and each is given up when it has been: what a state is restored from and the
/// state itself are not in memory side by side, and not at all later on.
void keep_once(operator_snapshot& restored);

/// Where a state writes itself.
class state_writer {
public:
  using part_consumer = std::function<void(state_part&&)>;
  explicit state_writer(stored_state& into) noexcept : into_(into) {}
  /// Parts are handed on one by one, as soon as they are complete, and not kept.
  state_writer(stored_state& into, part_consumer take) noexcept : into_(into), take_(std::move(take)) {}
  /// Of keyed states: the bytes of a key group; group by group, in ascending order. Of others: the next item.
  /// The writer is good until the next call.
  byte_writer& part(std::uint32_t key_group = 0);
  /// The part of a key group of a keyed state: goes on where the last call was for the same group.
  byte_writer& part_of(std::uint32_t key_group) {
    return open_ && into_.parts.back().key_group == key_group ? bytes_ : part(key_group);
  }
  void finish();

private:
  stored_state& into_;
  part_consumer take_; // empty: parts are kept
  byte_writer bytes_;
  bool open_ = false;
};

/// A state at one moment, while the operator goes on. May be written and destroyed on any thread, also when the state
/// itself is gone.
class frozen_state {
public:
  virtual ~frozen_state() = default;
  virtual void write(state_writer& out) const = 0;
  /// The same for the last time, which may give up what has been written as it goes.
  virtual void write_last(state_writer& out) const { write(out); }
  /// Not null: write() gives only what is not stored yet, in entries (see docs/checkpoints.md), and who writes it notes
  /// where.
  virtual const state_increment* increment() const { return nullptr; }
};

class declared_state {
public:
  virtual ~declared_state() = default;
  virtual state_info info() const = 0;
  virtual void snapshot(state_writer& out) const = 0;
  /// What snapshot() would write now, to be written later. Null: it has to be written at once.
  virtual std::shared_ptr<const frozen_state> freeze() const { return nullptr; }
  /// Takes one part in, beside what is there. REQUIRES: of keyed states, the key group is one of this subtask's.
  virtual void restore(const state_part& part) = 0;
};

class clock;
class keyed_store;
class state_change;
class state_database;
class state_database_factory;

/// Where keyed state goes that is too large for memory.
struct state_place {
  state_database_factory* databases = nullptr; ///< null: all stays in memory
  std::string directory;                       ///< of the operator's databases
  /// For the rows of each database that are kept in memory; 0: as much as the factory gives it.
  std::size_t memory_bytes = 0;
  /// Checkpoints consist of the databases' files; those of rows in memory leave out what is stored already.
  bool incremental = false;
  std::shared_ptr<const void> keep; ///< whatever must live as long as somebody works here
  /// What a snapshot in progress may hold in memory of keyed state that has changed since it was taken, for each store;
  /// the task waits for who writes it before it changes more.
  std::size_t snapshot_bytes = std::size_t{128} << 20;
};

/// What a keyed state of a function belongs to.
enum class state_scope : std::uint8_t {
  key,    ///< the current key
  window, ///< the current key and window: of window functions
};

/// The declared states of one operator of one subtask.
class state_registry {
public:
  /// `restored`: what the operator starts from; may be null.
  state_registry(key_group_range groups, std::uint32_t max_parallelism,
                 std::shared_ptr<const operator_snapshot> restored = {});
  state_registry(const state_registry&) = delete;

  /// REQUIRES: `state` lives until the last snapshot().
  void declare(declared_state& state);
  operator_snapshot snapshot() const;
  /// The same with little done now: what takes long is left to whoever writes the snapshot. `self_contained`: no files
  /// of databases, and nothing is left out. `checkpoint`: its number; without one, nothing is left out.
  operator_snapshot freeze(bool self_contained = false, std::optional<std::int64_t> checkpoint = {});
  /// What becomes of a checkpoint, in any order.
  void checkpoint_completed(std::int64_t checkpoint);
  void checkpoint_aborted(std::int64_t checkpoint);
  /// Whether the operator starts from a snapshot (also from one that holds nothing of it).
  bool is_restored() const noexcept { return restored_ != nullptr; }
  /// Names of restored states that nobody has declared.
  std::vector<std::string> unclaimed() const;

  /// The rows behind the keyed states of the operator's functions; null where there are no keys. The operator sets it.
  keyed_store* keyed(state_scope scope = state_scope::key) const noexcept {
    return keyed_[static_cast<std::size_t>(scope)];
  }
  void set_keyed(keyed_store& store, state_scope scope = state_scope::key) noexcept {
    keyed_[static_cast<std::size_t>(scope)] = &store;
  }

  /// Before the operator opens.
  void set_place(state_place place);
  const state_place& place() const noexcept { return place_; }
  /// Whether rows that are not used lately go to the disk.
  bool has_databases() const noexcept { return place_.databases != nullptr; }
  struct opened_store {
    std::string name;                             ///< number among the operator's stores
    std::unique_ptr<state_database> database;     ///< null where all stays in memory
    std::vector<const stored_database*> restored; ///< to be read; empty when `database` was opened from it
    bool from_files = false;                      ///< it was
  };
  /// Whether what the operator starts from has a state of that name.
  bool is_stored(std::string_view name) const { return restored_ && restored_->states.contains(name); }
  /// What becomes of what is stored of this state. Errors: incompatible_state.
  state_change change_of(const state_info& wanted) const;
  /// The same of a state that is declared.
  state_change change_of(std::string_view name) const;
  /// Of a keyed store, which calls it once, and lives until the last freeze().
  opened_store add_store(keyed_store& store, const dataflow::clock& clock);

  const key_group_range& key_groups() const noexcept { return groups_; }
  std::uint32_t max_parallelism() const noexcept { return max_parallelism_; }
  std::uint32_t key_group_of_hash(std::uint64_t hash) const noexcept { return key_group_of(hash, max_parallelism_); }

private:
  key_group_range groups_;
  std::uint32_t max_parallelism_;
  std::shared_ptr<const operator_snapshot> restored_;
  std::map<std::string, declared_state*, std::less<>> states_;
  keyed_store* keyed_[2] = {}; // by scope
  state_place place_;
  std::vector<keyed_store*> stores_; // in the order in which they were opened
};

} // namespace dataflow
