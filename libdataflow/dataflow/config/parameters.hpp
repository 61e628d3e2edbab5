/// The parameters of a job: what stands after the job's name on the command line, or in a file.
///
/// A job is a function of its parameters: they are captured at submission together with the files that file() read, and
/// replayed wherever the job is built again.
/// Threading: one thread at a time; copies are independent values, but share the record of what was asked for.
/// Ownership: owns its text. Errors: missing_parameter, invalid_option (a value of the wrong type), unknown_option.
/// Source: Flink's ParameterTool and MultipleParameterTool.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace dataflow {

class parameters {
public:
  parameters();

  /// "--key value", "--key=value", "-key value", and flags: a key that is followed by another key or by nothing is
  /// "true". Negative numbers are values. A key may stand there several times.
  /// Errors: invalid_option for text where a key is expected.
  static parameters from_args(const std::vector<std::string>& args);
  static parameters from_args(int argc, const char* const* argv); ///< without argv[0]
  /// "key=value", "key: value" or "key value" lines; '#' and '!' begin comments.
  static parameters from_properties(std::string_view text, const std::string& origin = "properties");
  /// A .yaml or .yml file (nested keys are joined by dots), anything else is read as properties.
  static parameters from_file(const std::string& path);
  static parameters from_map(const std::map<std::string, std::string>& values);

  /// These and the other's; where both have a key, the other's values replace these.
  parameters merged_with(const parameters& other) const;
  parameters& set(std::string key, std::string value);

  bool has(std::string_view key) const;
  /// All values of a key, in order; empty when it was not given.
  std::vector<std::string> get_all(std::string_view key) const;
  /// The last value of a key, read as the type of the default: text, whole number (must fit), double, bool,
  /// or a std::chrono duration ("5 s", "100ms").
  std::string get(std::string_view key, const char* fallback) const { return text_or(key, fallback); }
  std::string get(std::string_view key, const std::string& fallback) const { return text_or(key, fallback); }
  std::string get(std::string_view key, std::string_view fallback) const { return text_or(key, fallback); }
  bool get(std::string_view key, bool fallback) const;
  double get(std::string_view key, double fallback) const;
  template <class T>
  requires(std::integral<T> && !std::same_as<T, bool>) T get(std::string_view key, T fallback)
  const {
    if constexpr (std::is_unsigned_v<T> && sizeof(T) == 8)
      return static_cast<T>(unsigned_or(key, fallback));
    else
      return static_cast<T>(integer_or(key, fallback, std::int64_t{std::numeric_limits<T>::min()},
                                       std::int64_t{std::numeric_limits<T>::max()}));
  }
  template <class Rep, class Period>
  std::chrono::duration<Rep, Period> get(std::string_view key, std::chrono::duration<Rep, Period> fallback) const {
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(fallback);
    const auto got = duration_or(key, ns);
    return got == ns ? fallback : std::chrono::duration_cast<std::chrono::duration<Rep, Period>>(got);
  }
  /// A flag: given without a value, or with one that reads as true.
  bool flag(std::string_view key) const { return get(key, false); }
  /// As get, but the key must have been given. Errors: missing_parameter.
  std::string require(std::string_view key) const;
  template <class T>
  T require(std::string_view key) const {
    (void)require(key);
    if constexpr (std::is_same_v<T, std::string>)
      return require(key);
    else
      return get(key, T{});
  }

  /// The content of a file, captured at the first call: what the job reads while it builds its graph comes from here,
  /// so that every later build of the same submission sees the same bytes.
  /// Errors: as read_file_contents; invalid_argument when files are sealed and this one was not captured.
  std::string file(const std::string& path) const;
  /// Files read so far, by path as it was given.
  const std::map<std::string, std::string>& captured_files() const;
  /// Takes these contents for the files, and reads no others: a replayed submission.
  parameters& replay_files(std::map<std::string, std::string> contents);

  /// All that was given, in the order of keys.
  const std::map<std::string, std::vector<std::string>>& values() const noexcept { return values_; }
  std::vector<std::string> to_args() const;

  /// What the job asked for so far.
  struct asked {
    std::string key, type, fallback;
    bool required = false;
  };
  std::vector<asked> asked_for() const; ///< in the order of keys
  /// Given, but never asked for; with the asked-for key that was probably meant, or empty.
  struct unused {
    std::string key, suggestion;
  };
  std::vector<unused> unused_keys() const;
  /// Call it when the graph is built. Errors: unknown_option for an unused key that is close to one asked for, or to
  /// one of `also_known` (flags of the command line, which belong before the job's name).
  /// Returns warnings for the other unused keys, a line each.
  std::vector<std::string> check_unused(const std::vector<std::string>& also_known = {}) const;

private:
  struct record; // of what was asked for, and of the captured files; shared by copies

  const std::string* last(std::string_view key) const;
  void note(std::string_view key, std::string_view type, std::string fallback, bool required = false) const;
  std::string text_or(std::string_view key, std::string_view fallback) const;
  std::int64_t integer_or(std::string_view key, std::int64_t fallback, std::int64_t least, std::int64_t most) const;
  std::uint64_t unsigned_or(std::string_view key, std::uint64_t fallback) const;
  std::chrono::nanoseconds duration_or(std::string_view key, std::chrono::nanoseconds fallback) const;

  std::map<std::string, std::vector<std::string>> values_;
  std::shared_ptr<record> record_;
};

} // namespace dataflow
