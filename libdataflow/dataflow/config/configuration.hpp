/// The configuration of a program or cluster: defaults < file < command line < code.
///
/// Threading: a value; build it, then share it as const. Ownership: owns its text.
/// Errors: unknown_option for a key that the table (options.hpp) does not have, with the near one; invalid_option for a
/// value that is not of the key's type or outside its range, naming key, value and where it stands.
/// Source: Flink's Configuration and GlobalConfiguration.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace dataflow {

/// Where a value comes from; a later one wins over an earlier one, whatever the order they are set in.
enum class config_layer : std::uint8_t { defaults, file, command_line, code };

std::string_view to_string(config_layer layer) noexcept;

class configuration {
public:
  /// One value and where it stands ("conf.yaml:12", "-D", "set in code").
  struct entry {
    std::string value;
    config_layer layer = config_layer::defaults;
    std::string origin;
  };

  configuration() = default;

  /// Sets one key; checked at once. A value of the same layer is replaced, one of a higher layer stays.
  configuration& set(std::string_view key, std::string value, config_layer layer = config_layer::code,
                     std::string origin = {});
  /// Reads "key=value", as it stands after -D.
  configuration& set_from_flag(std::string_view key_and_value);
  /// Reads a YAML file, keys nested or flat; a key that stands there twice is an error.
  configuration& load_file(const std::string& path);
  /// The same from its text; origin names it in errors.
  configuration& load_yaml(const std::string& text, const std::string& origin);
  /// All of these as values set in code (stream_graph's job_settings::configuration).
  configuration& set_all(const std::map<std::string, std::string>& values);

  // Typed reading; the default when nobody set the key. REQUIRES: the key is in the table with that type (else
  // errc::internal).
  std::string text(std::string_view key) const; ///< also of choices
  std::int64_t integer(std::string_view key) const;
  double real(std::string_view key) const;
  bool boolean(std::string_view key) const;
  std::chrono::nanoseconds duration(std::string_view key) const;
  std::uint64_t memory_size(std::string_view key) const; ///< bytes

  /// Somebody set it: it is not the default.
  bool is_set(std::string_view key) const;
  /// The value in force and where it comes from. Errors: unknown_option.
  entry lookup(std::string_view key) const;
  /// All values that were set, by key. A configuration sent elsewhere is this map.
  const std::map<std::string, entry>& values() const noexcept { return values_; }

  /// Every key with the value in force and its origin, a line each, in the table's order.
  std::string describe() const;

private:
  std::map<std::string, entry> values_;
};

} // namespace dataflow
