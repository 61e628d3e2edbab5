/// What the C library knows of memory that the language does not.
/// Threading: safe from any thread.
#pragma once

namespace dataflow {

/// Hands memory that was freed back to the operating system: for after a lot of it has been, for it may be kept in the
/// arena of a thread that does not need it any more. Takes milliseconds. Does nothing where the C library cannot.
void give_back_free_memory() noexcept;

} // namespace dataflow
