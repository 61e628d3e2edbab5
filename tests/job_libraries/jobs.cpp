// Jobs that only look at their parameters, throw, hang, or take the process along.
#include <dataflow/dataflow.hpp>

#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <unistd.h>

DATAFLOW_JOB(asks) {
  (void)args.get("input", "default.txt");
  (void)args.get("top", 10);
}

DATAFLOW_JOB(requires_input) { (void)args.require("input"); }

DATAFLOW_JOB(throws) { throw std::runtime_error{"no graph today"}; }

DATAFLOW_JOB(throws_strangely) { throw 42; }

DATAFLOW_JOB(finds_a_bug) { throw dataflow::error{dataflow::errc::internal, "two ends of an edge disagree"}; }

DATAFLOW_JOB(takes_the_process_along) { ::raise(SIGKILL); }

/// Its code crashes the process that runs it, once: the file says that it has.
DATAFLOW_JOB(crashes_once) {
  env.sequence(1, 1000)
      .map([marker = args.require("marker")](std::int64_t n) {
        if (n == 500 && ::access(marker.c_str(), F_OK) != 0) {
          ::close(::creat(marker.c_str(), 0600));
          ::signal(SIGSEGV, SIG_DFL);
          ::raise(SIGSEGV);
        }
        return n;
      })
      .discard();
}

DATAFLOW_JOB(short_one) { env.sequence(1, 10).discard(); }

DATAFLOW_JOB(prints_one) { env.sequence(1, 1).print(); }

/// Its function blocks for ever: nobody can cancel that.
DATAFLOW_JOB(never_ends) {
  env.sequence(1, 1)
      .map([](std::int64_t n) {
        for (;;)
          ::poll(nullptr, 0, -1);
        return n;
      })
      .discard();
}
