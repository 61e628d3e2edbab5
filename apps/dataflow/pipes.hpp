/// Words between this process and one that it has started.
///
/// Threading: any thread; each call blocks until it is done. A call that a signal interrupts goes on.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>

namespace dataflow::cli {

/// False when nobody reads any more.
bool write_all(int fd, std::string_view bytes);
/// Until the other side has closed its end.
std::string read_all(int fd);
/// The status of a child that has ended, as waitpid() gives it.
int wait_for_child(pid_t child);

} // namespace dataflow::cli
