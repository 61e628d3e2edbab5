/// What is frozen as a restore gets it: written as parts, or the files of databases where it would put them.
#pragma once

#include <dataflow/state/declared_state.hpp>
#include <dataflow/state/state_database.hpp>
#include <dataflow/util/file_system.hpp>

#include <memory>
#include <string>
#include <tests/support/temporary_directory.hpp>

namespace dataflow::test {

inline std::shared_ptr<const operator_snapshot> written(const operator_snapshot& frozen) {
  auto all = std::make_shared<operator_snapshot>();
  for (auto& [name, state] : frozen.states) {
    auto& to = all->states[name];
    to.info = state.info;
    state.for_each_part([&](const state_part& p) { to.parts.push_back(p); });
  }
  return all;
}

class fetched_databases {
public:
  explicit fetched_databases(std::shared_ptr<const operator_snapshot> snapshot) : snapshot_(std::move(snapshot)) {}
  /// A copy of the files for each restore. `groups`: what it takes; `go_on`: its database begins with them.
  std::shared_ptr<const operator_snapshot> copy(key_group_range groups, bool go_on) {
    auto copy = std::make_shared<operator_snapshot>(*snapshot_);
    for (auto& d : copy->databases) {
      d.directory = place_ / std::to_string(++copies_);
      system_files().create_directories(d.directory);
      for (auto& f : d.files->files())
        system_files().write_file(join_path(d.directory, f.name), system_files().read_file(f.path));
      d.files = nullptr;
      d.groups = groups;
      d.go_on = go_on;
    }
    return copy;
  }

private:
  std::shared_ptr<const operator_snapshot> snapshot_;
  temporary_directory place_;
  unsigned copies_ = 0;
};

} // namespace dataflow::test
