#include <dataflow/config/configuration.hpp>
#include <dataflow/config/options.hpp>
#include <dataflow/config/units.hpp>
#include <dataflow/config/yaml.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_contents.hpp>
#include <dataflow/util/suggest.hpp>

namespace dataflow {

namespace {

const option& known(std::string_view key, const std::string& origin) {
  if (const auto* o = find_option(key)) return *o;
  const auto where = origin.empty() ? std::string{} : origin + ": ";
  throw error{errc::unknown_option, where + "there is no configuration key \"" + std::string{key} + "\"",
              did_you_mean(key, option_keys(), "`dataflow options` lists all keys")};
}

bool one_of(std::string_view choices, std::string_view value) {
  for (std::size_t at = 0; at <= choices.size();) {
    const auto end = std::min(choices.find('|', at), choices.size());
    if (choices.substr(at, end - at) == value) return true;
    at = end + 1;
  }
  return false;
}

/// "-1" is the one negative duration: it switches something off.
std::optional<std::chrono::nanoseconds> duration_or_off(const option& o, std::string_view value) {
  if (o.least < 0 && (value == "-1" || value == "-1ms" || value == "-1 ms")) return std::chrono::milliseconds{-1};
  return parse_duration(value);
}

std::string expected(const option& o) {
  switch (o.type) {
  case option_type::integer:
    return "a whole number is expected";
  case option_type::real:
    return "a number is expected";
  case option_type::boolean:
    return "write true or false";
  case option_type::duration:
    return "write a duration such as \"100 ms\", \"1 min\"";
  case option_type::memory_size:
    return "write a memory size such as \"64mb\"";
  case option_type::choice: {
    std::string out = "write one of ";
    for (const char c : o.choices)
      c == '|' ? out += ", " : out += c;
    return out;
  }
  case option_type::text:
    break;
  }
  return "text is expected";
}

std::string bound(const option& o, double value) {
  if (o.type == option_type::duration) return format_duration(std::chrono::nanoseconds{std::int64_t(value * 1e6)});
  if (o.type == option_type::memory_size) return format_memory_size(static_cast<std::uint64_t>(value));
  if (o.type == option_type::integer) return std::to_string(static_cast<std::int64_t>(value));
  auto text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

void check(const option& o, const std::string& value, const std::string& origin) {
  const auto fail = [&](const std::string& advice) {
    const auto where = origin.empty() ? std::string{} : origin + ": ";
    throw error{errc::invalid_option, where + std::string{o.key} + ": \"" + value + "\" is no valid value", advice};
  };
  std::optional<double> number;
  switch (o.type) {
  case option_type::text:
    return;
  case option_type::choice:
    if (!one_of(o.choices, value)) fail(expected(o));
    return;
  case option_type::boolean:
    if (!parse_bool(value)) fail(expected(o));
    return;
  case option_type::integer:
    if (const auto n = parse_integer(value)) number = static_cast<double>(*n);
    break;
  case option_type::real:
    number = parse_real(value);
    break;
  case option_type::duration:
    if (const auto d = duration_or_off(o, value)) number = static_cast<double>(d->count()) / 1e6;
    break;
  case option_type::memory_size:
    if (const auto n = parse_memory_size(value)) number = static_cast<double>(*n);
    break;
  }
  if (!number) fail(expected(o));
  if (*number < o.least) fail("the smallest value is " + bound(o, o.least));
  if (*number > o.most) fail("the largest value is " + bound(o, o.most));
}

} // namespace

std::string_view to_string(config_layer layer) noexcept {
  switch (layer) {
  case config_layer::defaults:
    return "default";
  case config_layer::file:
    return "file";
  case config_layer::command_line:
    return "command line";
  case config_layer::code:
    return "code";
  }
  return "unknown";
}

configuration& configuration::set(std::string_view key, std::string value, config_layer layer, std::string origin) {
  if (origin.empty()) origin = layer == config_layer::code ? "set in code" : std::string{to_string(layer)};
  const auto& o = known(key, origin);
  check(o, value, origin);
  auto& slot = values_[std::string{o.key}];
  if (slot.layer <= layer) slot = {std::move(value), layer, std::move(origin)};
  return *this;
}

configuration& configuration::set_from_flag(std::string_view key_and_value) {
  const auto equals = key_and_value.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw error{errc::invalid_option, "-D" + std::string{key_and_value} + " is no setting",
                "write -Dkey=value, for example -Dparallelism.default=4"};
  }
  const auto key = key_and_value.substr(0, equals);
  return set(key, std::string{key_and_value.substr(equals + 1)}, config_layer::command_line, "-D" + std::string{key});
}

configuration& configuration::load_file(const std::string& path) { return load_yaml(read_file_contents(path), path); }

configuration& configuration::load_yaml(const std::string& text, const std::string& origin) {
  std::map<std::string_view, std::string> seen;
  for (auto& item : flatten_yaml(text, origin)) {
    const auto& o = known(item.key, item.origin);
    const auto [earlier, fresh] = seen.emplace(o.key, item.origin);
    if (!fresh) {
      throw error{errc::invalid_option,
                  item.origin + ": " + item.key + " stands in this file twice, first at " + earlier->second,
                  "remove one of them"};
    }
    set(item.key, std::move(item.value), config_layer::file, item.origin);
  }
  return *this;
}

configuration& configuration::set_all(const std::map<std::string, std::string>& values) {
  for (const auto& [key, value] : values)
    set(key, value);
  return *this;
}

namespace {

/// The value in force of a key of that type.
std::string in_force(const std::map<std::string, configuration::entry>& values, std::string_view key,
                     std::initializer_list<option_type> types) {
  const auto* o = find_option(key);
  if (!o)
    throw error{errc::internal, "the code asks for the configuration key " + std::string{key} + ", not in the table"};
  bool fits = false;
  for (const auto t : types)
    fits = fits || t == o->type;
  if (!fits) {
    throw error{errc::internal, "the code asks for the configuration key " + std::string{key} +
                                    " as another type than " + std::string{to_string(o->type)}};
  }
  const auto found = values.find(std::string{o->key});
  return found == values.end() ? std::string{o->fallback} : found->second.value;
}

} // namespace

std::string configuration::text(std::string_view key) const {
  return in_force(values_, key, {option_type::text, option_type::choice});
}

std::int64_t configuration::integer(std::string_view key) const {
  return parse_integer(in_force(values_, key, {option_type::integer})).value();
}

double configuration::real(std::string_view key) const {
  return parse_real(in_force(values_, key, {option_type::real})).value();
}

bool configuration::boolean(std::string_view key) const {
  return parse_bool(in_force(values_, key, {option_type::boolean})).value();
}

std::chrono::nanoseconds configuration::duration(std::string_view key) const {
  const auto value = in_force(values_, key, {option_type::duration});
  return duration_or_off(*find_option(key), value).value();
}

std::uint64_t configuration::memory_size(std::string_view key) const {
  return parse_memory_size(in_force(values_, key, {option_type::memory_size})).value();
}

bool configuration::is_set(std::string_view key) const { return values_.contains(std::string{known(key, {}).key}); }

configuration::entry configuration::lookup(std::string_view key) const {
  const auto& o = known(key, {});
  const auto found = values_.find(std::string{o.key});
  if (found != values_.end()) return found->second;
  return {std::string{o.fallback}, config_layer::defaults, "default"};
}

std::string configuration::describe() const {
  std::string out;
  for (const auto& o : all_options()) {
    const auto e = lookup(o.key);
    out += std::string{o.key} + ": " + (e.value.empty() ? "\"\"" : e.value) + "  # " + e.origin + "\n";
  }
  return out;
}

} // namespace dataflow
