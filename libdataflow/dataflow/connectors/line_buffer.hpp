/// Cuts a stream of bytes that arrives in pieces into lines.
///
/// Threading: not shared. Ownership: owns its bytes; lines are views that the next call of any member ends.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace dataflow {

class line_buffer {
public:
  /// With the delimiter "\n" a '\r' before it is no part of the line. REQUIRES: the delimiter is not empty.
  explicit line_buffer(std::string delimiter);
  /// Room for up to n more bytes; say with commit() how many came.
  char* space(std::size_t n);
  void commit(std::size_t n) noexcept { end_ += n; }
  /// The next whole line.
  std::optional<std::string_view> next();
  /// What is left without a delimiter; the buffer is empty afterwards.
  std::string_view rest();
  /// Bytes that are there and are no whole line yet; what next() has looked at in vain.
  std::size_t pending() const noexcept { return end_ - begin_; }

private:
  std::string delimiter_;
  std::string bytes_;
  std::size_t begin_ = 0, end_ = 0; // what of bytes_ is there
  std::size_t scanned_ = 0;         // from begin_: no delimiter starts before
};

} // namespace dataflow
