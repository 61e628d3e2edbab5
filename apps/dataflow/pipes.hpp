/// Processes that this one starts, and words between it and them.
///
/// Threading: any thread; start_process() waits for nothing but the start, each other call blocks until it is done. A
/// call that a signal interrupts goes on.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace dataflow::cli {

/// By which descriptor a process that was started has the end of a pipe that was given to it.
inline constexpr int inherited_descriptor = 3;

/// Starts a process in a session of its own. No signal is blocked there, and none of those that end it is ignored; of
/// this process's descriptors it has no others than these say. `arguments`: the program first. `log`: the file to whose
/// end it writes what it says on standard error; `output`: the same of standard output, empty: where this process has
/// its own. `pipe_end`: what becomes its inherited_descriptor; -1: nothing. Errors: those of file_error().
pid_t start_process(std::vector<std::string> arguments, const std::string& log, const std::string& output,
                    int pipe_end);

/// False when nobody reads any more.
bool write_all(int fd, std::string_view bytes);
/// Until the other side has closed its end.
std::string read_all(int fd);
/// The status of a child that has ended, as waitpid() gives it.
int wait_for_child(pid_t child);

} // namespace dataflow::cli
