/// Near misses: which known name a mistyped one was probably meant to be.
///
/// Threading: pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

/// Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`: the optimal string alignment distance.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The known name nearest to `given`, when it is near enough to be meant: at most a third of its length in edits, or
/// one is a part of the other. Ties go to the first in `known`.
std::optional<std::string> nearest_name(std::string_view given, const std::vector<std::string>& known);

/// "did you mean <name>?" or, when nothing is near, `otherwise`.
std::string did_you_mean(std::string_view given, const std::vector<std::string>& known,
                         std::string_view otherwise = {});

} // namespace dataflow
