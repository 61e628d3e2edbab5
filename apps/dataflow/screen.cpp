#include <algorithm>
#include <apps/dataflow/screen.hpp>
#include <sys/ioctl.h>
#include <unistd.h>

namespace dataflow::cli {

screen::streams screen::streams::of_process() {
  streams kind;
  kind.out_is_terminal = ::isatty(STDOUT_FILENO) == 1;
  kind.err_is_terminal = ::isatty(STDERR_FILENO) == 1;
  winsize size{};
  if (kind.err_is_terminal && ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
    kind.columns = size.ws_col;
    kind.rows = size.ws_row;
  }
  return kind;
}

screen::screen(platform& world, streams kind, bool to_err)
    : world_(world), out_(world.out), err_(world.err), kind_(kind), to_err_(to_err) {
  world_.out = this;
}

screen::~screen() {
  clear();
  world_.out = out_;
}

void screen::erase() {
  if (lines_ == 0) return;
  err_->write("\x1b[" + std::to_string(lines_) + "A\x1b[J"); // up, and clear to the end
  lines_ = 0;
}

void screen::write(std::string_view text) {
  const std::lock_guard guard{mutex_};
  if (kind_.out_is_terminal || to_err_) erase(); // the block comes back with the next show()
  (to_err_ ? err_ : out_)->write(text);
}

void screen::show(const std::string& block) {
  const std::lock_guard guard{mutex_};
  erase();
  err_->write(block);
  lines_ = static_cast<std::size_t>(std::count(block.begin(), block.end(), '\n'));
}

void screen::clear() {
  const std::lock_guard guard{mutex_};
  erase();
}

} // namespace dataflow::cli
