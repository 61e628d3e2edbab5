#include <dataflow/config/units.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <vector>

namespace dataflow {

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out{text};
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

struct unit {
  std::uint64_t factor;
  std::vector<std::string_view> names;
};

const std::vector<unit>& duration_units() {
  static const std::vector<unit> units{
      {1, {"ns", "nano", "nanos", "nanosecond", "nanoseconds"}},
      {1'000, {"us", "µs", "micro", "micros", "microsecond", "microseconds"}},
      {1'000'000, {"ms", "", "milli", "millis", "millisecond", "milliseconds"}},
      {1'000'000'000, {"s", "sec", "secs", "second", "seconds"}},
      {60'000'000'000, {"min", "m", "minute", "minutes"}},
      {3'600'000'000'000, {"h", "hour", "hours"}},
      {86'400'000'000'000, {"d", "day", "days"}},
  };
  return units;
}

const std::vector<unit>& size_units() {
  static const std::vector<unit> units{
      {1, {"bytes", "", "b", "byte"}},
      {std::uint64_t{1} << 10, {"kb", "k", "kib", "kibibytes"}},
      {std::uint64_t{1} << 20, {"mb", "m", "mib", "mebibytes"}},
      {std::uint64_t{1} << 30, {"gb", "g", "gib", "gibibytes"}},
      {std::uint64_t{1} << 40, {"tb", "t", "tib", "tebibytes"}},
  };
  return units;
}

/// number x unit, at most `largest`.
std::optional<std::uint64_t> parse_scaled(std::string_view text, const std::vector<unit>& units,
                                          std::uint64_t largest) {
  text = trim(text);
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{}) return std::nullopt;
  const auto name = lower(trim(text.substr(static_cast<std::size_t>(end - text.data()))));
  for (const auto& u : units) {
    if (std::find(u.names.begin(), u.names.end(), name) == u.names.end()) continue;
    if (number > largest / u.factor) return std::nullopt;
    return number * u.factor;
  }
  return std::nullopt;
}

std::string format_scaled(std::uint64_t value, const std::vector<unit>& units) {
  for (auto u = units.rbegin(); u != units.rend(); ++u) {
    if (value % u->factor == 0 && (value != 0 || u->names[1].empty()))
      return std::to_string(value / u->factor) + " " + std::string{u->names.front()};
  }
  return std::to_string(value);
}

} // namespace

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  constexpr auto largest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const auto ns = parse_scaled(text, duration_units(), largest);
  if (!ns) return std::nullopt;
  return std::chrono::nanoseconds{static_cast<std::int64_t>(*ns)};
}

std::optional<std::uint64_t> parse_memory_size(std::string_view text) {
  return parse_scaled(text, size_units(), static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
}

std::optional<bool> parse_bool(std::string_view text) {
  const auto word = lower(trim(text));
  if (word == "true") return true;
  if (word == "false") return false;
  return std::nullopt;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  text = trim(text);
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  std::int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_real(std::string_view text) {
  text = trim(text);
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string format_duration(std::chrono::nanoseconds d) {
  const auto count = d.count();
  const auto magnitude = count < 0 ? ~static_cast<std::uint64_t>(count) + 1 : static_cast<std::uint64_t>(count);
  std::string out = count < 0 ? "-" : "";
  return out += format_scaled(magnitude, duration_units());
}

std::string format_memory_size(std::uint64_t bytes) { return format_scaled(bytes, size_units()); }

} // namespace dataflow
