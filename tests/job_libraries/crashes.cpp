// A library that takes a process along, as it is loaded or in its graph function, where DATAFLOW_TEST_CRASH says so.
#include <dataflow/dataflow.hpp>

#include <csignal>
#include <cstdlib>
#include <string_view>

namespace {

void crash_at(std::string_view moment) {
  const char* when = std::getenv("DATAFLOW_TEST_CRASH");
  if (!when || moment != when) return;
  std::signal(SIGSEGV, SIG_DFL); // a sanitizer would make an exit of it
  std::raise(SIGSEGV);
}

[[maybe_unused]] const bool loaded = (crash_at("load"), true);

} // namespace

DATAFLOW_JOB(crashes) {
  crash_at("graph");
  env.sequence(1, 10).discard();
}
