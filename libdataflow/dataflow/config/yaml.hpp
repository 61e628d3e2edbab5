/// YAML files as flat keys.
///
/// Threading: pure functions. yaml-cpp stays inside the source file.
#pragma once

#include <string>
#include <vector>

namespace dataflow {

struct yaml_item {
  std::string key;    ///< nested keys joined by dots
  std::string value;  ///< scalars as written; the items of a list joined by ';', as Flink does
  std::string origin; ///< "<file>:<line>"
};

/// All scalars of a YAML map, in the order of the file. An empty document has none.
/// Errors: invalid_option with file and line, when the text is no YAML, no map at the top, or a value is missing.
std::vector<yaml_item> flatten_yaml(const std::string& text, const std::string& origin);

} // namespace dataflow
