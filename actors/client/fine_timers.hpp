/// For whoever makes an actor_system: its threads are to wake up in time.
///
/// Threading: of the thread that holds it, and of those that it starts meanwhile.
#pragma once

#include <sys/prctl.h>

namespace dataflow::actors {

/// Threads inherit their creator's timer slack: with the default of 50 us every wait for a time is late by that much.
class fine_timers {
public:
  fine_timers() : before_(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0)) { prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0); }
  ~fine_timers() {
    if (before_ > 0) prctl(PR_SET_TIMERSLACK, static_cast<unsigned long>(before_), 0, 0, 0);
  }

private:
  int before_;
};

} // namespace dataflow::actors
