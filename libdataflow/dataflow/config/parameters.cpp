#include <dataflow/config/parameters.hpp>
#include <dataflow/config/units.hpp>
#include <dataflow/config/yaml.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_contents.hpp>
#include <dataflow/util/suggest.hpp>

#include <charconv>

namespace dataflow {

struct parameters::record {
  std::map<std::string, asked, std::less<>> asked_for;
  std::map<std::string, std::string> files;
  bool sealed = false;
};

namespace {

/// "-x", "--x", but not "-1" or "-.5", which are values.
bool is_key(const std::string& text) {
  if (text.size() < 2 || text[0] != '-') return false;
  if (text.starts_with("--")) return true;
  return !parse_real(text).has_value();
}

[[noreturn]] void bad_value(std::string_view key, const std::string& value, const std::string& advice) {
  throw error{errc::invalid_option, "parameter --" + std::string{key} + ": \"" + value + "\" is no valid value",
              advice};
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

bool ends_with_any(const std::string& path, std::initializer_list<std::string_view> endings) {
  for (const auto e : endings)
    if (path.ends_with(e)) return true;
  return false;
}

} // namespace

parameters::parameters() : record_(std::make_shared<record>()) {}

parameters parameters::from_args(const std::vector<std::string>& args) {
  parameters out;
  for (std::size_t i = 0; i < args.size();) {
    const auto& arg = args[i++];
    if (!is_key(arg)) {
      throw error{errc::invalid_option, "\"" + arg + "\" stands where a parameter's name is expected",
                  "write --name value or --name=value"};
    }
    auto key = arg.substr(arg.starts_with("--") ? 2 : 1);
    std::string value = "true";
    if (const auto equals = key.find('='); equals != std::string::npos) {
      value = key.substr(equals + 1);
      key.resize(equals);
    } else if (i < args.size() && !is_key(args[i])) {
      value = args[i++];
    }
    if (key.empty()) throw error{errc::invalid_option, "\"" + arg + "\" has no name", "write --name value"};
    out.values_[key].push_back(value);
  }
  return out;
}

parameters parameters::from_args(int argc, const char* const* argv) {
  return from_args(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}

parameters parameters::from_properties(std::string_view text, const std::string& origin) {
  parameters out;
  std::size_t line_number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto line = trimmed(text.substr(at, end - at));
    at = end + 1;
    ++line_number;
    if (line.empty() || line.front() == '#' || line.front() == '!') continue;
    const auto separator = line.find_first_of("=: \t");
    const auto key = trimmed(line.substr(0, separator));
    if (key.empty()) {
      throw error{errc::invalid_option, origin + ":" + std::to_string(line_number) + ": a value without a name",
                  "write name=value"};
    }
    std::string_view value;
    if (separator != std::string_view::npos) {
      value = trimmed(line.substr(separator));
      if (!value.empty() && (value.front() == '=' || value.front() == ':')) value = trimmed(value.substr(1));
    }
    out.values_[std::string{key}] = {std::string{value}};
  }
  return out;
}

parameters parameters::from_file(const std::string& path) {
  const auto text = read_file_contents(path);
  if (!ends_with_any(path, {".yaml", ".yml"})) return from_properties(text, path);
  parameters out;
  for (auto& item : flatten_yaml(text, path))
    out.values_[item.key] = {std::move(item.value)};
  return out;
}

parameters parameters::from_map(const std::map<std::string, std::string>& values) {
  parameters out;
  for (const auto& [key, value] : values)
    out.values_[key] = {value};
  return out;
}

parameters parameters::merged_with(const parameters& other) const {
  auto out = *this;
  for (const auto& [key, list] : other.values_)
    out.values_[key] = list;
  return out;
}

parameters& parameters::set(std::string key, std::string value) {
  values_[std::move(key)] = {std::move(value)};
  return *this;
}

const std::string* parameters::last(std::string_view key) const {
  const auto found = values_.find(std::string{key});
  return found == values_.end() || found->second.empty() ? nullptr : &found->second.back();
}

void parameters::note(std::string_view key, std::string_view type, std::string fallback, bool required) const {
  auto& entry = record_->asked_for[std::string{key}];
  if (!entry.key.empty() && !entry.required) return; // the first question tells the default
  const bool was_required = entry.required;
  entry = {std::string{key}, std::string{type}, std::move(fallback), required || was_required};
}

bool parameters::has(std::string_view key) const {
  note(key, "flag", "");
  return last(key) != nullptr;
}

std::vector<std::string> parameters::get_all(std::string_view key) const {
  note(key, "text, may be repeated", "");
  const auto found = values_.find(std::string{key});
  return found == values_.end() ? std::vector<std::string>{} : found->second;
}

std::string parameters::text_or(std::string_view key, std::string_view fallback) const {
  note(key, "text", std::string{fallback});
  const auto* value = last(key);
  return value ? *value : std::string{fallback};
}

bool parameters::get(std::string_view key, bool fallback) const {
  note(key, "true or false", fallback ? "true" : "false");
  const auto* value = last(key);
  if (!value) return fallback;
  if (const auto b = parse_bool(*value)) return *b;
  bad_value(key, *value, "write true or false");
}

double parameters::get(std::string_view key, double fallback) const {
  char buffer[32];
  const auto written = std::to_chars(buffer, buffer + sizeof buffer, fallback);
  note(key, "number", std::string{buffer, written.ptr});
  const auto* value = last(key);
  if (!value) return fallback;
  if (const auto number = parse_real(*value)) return *number;
  bad_value(key, *value, "a number is expected");
}

std::int64_t parameters::integer_or(std::string_view key, std::int64_t fallback, std::int64_t least,
                                    std::int64_t most) const {
  note(key, "whole number", std::to_string(fallback));
  const auto* value = last(key);
  if (!value) return fallback;
  const auto number = parse_integer(*value);
  if (!number) bad_value(key, *value, "a whole number is expected");
  if (*number < least || *number > most)
    bad_value(key, *value,
              "a whole number from " + std::to_string(least) + " to " + std::to_string(most) + " is expected");
  return *number;
}

std::uint64_t parameters::unsigned_or(std::string_view key, std::uint64_t fallback) const {
  note(key, "whole number", std::to_string(fallback));
  const auto* value = last(key);
  if (!value) return fallback;
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(value->data(), value->data() + value->size(), number);
  if (failed != std::errc{} || end != value->data() + value->size())
    bad_value(key, *value, "a whole number that is not negative is expected");
  return number;
}

std::chrono::nanoseconds parameters::duration_or(std::string_view key, std::chrono::nanoseconds fallback) const {
  note(key, "duration", format_duration(fallback));
  const auto* value = last(key);
  if (!value) return fallback;
  if (const auto d = parse_duration(*value)) return *d;
  bad_value(key, *value, "write a duration such as \"100 ms\" or \"1 min\"");
}

std::string parameters::require(std::string_view key) const {
  note(key, "text", "", true);
  if (const auto* value = last(key)) return *value;
  std::vector<std::string> given;
  for (const auto& [name, list] : values_)
    if (!record_->asked_for.contains(name)) given.push_back(name);
  const auto name = "--" + std::string{key};
  auto advice = "add " + name + " <value> after the job's name";
  if (const auto near = nearest_name(key, given)) advice = "--" + *near + " was given; did you mean " + name + "?";
  throw error{errc::missing_parameter, "the job needs the parameter " + name, advice};
}

std::string parameters::file(const std::string& path) const {
  if (const auto found = record_->files.find(path); found != record_->files.end()) return found->second;
  if (record_->sealed) {
    throw error{errc::invalid_argument, path + " was not read when the job was submitted",
                "a job must read the same files whenever its graph is built"};
  }
  return record_->files.emplace(path, read_file_contents(path)).first->second;
}

const std::map<std::string, std::string>& parameters::captured_files() const { return record_->files; }

parameters& parameters::replay_files(std::map<std::string, std::string> contents) {
  record_ = std::make_shared<record>();
  record_->files = std::move(contents);
  record_->sealed = true;
  return *this;
}

std::vector<std::string> parameters::to_args() const {
  std::vector<std::string> out;
  for (const auto& [key, list] : values_)
    for (const auto& value : list)
      out.push_back("--" + key + "=" + value);
  return out;
}

std::vector<parameters::asked> parameters::asked_for() const {
  std::vector<asked> out;
  for (const auto& [key, entry] : record_->asked_for)
    out.push_back(entry);
  return out;
}

std::vector<parameters::unused> parameters::unused_keys() const {
  std::vector<std::string> candidates; // a key that was asked for and given cannot have been meant
  for (const auto& [key, entry] : record_->asked_for)
    if (!values_.contains(key)) candidates.push_back(key);
  std::vector<unused> out;
  for (const auto& [key, list] : values_)
    if (!record_->asked_for.contains(key)) out.push_back({key, nearest_name(key, candidates).value_or("")});
  return out;
}

std::vector<std::string> parameters::check_unused(const std::vector<std::string>& also_known) const {
  std::vector<std::string> warnings;
  for (const auto& u : unused_keys()) {
    const auto cause = "the job does not ask for the parameter --" + u.key;
    if (!u.suggestion.empty()) throw error{errc::unknown_option, cause, "did you mean --" + u.suggestion + "?"};
    if (const auto flag = nearest_name(u.key, also_known))
      throw error{errc::unknown_option, cause, "did you mean --" + *flag + ", a flag of the command line?"};
    warnings.push_back(cause);
  }
  return warnings;
}

} // namespace dataflow
