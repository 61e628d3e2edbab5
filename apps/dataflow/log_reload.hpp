/// SIGHUP to a process that stays: the configuration file is read again, and its log.* keys hold from then on. A log
/// file is opened anew, so that tools that move log files away may do so.
///
/// Threading: poll() from one thread. One instance per process, while the signal handlers of `interrupts` are in place.
#pragma once

#include <dataflow/config/configuration.hpp>

#include <string>

namespace dataflow::cli {

class log_reload {
public:
  /// Logs as `config` says, from now on. `file`: where it was read from; empty: the keys stay as they are. `node`: see
  /// log_settings_of().
  log_reload(configuration config, std::string file, std::string node = {});
  /// SIGHUP has the meaning again that it had before.
  ~log_reload();
  log_reload(const log_reload&) = delete;
  log_reload& operator=(const log_reload&) = delete;

  /// Does what a signal that came meanwhile asks for. A file that cannot be read or is wrong is logged, and the log
  /// goes on as before.
  void poll();

private:
  const configuration config_;
  const std::string file_, node_;
  int seen_ = 0;
};

} // namespace dataflow::cli
