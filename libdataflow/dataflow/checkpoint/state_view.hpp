/// Looking into a checkpoint or savepoint without its job: what there is, how large it is, the values, and what has
/// changed between two of them.
///
/// Memory: one part at a time; diff() keeps a key group of both sides.
/// Threading: one thread at a time; calls read the storage. Ownership: borrows the storage.
/// Errors: corrupt_state; invalid_argument for an operator or state that is not there, naming those that are.
#pragma once

#include <dataflow/checkpoint/checkpoint_storage.hpp>
#include <dataflow/checkpoint/state_json.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

/// One state of one operator, over all subtasks.
struct state_row {
  std::string uid, name; ///< of the operator
  std::uint32_t parallelism = 1, max_parallelism = 128;
  state_info state;
  std::uint64_t parts = 0, bytes = 0; ///< bytes as stored
};

struct state_inspection {
  struct key_group_row {
    std::uint32_t key_group = 0;
    std::uint64_t entries = 0, bytes = 0; ///< bytes before compression
  };
  bool readable = false; ///< the schema can be decoded; else there is an entry per part
  std::uint64_t entries = 0, bytes = 0;
  std::vector<key_group_row> key_groups; ///< of keyed states; those that have something
  std::vector<state_entry> largest;      ///< the largest first
};

enum class entry_change : std::uint8_t { added, removed, changed };
std::string_view to_string(entry_change change) noexcept;

class state_view {
public:
  /// `directory`: of the checkpoint; reads its metadata.
  state_view(checkpoint_storage& storage, std::string directory);

  const checkpoint_metadata& metadata() const noexcept { return metadata_; }
  const std::string& directory() const noexcept { return directory_; }
  /// From the metadata alone. In the order of uids and names.
  std::vector<state_row> list() const;
  state_inspection inspect(std::string_view uid, std::string_view state, std::size_t largest = 10) const;
  /// Every key, or every item of a state that is not keyed; by key group. Of broadcast state, one copy.
  void for_each(std::string_view uid, std::string_view state, const std::function<void(state_entry&&)>& visit) const;
  /// `key`: JSON, as for_each() gives it. Empty when the key has no value.
  std::optional<state_entry> get(std::string_view uid, std::string_view state, std::string_view key) const;

private:
  friend class state_rewrite;
  friend void diff(const state_view&, const state_view&, std::string_view, std::string_view,
                   const std::function<void(entry_change, const state_entry*, const state_entry*)>&);
  const operator_metadata& find(std::string_view uid, std::string_view state, state_info& info) const;
  void parts(const operator_metadata& op, const state_info& info, key_group_range range,
             const std::function<void(state_part&&)>& visit) const;
  /// What one subtask has of it.
  void parts_of(const operator_metadata& op, const state_info& info, std::uint32_t subtask,
                const std::function<void(state_part&&)>& visit, key_group_range range = all_key_groups) const;

  checkpoint_storage& storage_;
  std::string directory_;
  checkpoint_metadata metadata_;
};

/// What has changed in a keyed state from `before` to `after`; a key whose value is the same is left out.
void diff(const state_view& before, const state_view& after, std::string_view uid, std::string_view state,
          const std::function<void(entry_change, const state_entry* before, const state_entry* after)>& visit);

} // namespace dataflow
