/// Buffers of frames and of the batches in them, which are used again: each is as large as a cache, and the C library
/// would get its memory from the system each time and give it back, which takes longer than to fill it.
///
/// Threading: safe from any thread. What is kept is bounded, and belongs to the process.
#pragma once

#include <cstddef>
#include <string>

namespace dataflow {

/// The most bytes that wait to be used again.
inline constexpr std::size_t most_kept_buffers = std::size_t{16} << 20;
/// Smaller ones are not kept.
inline constexpr std::size_t least_kept_buffer = std::size_t{16} << 10;

/// Has a capacity of `room` at least; its length and content are those of who used it before.
std::string take_buffer(std::size_t room);
/// Of any origin.
void give_back_buffer(std::string buffer) noexcept;

} // namespace dataflow
