#include <dataflow/config/yaml.hpp>
#include <dataflow/util/error.hpp>

#include <yaml-cpp/yaml.h>

namespace dataflow {

namespace {

struct flattener {
  const std::string& origin;
  std::vector<yaml_item> items;

  std::string at(const YAML::Node& node) const { return origin + ":" + std::to_string(node.Mark().line + 1); }

  [[noreturn]] void fail(const YAML::Node& node, const std::string& cause, const std::string& advice) const {
    throw error{errc::invalid_option, at(node) + ": " + cause, advice};
  }

  std::string scalar(const YAML::Node& node, const std::string& key) const {
    if (!node.IsScalar()) fail(node, key + ": a list may hold only single values", "write [a, b]");
    return node.Scalar();
  }

  void visit(const YAML::Node& node, const std::string& prefix) {
    for (const auto& child : node) {
      if (!child.first.IsScalar()) fail(child.first, "a key is expected", "write key: value");
      const auto key = prefix.empty() ? child.first.Scalar() : prefix + "." + child.first.Scalar();
      const auto& value = child.second;
      if (value.IsMap()) {
        visit(value, key);
      } else if (value.IsSequence()) {
        std::string joined;
        for (const auto& element : value) {
          if (!joined.empty()) joined += ';';
          joined += scalar(element, key);
        }
        items.push_back({key, joined, at(child.first)});
      } else if (value.IsScalar()) {
        items.push_back({key, value.Scalar(), at(child.first)});
      } else {
        fail(child.first, key + " has no value", "give it one, or remove the line");
      }
    }
  }
};

} // namespace

std::vector<yaml_item> flatten_yaml(const std::string& text, const std::string& origin) {
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::Exception& e) {
    throw error{errc::invalid_option, origin + ":" + std::to_string(e.mark.line + 1) + ": no valid YAML: " + e.msg,
                "write one \"key: value\" a line"};
  }
  flattener f{origin, {}};
  if (root.IsNull()) return {};
  if (!root.IsMap()) f.fail(root, "key: value pairs are expected", "write one \"key: value\" a line");
  f.visit(root, {});
  return std::move(f.items);
}

} // namespace dataflow
