/// A copy of a savepoint in which the values of one state are others.
///
///   state_rewrite change{storage, savepoint, "counts", "count"};
///   change.entries([&](const state_entry& e, const std::string& json) { ... });   // what there is
///   for (each entry that is to be there)
///     change.put(json);                       // {"key_group": ..., "key": ..., "value": ...}
///   change.write_to(directory);
///
/// An entry that is not put is not in the copy: it is removed. Keys stay what they are, because a key belongs to the
/// subtask that its hash says. The copy is a savepoint of its own: it needs nothing of what it was made of, also when
/// that was an incremental checkpoint.
/// Memory: the entries of the state; of other states one part at a time.
/// Threading: one thread at a time. Ownership: borrows the storage.
/// Errors: invalid_argument for a state that is not there, that cannot be read, or for a directory that is in use;
/// malformed_record for entries that do not fit, naming entry and field; incompatible_state for an unaligned
/// checkpoint.
#pragma once

#include <dataflow/checkpoint/state_view.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace dataflow {

class state_rewrite {
public:
  /// `directory`: of the savepoint or aligned checkpoint. Reads the state.
  state_rewrite(checkpoint_storage& storage, const std::string& directory, std::string_view uid,
                std::string_view state);
  ~state_rewrite();
  state_rewrite(const state_rewrite&) = delete;

  /// Each entry with its JSON, as `dataflow state export` writes it.
  void entries(const std::function<void(const state_entry&, const std::string& json)>& visit) const;
  void put(std::string_view json);
  /// Writes the copy; the directory is made, and must be empty. Returns how many entries are in the copy.
  std::uint64_t write_to(const std::string& directory);

private:
  struct body;
  std::unique_ptr<body> body_;
};

/// An entry as one line of JSON.
std::string json_line(const state_entry& entry);

} // namespace dataflow
