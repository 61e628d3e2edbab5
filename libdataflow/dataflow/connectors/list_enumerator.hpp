/// The enumerator of sources whose splits are known at the start: a list that is handed out on request.
///
/// Threading, ownership, errors: as split_enumerator.
#pragma once

#include <dataflow/connectors/source.hpp>

#include <deque>
#include <functional>

namespace dataflow {

/// Who gets a split.
enum class split_assignment : std::uint8_t {
  first_come, ///< whoever asks first: a fast reader reads more
  by_number,  ///< split k goes to subtask k modulo the parallelism; ids must be numbers
};

class list_enumerator final : public split_enumerator {
public:
  using discover_function = std::function<std::vector<source_split>(enumerator_context&)>;

  /// `discover` is called at the start, once.
  list_enumerator(discover_function discover, split_assignment how);
  /// Goes on from a snapshot; discovers only when the snapshot was taken before the start.
  list_enumerator(discover_function discover, split_assignment how, const std::string& snapshot);

  void start(enumerator_context& context) override;
  void split_requested(enumerator_context& context, std::uint32_t subtask) override;
  void splits_returned(enumerator_context& context, std::uint32_t subtask, std::vector<source_split> splits) override;
  std::string snapshot(std::uint64_t checkpoint) override;

private:
  discover_function discover_;
  split_assignment how_;
  bool discovered_ = false;
  std::deque<source_split> pending_;
};

} // namespace dataflow
