/// The enumerator of one source, at the job master: passes requests and assignments, remembers who has which split.
///
/// A split is either in the enumerator's snapshot or in that of the reader it was assigned to: while a checkpoint is
/// between the two, assignments are held back, so that they reach the reader behind the barrier's trigger. What was
/// assigned since a checkpoint is remembered until a later one is complete: it goes back when the reader starts again
/// from it.
/// Threading: the job master's. Source: Flink's SourceCoordinator.
#pragma once

#include <dataflow/checkpoint/state_assignment.hpp>
#include <dataflow/connectors/source.hpp>
#include <dataflow/graph/stream_graph.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dataflow::actors {

class source_coordinator final : enumerator_context {
public:
  /// Carries what the enumerator decides to a reader's task.
  struct sender {
    std::function<void(std::uint32_t subtask, source_split split)> assign;
    std::function<void(std::uint32_t subtask)> no_more_splits;
  };
  source_coordinator(std::string name, source_factories source, std::uint32_t parallelism, dataflow::platform& world,
                     sender send);
  ~source_coordinator() override;

  /// A new enumerator from the beginning; may block.
  void start();
  /// A new enumerator that goes on from a snapshot; so do all readers.
  void restore(const enumerator_restore& from);
  void reader_registered(std::uint32_t subtask);
  void split_requested(std::uint32_t subtask);
  /// The reader starts again from a checkpoint (0: from its beginning): what it was given since goes back.
  void reader_restarted(std::uint32_t subtask, std::uint64_t checkpoint);

  /// Assigns nothing until release(): the barriers are about to begin.
  std::string snapshot(std::uint64_t checkpoint);
  void release();
  /// `oldest`: of the complete checkpoints that are kept; nobody will start again from an earlier one.
  void checkpoint_completed(std::uint64_t checkpoint, std::uint64_t oldest);

private:
  std::uint32_t parallelism() const noexcept override { return parallelism_; }
  void assign(std::uint32_t subtask, source_split split) override;
  void no_more_splits(std::uint32_t subtask) override;
  dataflow::platform& platform() noexcept override { return world_; }
  template <class F>
  void guarded(F&& f);
  template <class F>
  void begin(F&& make);

  const std::string name_;
  const source_factories source_;
  const std::uint32_t parallelism_;
  dataflow::platform& world_;
  sender send_;
  std::unique_ptr<split_enumerator> enumerator_;
  using assignments = std::map<std::uint32_t, std::vector<source_split>>; // by subtask
  std::uint64_t forgotten_ = 0;                        // what was assigned before this checkpoint is not known any more
  assignments since_;                                  // the last snapshot
  std::map<std::uint64_t, assignments> by_checkpoint_; // what is in it and was not in the one before
  /// What is held back: a split, or the word that there are no more.
  struct held_message {
    std::uint32_t subtask;
    std::optional<source_split> split;
  };
  bool held_ = false;
  std::vector<held_message> waiting_;
};

} // namespace dataflow::actors
