/// A job manager's place among several: it stands by until it leads, and learns when it does not lead any more.
///
/// Threading: from the main thread; a thread of its own looks who leads, so that long work elsewhere does not look like
/// a death. Ownership: destroying it resigns.
#pragma once

#include <dataflow/actors/network/job_journal.hpp>
#include <dataflow/config/configuration.hpp>
#include <dataflow/high_availability/ha_services.hpp>
#include <dataflow/util/platform.hpp>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace dataflow::cli {

class leading {
public:
  /// `address`: where this job manager will listen.
  leading(const configuration& config, const std::string& address);
  ~leading();
  leading(const leading&) = delete;
  leading& operator=(const leading&) = delete;

  /// There are others: high-availability.type is not none.
  bool contested() const noexcept { return services_.election != nullptr; }
  /// Waits until it leads. Nothing when `stop` has said true before.
  std::shared_ptr<actors::job_journal> campaign(const std::function<bool()>& stop);
  /// Why it leads no more. REQUIRES: it has led.
  std::optional<error> lost();

private:
  void watch();

  ha_services services_;
  std::mutex mutex_; // guards all below
  std::condition_variable wake_;
  bool ending_ = false;
  std::optional<error> lost_;
  std::unique_ptr<thread_factory::thread> watcher_; // last: it is joined first
};

} // namespace dataflow::cli
