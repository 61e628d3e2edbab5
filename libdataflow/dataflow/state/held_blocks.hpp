/// A snapshot in progress of a table whose entries may be copied as bytes, while the task goes on changing them.
///
/// As held_rows.hpp, by blocks of 64 slots: entries stay where they are; before the task writes to a block for the
/// first time it copies it, and who writes the snapshot copies each of the others when it gets to it. If both come to
/// one block at once, one waits for the other to copy a few KiB. Threading: the task's side on its thread; the reader's
/// side and destruction on any one thread at a time. Ownership: owns copies, shares the table's memory.
#pragma once

#include <dataflow/state/held_memory.hpp>
#include <dataflow/util/huge_pages.hpp>

#include <cstdint>
#include <functional>
#include <memory>

namespace dataflow::detail {

class held_blocks {
public:
  static constexpr std::size_t block = 64; // slots
  static constexpr std::size_t most_slot_bytes = 64;

  /// `memory` keeps tags (one per slot; 0: a free slot) and slots. REQUIRES: `slots` is a multiple of `block`.
  held_blocks(std::shared_ptr<const void> memory, const std::uint8_t* tags, const void* at, std::size_t slot_bytes,
              std::size_t slots);
  held_blocks(const held_blocks&) = delete;
  ~held_blocks() { give_up(); }

  /// The task is about to write to a slot or its tag.
  void save(std::size_t slot) {
    const auto b = slot / block;
    if (!(saved_[b / 64] >> b % 64 & 1)) save_block(b);
  }
  held_memory& memory() noexcept { return held_; }

  /// Calls visit(const std::uint8_t* tags, const std::byte* slots) for all blocks, as they were. `last`: each is given
  /// up when it has been visited. REQUIRES: nothing has been given up before; throws error{errc::internal}.
  void read(bool last, const std::function<void(const std::uint8_t* tags, const std::byte* slots)>& visit);
  void give_up() noexcept;

private:
  using state = std::uintptr_t; // of a block: 0, one of these, or a pointer to its copy
  static constexpr state being_copied = 1, done = 2;
  void save_block(std::size_t b);
  void copy(std::size_t b, std::byte* to) const noexcept;
  std::size_t copy_bytes() const noexcept { return block * (1 + slot_bytes_); }

  const std::shared_ptr<const void> memory_;
  const std::uint8_t* const tags_;
  const std::byte* const slots_;
  const std::size_t slot_bytes_, blocks_;
  zero_pages<state> states_;
  zero_pages<std::uint64_t> saved_; // the task's: a bit for each block that it may write to
  bool given_up_ = false;           // the reader's: also while it is at it
  held_memory held_;
};

} // namespace dataflow::detail
