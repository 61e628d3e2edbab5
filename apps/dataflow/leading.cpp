#include <apps/dataflow/leading.hpp>
#include <poll.h>
#include <utility>

namespace dataflow::cli {

leading::leading(const configuration& config, const std::string& address)
    : services_(make_ha_services(config, system_platform(), address)) {}

leading::~leading() {
  {
    const std::lock_guard guard{mutex_};
    ending_ = true;
  }
  wake_.notify_all();
  watcher_.reset();
  if (services_.election) services_.election->resign();
}

std::shared_ptr<actors::job_journal> leading::campaign(const std::function<bool()>& stop) {
  while (!stop()) {
    const auto change = services_.election->poll();
    if (change.what == election_change::kind::granted) {
      watcher_ = system_platform().threads->start("leader election", [this] { watch(); });
      return std::make_shared<actors::job_journal>(services_.store, change.token, system_files());
    }
    ::poll(nullptr, 0, static_cast<int>(services_.poll_interval.count()));
  }
  return nullptr;
}

void leading::watch() {
  std::unique_lock lock{mutex_};
  while (!ending_ && !lost_) {
    lock.unlock();
    auto change = services_.election->poll();
    lock.lock();
    if (change.what == election_change::kind::lost) lost_ = std::move(change.why);
    wake_.wait_for(lock, services_.poll_interval, [this] { return ending_; });
  }
}

std::optional<error> leading::lost() {
  const std::lock_guard guard{mutex_};
  return lost_;
}

} // namespace dataflow::cli
