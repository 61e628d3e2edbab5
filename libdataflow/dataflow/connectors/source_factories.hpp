/// What the graph keeps of a source: how to make its two halves.
///
/// Threading: copied freely; the functions may be called from any thread. Ownership: the functions share the source.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace dataflow {

class source_driver;
class split_enumerator;

/// The two halves of a source, without its type.
struct source_factories {
  bool bounded = true;
  bool blocking = false;
  std::function<std::unique_ptr<source_driver>()> make_reader;
  std::function<std::unique_ptr<split_enumerator>()> make_enumerator;
  std::function<std::unique_ptr<split_enumerator>(const std::string&)> restore_enumerator;
};

} // namespace dataflow
