/// Which records of a polled batch belong to which split of the source: watermarks are kept per split.
///
/// Threading: a value; made by a reader, read by the task. Cost: one mark per change of split, not per record.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

class split_marks {
public:
  struct mark {
    std::size_t begin = 0; ///< the record from which it counts
    std::string split;
    bool finished = false; ///< the split is read: it holds nothing back any more
  };
  void records_of(std::string_view split, std::size_t begin) {
    if (!marks_.empty() && !marks_.back().finished && marks_.back().split == split) return;
    marks_.push_back({begin, std::string{split}, false});
  }
  void finished(std::string_view split, std::size_t at) { marks_.push_back({at, std::string{split}, true}); }
  /// Ascending. Records before the first one belong to no split, as do those behind a finished one.
  const std::vector<mark>& all() const noexcept { return marks_; }
  bool empty() const noexcept { return marks_.empty(); }
  bool any_finished() const noexcept {
    for (auto& m : marks_)
      if (m.finished) return true;
    return false;
  }
  void clear() noexcept { marks_.clear(); }

private:
  std::vector<mark> marks_;
};

} // namespace dataflow
