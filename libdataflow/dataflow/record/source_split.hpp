/// A split: one part of a source's input.
#pragma once

#include <string>

namespace dataflow {

/// One part of a source's input, with the position where reading goes on. Crosses processes and is stored as it is.
struct source_split {
  std::string id;      ///< unique within the source; names the split in errors and metrics
  std::string payload; ///< the source's own encoding of what to read and from where
  friend bool operator==(const source_split&, const source_split&) = default;
};

} // namespace dataflow
