#include <dataflow/resources/command_template.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>

namespace dataflow {

namespace {

struct place {
  std::size_t begin, end; // with the braces
  std::string_view name;
};

/// The first one at or behind `from`; its begin is npos when there is none.
place next_place(std::string_view text, std::size_t from) {
  for (auto begin = text.find('{', from); begin != std::string_view::npos; begin = text.find('{', begin + 1)) {
    if (begin > 0 && text[begin - 1] == '$') continue;
    const auto end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", begin + 1);
    if (end == std::string_view::npos || end == begin + 1 || text[end] != '}') continue;
    return {begin, end + 1, text.substr(begin + 1, end - begin - 1)};
  }
  return {std::string_view::npos, std::string_view::npos, {}};
}

} // namespace

command_template::command_template(std::string text, std::string_view key,
                                   const std::vector<std::string_view>& required,
                                   const std::vector<std::string_view>& optional)
    : text_(std::move(text)) {
  std::string known;
  for (const auto* names : {&required, &optional})
    for (auto name : *names)
      known += (known.empty() ? "{" : ", {") + std::string{name} + "}";
  std::vector<std::string_view> found;
  for (auto p = next_place(text_, 0); p.begin != std::string::npos; p = next_place(text_, p.end)) {
    for (const auto* names : {&required, &optional})
      if (std::find(names->begin(), names->end(), p.name) != names->end()) found.push_back(p.name);
    if (found.empty() || found.back() != p.name)
      throw error{errc::invalid_option,
                  std::string{key} + " has {" + std::string{p.name} + "}, for which there is no value",
                  "there are " + known};
  }
  for (auto name : required)
    if (std::find(found.begin(), found.end(), name) == found.end())
      throw error{errc::invalid_option, std::string{key} + " has no {" + std::string{name} + "}",
                  "let the command pass it on"};
}

std::string command_template::filled(const std::vector<std::pair<std::string_view, std::string>>& values) const {
  std::string out;
  std::size_t at = 0;
  for (auto p = next_place(text_, 0); p.begin != std::string::npos; p = next_place(text_, p.end)) {
    out += text_.substr(at, p.begin - at);
    for (const auto& [name, value] : values)
      if (name == p.name) out += value;
    at = p.end;
  }
  return out + text_.substr(at);
}

} // namespace dataflow
