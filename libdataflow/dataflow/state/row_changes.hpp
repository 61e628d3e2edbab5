/// Which rows of a keyed store have changed since a checkpoint that is known to be complete, and what each key group
/// consists of in the storage: how checkpoints of keyed state in memory leave out what is there already.
///
/// A key group is stored as one part that has all of its rows ("whole"), and parts with what has changed after it, each
/// written by one checkpoint. A checkpoint adds changes to the parts of the newest checkpoint that is known to be
/// complete. Where the changes have become many, or a checkpoint whose end is not known yet has not the same parts to
/// begin with (it may turn out complete, and the parts may go), the group is written as a whole. Checkpoints that were
/// given up lose nothing: what changed before them counts for the next one.
/// Threading: row_changes on the task's thread; what begin() gives is read by any thread, and what is stored is noted
/// by who writes snapshots, one after the other. Ownership: values; parts are shared by all that consist of them.
/// Source: Flink's SharedStateRegistry and ChangelogKeyedStateBackend, which writes a log of changes instead.
#pragma once

#include <dataflow/record/key_groups.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dataflow {

/// Where bytes lie. What the fields mean is up to who writes snapshots.
struct stored_piece {
  std::shared_ptr<const void> object; ///< null: there is nothing
  std::uint64_t offset = 0, stored = 0, size = 0, checksum = 0;
  std::uint8_t how = 0;
};

namespace detail {

/// What one checkpoint has written of a key group: all of it, or what has changed since `before`.
struct group_part {
  std::shared_ptr<const group_part> before; ///< null: all of it
  std::uint32_t depth = 0;                  ///< parts before
  std::uint64_t changed = 0;                ///< rows in them and in this one, without the whole
  mutable std::vector<stored_piece> pieces; ///< a piece for each column; noted by who writes
};
using group_parts = std::vector<std::shared_ptr<const group_part>>; // by group; null: it is empty

enum class group_form : std::uint8_t { nothing, changes, whole };

/// What a checkpoint writes of a store.
struct store_increment {
  key_group_range groups;
  std::vector<group_form> forms;     ///< by group
  group_parts parts;                 ///< by group: what it consists of then
  std::vector<std::uint64_t> needed; ///< by segment: rows that are to be written
  /// By group: what goes in front of its changes, keys that have been removed.
  std::vector<std::string> removed;
  group_form form_of(std::uint32_t key_group) const noexcept { return forms[key_group - groups.first]; }
};

class row_changes {
public:
  /// More parts than that are not kept for one group.
  static std::uint32_t most_parts(std::uint32_t groups) noexcept;
  /// A group is written as a whole when its changes are more than this share, in 256ths, of its rows: another one for
  /// each, so that they do not all come at once.
  static std::uint32_t share_of(std::uint32_t key_group) noexcept { return 64 + key_group * 0x9E3779B1u % 129; }

  /// Before the first mark().
  void open(key_group_range groups);
  /// Whether keys that go have to be reported: there has been a checkpoint.
  bool has_begun() const noexcept { return has_begun_; }

  void add_segment() { now_.changed.push_back(0); }
  void mark(std::size_t segment, unsigned row) noexcept { now_.changed[segment] |= std::uint64_t{1} << row; }
  /// A key is removed of a group that has `rows` rows. `entry`: as it goes into the changes.
  void remove(std::uint32_t key_group, std::string_view entry, std::size_t rows);
  /// Segments with changes.
  std::size_t changed_segments() const noexcept;
  /// For stores whose checkpoints always have everything.
  void forget();

  struct group_rows {
    const std::vector<std::uint32_t>& segments;
    std::size_t rows;
  };
  /// A checkpoint is taken. `rows_of`: of a group.
  std::shared_ptr<const store_increment> begin(std::int64_t checkpoint,
                                               const std::function<group_rows(std::uint32_t)>& rows_of);
  void completed(std::int64_t checkpoint);
  void aborted(std::int64_t checkpoint);

private:
  /// Changes from one checkpoint to the next.
  struct interval {
    std::vector<std::uint64_t> changed; // by segment: a bit per row
    struct removed_keys {
      std::string entries;
      std::size_t count = 0;
      bool too_many = false; // then `entries` is not complete
    };
    std::vector<removed_keys> removed; // by group
    void add(const interval& other);
  };
  struct taken {
    std::int64_t checkpoint;
    interval before; // since the one before
    group_parts parts;
  };
  bool is_kept_by_all(std::size_t group) const noexcept;

  key_group_range groups_{};
  interval now_;
  bool has_begun_ = false;
  bool first_is_complete_ = false;
  std::vector<taken> taken_; // the newest that is complete, if there is one, and later ones whose end is not known
};

} // namespace detail

/// One state in a checkpoint that leaves out what is stored already.
class state_increment {
public:
  state_increment(std::shared_ptr<const detail::store_increment> store, unsigned column)
      : store_(std::move(store)), column_(column) {}
  const detail::store_increment& store() const noexcept { return *store_; }
  /// Whether something of a key group is stored already, so that keys can be removed of it.
  bool has_earlier(std::uint32_t key_group) const;
  /// What was written of a key group is stored there. REQUIRES: something was.
  void note(std::uint32_t key_group, stored_piece where) const;
  /// Everything that the state consists of: by key group, what it begins with first.
  void for_each(
      const std::function<void(std::uint32_t key_group, detail::group_form form, const stored_piece&)>& visit) const;

private:
  std::shared_ptr<const detail::store_increment> store_;
  unsigned column_;
};

} // namespace dataflow
