#include <dataflow/api/executor.hpp>

namespace dataflow {

void job_result::raise() const {
  if (status == job_status::finished) return;
  if (failure) throw failure;
  throw error{status == job_status::canceled ? errc::job_canceled : errc::job_failed,
              "job \"" + name + "\" (" + id + ") ended as " + std::string{to_string(status)}};
}

namespace {
executor_factory factory = nullptr;
}

void set_default_executor(executor_factory f) noexcept { factory = f; }

std::shared_ptr<executor> default_executor(const configuration& settings) {
  if (!factory)
    throw error{errc::internal, "no runtime is linked into this program",
                "link libdataflow (CMake: dataflow::dataflow)"};
  return factory(settings);
}

std::string job_client::take(const checkpoint_request& what) {
  throw error{errc::checkpoint_failed,
              "whatever runs job " + id() + " makes no " + std::string{to_string(what.kind)} + "s"};
}

} // namespace dataflow
