/// A first-in, first-out queue of opaque elements that keeps a bounded part in memory and the rest in temporary files.
///
/// Order: the oldest elements are in memory, then come the files (segments), then the youngest in a write buffer. A
/// segment is removed as soon as it has been read; what is left is removed with the queue. Nothing is durable: the
/// queue dies with its task.
/// Threading: one task. Ownership: owns its elements and files; borrows the file system.
/// Errors: errc::disk_full, io_failed and so on, with the segment's path; after an error only destruction is safe.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

namespace dataflow {

class file_system;

struct spill_limits {
  std::size_t memory_bytes = 64u << 20;  ///< elements kept in memory; beside them up to two blocks
  std::size_t segment_bytes = 16u << 20; ///< a new file is begun when the last one is as large
  std::size_t block_bytes = 256u << 10;  ///< read and written at once
};

class spillable_queue {
public:
  /// Files are made in `directory` (empty: the place for temporary files) when they are needed. `name`: part of their
  /// names, for who finds one.
  spillable_queue(file_system& files, std::string directory, std::string name, spill_limits limits = {});
  ~spillable_queue();
  spillable_queue(const spillable_queue&) = delete;

  void push(std::string element);
  /// The oldest element. REQUIRES: not empty.
  std::string pop();
  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  std::size_t bytes_in_memory() const noexcept { return front_bytes_ + back_.size(); }
  std::uint64_t bytes_on_disk() const noexcept { return disk_bytes_; }

private:
  struct segment;
  void write_back();
  void read_block();
  void split(std::string& bytes, std::size_t& at);

  file_system& files_;
  std::string directory_, name_;
  spill_limits limits_;
  std::deque<std::string> front_; // the oldest elements
  std::size_t front_bytes_ = 0;
  std::deque<std::unique_ptr<segment>> segments_; // oldest first; only the last one may be open for writing
  std::string back_;                              // the youngest elements, encoded, not yet in a file
  std::size_t size_ = 0;
  std::uint64_t disk_bytes_ = 0;
};

} // namespace dataflow
