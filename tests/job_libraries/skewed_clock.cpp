// Preloaded into a process whose clock is to be an hour ahead of that of the others. Its steady clock is as it was.
#include <ctime>
#include <sys/syscall.h>
#include <unistd.h>

extern "C" __attribute__((visibility("default"))) int clock_gettime(clockid_t which, timespec* time) noexcept {
  const auto failed = static_cast<int>(::syscall(SYS_clock_gettime, which, time));
  if (failed == 0 && which == CLOCK_REALTIME) time->tv_sec += 3600;
  return failed;
}
