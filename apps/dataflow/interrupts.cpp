#include <apps/dataflow/interrupts.hpp>
#include <atomic>
#include <csignal>
#include <unistd.h>

namespace dataflow::cli {

namespace {

std::atomic<int> first_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "the handler may touch it");

extern "C" void note_or_abort(int signal) {
  int none = 0;
  if (first_signal.compare_exchange_strong(none, signal)) return;
  constexpr char text[] = "\naborted\n";
  [[maybe_unused]] const auto n = ::write(STDERR_FILENO, text, sizeof text - 1);
  ::_exit(128 + signal);
}

void handle_with(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

} // namespace

interrupts::interrupts() { handle_with(note_or_abort); }

interrupts::~interrupts() { handle_with(SIG_DFL); }

int interrupts::received() noexcept { return first_signal.load(); }

} // namespace dataflow::cli
