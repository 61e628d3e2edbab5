#include <dataflow/util/suggest.hpp>

#include <algorithm>

namespace dataflow {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto replace = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

std::optional<std::string> nearest_name(std::string_view given, const std::vector<std::string>& known) {
  const std::string* best = nullptr;
  std::size_t best_distance = 0;
  for (const auto& name : known) {
    const auto distance = edit_distance(given, name);
    if (!best || distance < best_distance) {
      best = &name;
      best_distance = distance;
    }
  }
  if (!best) return std::nullopt;
  if (best_distance <= std::max<std::size_t>(1, std::max(given.size(), best->size()) / 3)) return *best;
  if (given.size() >= 3) {
    for (const auto& name : known)
      if (name.find(given) != std::string::npos || given.find(name) != std::string_view::npos) return name;
  }
  return std::nullopt;
}

std::string did_you_mean(std::string_view given, const std::vector<std::string>& known, std::string_view otherwise) {
  if (auto near = nearest_name(given, known)) return "did you mean " + *near + "?";
  return std::string{otherwise};
}

} // namespace dataflow
