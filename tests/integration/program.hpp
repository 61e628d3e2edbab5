/// Runs programs as a user does: arguments in, output and exit code out.
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

namespace dataflow::test {

struct outcome {
  int code = -1; ///< 128 + signal when one ended it
  std::string out, err;
};

/// A program under way.
class program {
public:
  enum class error_stream { pipe, terminal }; ///< of a terminal of 100 columns and 30 rows
  explicit program(const std::vector<std::string>& arguments, error_stream kind = error_stream::pipe);
  ~program(); ///< kills it when it still runs
  program(const program&) = delete;

  /// Reads standard error until `text` has come `times` times since the start, or the end. True when it has.
  bool wait_for_error(const std::string& text, int times = 1);
  /// The same of standard output.
  bool wait_for_output(const std::string& text);
  /// Waits for a whole line with `text` and returns what follows the text in it. Throws when the program ends before.
  std::string wait_for_line(const std::string& text);
  /// Reads what it has written by now, without waiting.
  void read_what_is_there();
  /// What has been read of it so far.
  const std::string& error_so_far() const noexcept { return result_.err; }
  void signal(int number);
  pid_t pid() const noexcept { return pid_; }
  outcome wait();

private:
  bool read_some(int patience = -1);

  pid_t pid_ = -1;
  int out_ = -1, err_ = -1;
  outcome result_;
};

/// build/<preset>/dataflow with these arguments.
outcome dataflow(std::vector<std::string> arguments);
std::vector<std::string> dataflow_command(std::vector<std::string> arguments);

/// A directory of one's own, removed in the end.
class scratch {
public:
  scratch();
  ~scratch();
  scratch(const scratch&) = delete;
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  /// Writes a file and returns its path.
  std::string file(const std::string& name, const std::string& content) const;

private:
  std::string directory_;
};

} // namespace dataflow::test
