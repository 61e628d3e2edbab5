/// The enumerator of one source, at the job master: passes requests and assignments, remembers who has which split.
///
/// Threading: the job master's. Source: Flink's SourceCoordinator.
#pragma once

#include <dataflow/connectors/source.hpp>
#include <dataflow/graph/stream_graph.hpp>

#include <functional>
#include <map>
#include <memory>
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
  void reader_registered(std::uint32_t subtask);
  void split_requested(std::uint32_t subtask);
  /// The reader starts again from its beginning: what it was given goes back.
  void reader_restarted(std::uint32_t subtask);

private:
  std::uint32_t parallelism() const noexcept override { return parallelism_; }
  void assign(std::uint32_t subtask, source_split split) override;
  void no_more_splits(std::uint32_t subtask) override;
  dataflow::platform& platform() noexcept override { return world_; }
  template <class F>
  void guarded(F&& f);

  const std::string name_;
  const source_factories source_;
  const std::uint32_t parallelism_;
  dataflow::platform& world_;
  sender send_;
  std::unique_ptr<split_enumerator> enumerator_;
  std::map<std::uint32_t, std::vector<source_split>> assigned_;
};

} // namespace dataflow::actors
