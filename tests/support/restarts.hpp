/// Jobs that go on after failures.
#pragma once

#include <dataflow/api/environment.hpp>

#include <string>

namespace dataflow::test {

/// The job may fail so often, and waits so long each time ("10 ms").
inline void restart_at_fixed_delay(environment& env, int attempts, const std::string& delay) {
  env.configure("restart-strategy.type", "fixed-delay");
  env.configure("restart-strategy.fixed-delay.attempts", std::to_string(attempts));
  env.configure("restart-strategy.fixed-delay.delay", delay);
}

} // namespace dataflow::test
