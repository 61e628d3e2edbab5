/// The configuration keys: one table. Whatever the engine can be told stands here and nowhere else.
///
/// A new key = one row in options.cpp; the reference page and the example file are checked against the table by tests.
/// Threading: constant. Source: keys and defaults are Flink's where Flink has them (`flink` says where not).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

enum class option_type : std::uint8_t {
  text,        ///< any text
  integer,     ///< a whole number
  real,        ///< a decimal number
  boolean,     ///< true or false
  duration,    ///< "100 ms", "1 min"; a number alone is milliseconds
  memory_size, ///< "64mb"; a number alone is bytes
  choice,      ///< one of `choices`
};

std::string_view to_string(option_type type) noexcept;

struct option {
  std::string_view section; ///< heading in the reference
  std::string_view key;
  option_type type;
  std::string_view fallback; ///< the default, as text of the type
  std::string_view doc;      ///< one or two sentences
  std::string_view flink;    ///< empty: as in Flink; else what is different, or that Flink has no such key
  std::string_view choices;  ///< of choice: "none|fixed-delay|..."
  double least = 0;          ///< of numbers, durations (ms) and sizes (bytes): the smallest value that is accepted
  double most = 1e18;        ///< and the largest
};

/// In the order of the reference.
const std::vector<option>& all_options();

/// The row of a key; an older or shorter name of Flink's ("restart-strategy", "pipeline.operator-chaining") finds the
/// row it stands for. Null when there is none.
const option* find_option(std::string_view key);

/// All keys, for suggestions.
std::vector<std::string> option_keys();

/// The reference page, docs/configuration.md, from the table.
std::string options_as_markdown();

/// A commented file with every key at its default, config/dataflow.yaml, from the table.
std::string options_as_yaml();

} // namespace dataflow
