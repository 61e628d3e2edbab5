// Jobs that only look at their parameters, throw, or hang.
#include <dataflow/dataflow.hpp>

#include <poll.h>
#include <stdexcept>

DATAFLOW_JOB(asks) {
  (void)args.get("input", "default.txt");
  (void)args.get("top", 10);
}

DATAFLOW_JOB(requires_input) { (void)args.require("input"); }

DATAFLOW_JOB(throws) { throw std::runtime_error{"no graph today"}; }

DATAFLOW_JOB(throws_strangely) { throw 42; }

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
