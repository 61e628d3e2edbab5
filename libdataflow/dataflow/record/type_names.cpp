#include <dataflow/record/type_names.hpp>

#include <charconv>

namespace dataflow::type_names {

std::optional<std::size_t> count_in(std::string_view type, std::string_view name) {
  if (!type.starts_with(name) || type.size() < name.size() + 3 || type[name.size()] != '[' || !type.ends_with(']'))
    return std::nullopt;
  std::size_t n = 0;
  const auto* end = type.data() + type.size() - 1;
  const auto [at, failure] = std::from_chars(type.data() + name.size() + 1, end, n);
  if (failure != std::errc{} || at != end) return std::nullopt;
  return n;
}

bool is_time(std::string_view type) { return type.starts_with("duration[") || type.starts_with("time["); }
std::pair<std::string_view, std::string_view> unit_and_representation(std::string_view type) {
  const auto comma = type.rfind(", ");
  if (comma == std::string_view::npos) return {};
  return {type.substr(0, comma), type.substr(comma + 2, type.size() - comma - 3)};
}

} // namespace dataflow::type_names
