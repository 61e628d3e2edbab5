/// A shell command with places for values: "start-one --name {resource_id}".
///
/// A place is a name of small letters and underscores in braces; "{}", "{a,b}" and "${name}" are the shell's own.
/// Threading: immutable. Errors: invalid_option, naming the configuration key, for a place that is not known, or one
/// that is missing.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dataflow {

class command_template {
public:
  /// `key`: of the configuration, for errors. Each of `required` must stand in the text, `optional` may.
  command_template(std::string text, std::string_view key, const std::vector<std::string_view>& required,
                   const std::vector<std::string_view>& optional = {});

  /// REQUIRES: a value for each place; values are put in as they are.
  std::string filled(const std::vector<std::pair<std::string_view, std::string>>& values) const;
  bool empty() const noexcept { return text_.empty(); }

private:
  std::string text_;
};

} // namespace dataflow
