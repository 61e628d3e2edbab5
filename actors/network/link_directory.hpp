/// What the links of a process share: which tasks live here, and counters.
///
/// Threading: safe from any thread. Ownership: knows tasks, does not keep them.
#pragma once

#include <dataflow/actors/network/data_links.hpp>

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>

namespace dataflow::actors {

class link_directory {
public:
  void add(std::uint64_t address, const caf::actor& task);
  void remove(std::uint64_t address);
  /// Null: there is no such task, or it has ended.
  caf::actor find(std::uint64_t address);
  /// Grows with every task.
  std::uint64_t tasks_so_far() const;
  /// Whether the task was there when tasks_so_far() was `then`.
  bool is_older(std::uint64_t address, std::uint64_t then) const;

  struct counters {
    std::atomic<std::uint64_t> frames_sent{0}, frames_received{0}, bytes_sent{0}, bytes_received{0}, connections{0},
        broken{0}, stale_frames{0}, unknown_tasks{0};
  };
  counters counts;

private:
  struct entry {
    caf::actor_addr task;
    std::uint64_t number;
  };
  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, entry> tasks_; // looked up, never walked
  std::uint64_t number_ = 0;
};

} // namespace dataflow::actors
