#include <dataflow/config/log_options.hpp>
#include <dataflow/util/error.hpp>

#include <apps/dataflow/log_reload.hpp>
#include <atomic>
#include <csignal>
#include <utility>

namespace dataflow::cli {

namespace {

std::atomic<int> hangups{0};
static_assert(std::atomic<int>::is_always_lock_free, "the handler may touch it");

extern "C" void note_hangup(int) { hangups.fetch_add(1); }

struct sigaction handling_before {};

/// What the file says now, under what the command line said.
configuration read_again(const configuration& before, const std::string& file) {
  configuration out;
  if (!file.empty()) out.load_file(file);
  for (const auto& [key, entry] : before.values())
    if (file.empty() || entry.layer > config_layer::file) out.set(key, entry.value, entry.layer, entry.origin);
  return out;
}

} // namespace

log_reload::log_reload(configuration config, std::string file, std::string node)
    : config_(std::move(config)), file_(std::move(file)), node_(std::move(node)), seen_(hangups.load()) {
  configure_log(log_settings_of(config_, node_));
  struct sigaction action {};
  action.sa_handler = note_hangup;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGHUP, &action, &handling_before);
}

log_reload::~log_reload() { ::sigaction(SIGHUP, &handling_before, nullptr); }

void log_reload::poll() {
  const int now = hangups.load();
  if (std::exchange(seen_, now) == now) return;
  const log_fields here{"log", {}, {}};
  try {
    const auto settings = log_settings_of(read_again(config_, file_), node_);
    configure_log(settings);
    log_info(here, "SIGHUP: the configuration of the log was read again; its level is " +
                       std::string{to_string(settings.level)});
  } catch (const error& e) {
    log_error(here, "SIGHUP: the log goes on as before: " + e.to_string());
  }
}

} // namespace dataflow::cli
