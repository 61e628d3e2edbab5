/// What the names of built-in types in a schema say beside the type: how many, and counted in what.
/// Threading: pure functions. The views point into what they were given.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

namespace dataflow::type_names {

/// "array[3]", "bytes[16]" with name "array", "bytes": the number. Empty when it is no such type.
std::optional<std::size_t> count_in(std::string_view type, std::string_view name);

/// "duration[...]", "time[...]".
bool is_time(std::string_view type);

/// "duration[1/1000 s, int64]": "duration[1/1000 s" and "int64". Both empty when it has no comma.
std::pair<std::string_view, std::string_view> unit_and_representation(std::string_view type);

} // namespace dataflow::type_names
