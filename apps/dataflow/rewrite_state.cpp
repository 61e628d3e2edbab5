// `dataflow state rewrite`: a copy of a savepoint whose values a command of the user's has changed.
#include <dataflow/checkpoint/state_rewrite.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/platform.hpp>

#include <apps/dataflow/commands.hpp>
#include <apps/dataflow/exit_codes.hpp>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sys/wait.h>

namespace dataflow::cli {

namespace {

/// Files that are removed when the command is over.
struct scratch {
  file_system& files;
  std::string directory;
  scratch(file_system& f, const std::string& parent)
      : files(f), directory(f.temporary_name(parent, "dataflow-rewrite-")) {
    files.create_directories(directory);
  }
  scratch(const scratch&) = delete;
  ~scratch() {
    try {
      files.remove_all(directory);
    } catch (const error&) { // temporary files: whoever cleans the disk removes them
    }
  }
};

/// Runs a command line of the shell, its input and output from and to files.
void run_command(const std::string& command, const std::string& in, const std::string& out) {
  const auto line = "(" + command + "\n) < '" + in + "' > '" + out + "'";
  const auto status = std::system(line.c_str());
  if (status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  const auto how = status == -1        ? std::string{"could not be started"}
                   : WIFEXITED(status) ? "ended with " + std::to_string(WEXITSTATUS(status))
                                       : "was killed by signal " + std::to_string(WTERMSIG(status));
  throw error{errc::invalid_argument, "the command `" + command + "` " + how,
              "nothing was written; its messages are above"};
}

} // namespace

int rewrite_state(const command_line& line, const std::string& uid, const std::string& state) {
  auto& a = line.state;
  auto& files = *system_platform().files;
  file_checkpoint_storage storage{files, "", "", 0};
  state_rewrite change{storage, a.checkpoint, uid, state};
  if (files.exists(a.to) && !files.list(a.to).empty())
    throw error{errc::invalid_argument, "'" + a.to + "' is not empty", "name a directory for the new savepoint"};
  const scratch there{files, ""};
  const auto before = there.directory + "/before", after = there.directory + "/after";
  std::uint64_t entries = 0;
  {
    const auto out = files.open_write(before, write_mode::create_new);
    change.entries([&](const state_entry&, const std::string& json) {
      out->append(json + "\n");
      ++entries;
    });
    out->close();
  }
  run_command(a.with, before, after);
  std::ifstream in{after};
  const auto readable = [&] {
    if (!in.is_open() || in.bad())
      throw error{errc::io_failed, "what the command wrote cannot be read from '" + after + "'", "nothing was written"};
  };
  readable();
  for (std::string text; std::getline(in, text);)
    if (!text.empty()) change.put(text);
  readable();
  files.create_directories(a.to);
  std::uint64_t left = 0;
  try {
    left = change.write_to(a.to);
  } catch (...) {
    files.remove_all(a.to);
    throw;
  }
  const auto removed = entries - left;
  system_platform().out->write("State '" + a.state + "': " + std::to_string(left) + " entries" +
                               (removed > 0 ? ", " + std::to_string(removed) + " left out" : "") +
                               ".\nSavepoint written. Path: " + uri_of(a.to) + "\n");
  return exit_success;
}

} // namespace dataflow::cli
