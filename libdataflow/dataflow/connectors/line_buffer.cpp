#include <dataflow/connectors/line_buffer.hpp>

#include <algorithm>
#include <cstring>

namespace dataflow {

line_buffer::line_buffer(std::string delimiter) : delimiter_(std::move(delimiter)) {}

char* line_buffer::space(std::size_t n) {
  if (bytes_.size() - end_ < n) {
    std::memmove(bytes_.data(), bytes_.data() + begin_, pending());
    end_ -= begin_;
    begin_ = 0;
    if (bytes_.size() - end_ < n) bytes_.resize(std::max(bytes_.size() * 2, end_ + n));
  }
  return bytes_.data() + end_;
}

std::optional<std::string_view> line_buffer::next() {
  const std::string_view there{bytes_.data() + begin_, pending()};
  const auto found = there.find(delimiter_, scanned_);
  if (found == std::string_view::npos) {
    scanned_ = there.size() - std::min(there.size(), delimiter_.size() - 1); // a delimiter may arrive in two pieces
    return std::nullopt;
  }
  auto line = there.substr(0, found);
  begin_ += found + delimiter_.size();
  scanned_ = 0;
  if (delimiter_ == "\n" && !line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

std::string_view line_buffer::rest() {
  const std::string_view there{bytes_.data() + begin_, pending()};
  begin_ = end_;
  scanned_ = 0;
  return there;
}

} // namespace dataflow
