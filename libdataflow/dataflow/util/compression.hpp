/// Compression of stored bytes.
///
/// Threading: pure functions. Errors: expand() throws error{errc::corrupt_state} on bytes that do not expand to exactly
/// the size that is asked for; it never allocates more than that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace dataflow {

/// "Do not change" the numbers: they are stored.
enum class compression : std::uint8_t { none = 0, lz4 = 1, zstd = 2 };
std::string_view to_string(compression c) noexcept;

/// Appends the compressed bytes. REQUIRES: bytes.size() <= largest_compressed_input.
void compress(compression how, std::string_view bytes, std::string& out);
std::string expand(compression how, std::string_view bytes, std::size_t size);
inline constexpr std::size_t largest_compressed_input = 0x7E000000; // what lz4 can take at once

} // namespace dataflow
