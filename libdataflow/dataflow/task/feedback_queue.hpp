/// What has come back through an iteration's feedback edge and is not yet processed. The edge takes no credit, so
/// this queue has no bound: above a number of bytes it goes to disk.
///
/// Threading: one task. Ownership: owns its elements and its spill file.
/// Errors: disk_full, io_failed from the spill file.
#pragma once

#include <dataflow/exchange/element.hpp>

#include <deque>
#include <memory>
#include <string>

namespace dataflow {

class file_system;

struct feedback_limits {
  std::size_t memory_bytes = 64 << 20; ///< above, batches are written to disk
  std::string directory;               ///< for the spill files; empty: the place for temporary files
};

class feedback_queue {
public:
  struct entry {
    std::uint32_t channel;
    std::uint64_t sequence, bytes;
    element what;
  };
  feedback_queue(feedback_limits limits, file_system* files, std::string name);
  ~feedback_queue();
  void push(entry e);
  bool empty() const noexcept;
  /// REQUIRES: not empty.
  entry pop();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace dataflow
