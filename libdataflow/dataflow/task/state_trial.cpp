#include <dataflow/task/state_trial.hpp>
#include <dataflow/util/error.hpp>

#include <atomic>
#include <map>
#include <utility>

namespace dataflow {

namespace {

/// The services of a task that never runs.
class trial_host final : public chain_host {
public:
  explicit trial_host(const dataflow::platform& world) : world_(world) {}
  const dataflow::clock& clock() const noexcept override { return *world_.clock; }
  dataflow::platform& platform() noexcept override { return world_; }
  batch_pool::handle pool(const record_type& type) override {
    auto& p = pools_[&type];
    if (!p) p = batch_pool::make(type);
    return p;
  }
  accumulator& accumulator_of(std::string_view) override { return unused_; }
  accumulator& counter(std::size_t, std::string_view) override { return unused_; }
  void report_result(std::uint64_t, std::string) override {}

private:
  dataflow::platform world_;
  std::map<const record_type*, batch_pool::handle> pools_; // looked up, never walked
  accumulator unused_;
};

} // namespace

void try_states(const subtask_info& info, stage_config stage, unsigned inputs, const std::vector<state_info>& stored,
                const platform& world) {
  auto snapshot = std::make_shared<operator_snapshot>();
  for (auto& s : stored)
    snapshot->states[s.name].info = s;
  stage.restored = std::move(snapshot);
  const std::atomic<bool> pause{false};
  trial_host host{world};
  std::vector<stage_config> stages;
  stages.push_back(std::move(stage));
  operator_chain chain{info, std::move(stages), {}, {}, inputs, pause, host};
  try {
    chain.open();
  } catch (const error& e) {
    if (e.code() == errc::incompatible_state) throw;
  } catch (...) { // the job will say so, where the function was meant to run
  }
}

} // namespace dataflow
