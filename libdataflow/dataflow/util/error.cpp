#include <dataflow/util/error.hpp>

#include <cstdlib>
#include <cxxabi.h>
#include <memory>
#include <typeinfo>

namespace dataflow {

std::string_view to_string(errc code) noexcept {
  switch (code) {
  case errc::none:
    return "none";
  case errc::invalid_argument:
    return "invalid_argument";
  case errc::invalid_graph:
    return "invalid_graph";
  case errc::unknown_option:
    return "unknown_option";
  case errc::invalid_option:
    return "invalid_option";
  case errc::missing_parameter:
    return "missing_parameter";
  case errc::malformed_record:
    return "malformed_record";
  case errc::record_too_large:
    return "record_too_large";
  case errc::io_failed:
    return "io_failed";
  case errc::file_not_found:
    return "file_not_found";
  case errc::permission_denied:
    return "permission_denied";
  case errc::not_a_file:
    return "not_a_file";
  case errc::disk_full:
    return "disk_full";
  case errc::connection_failed:
    return "connection_failed";
  case errc::user_function_failed:
    return "user_function_failed";
  case errc::job_failed:
    return "job_failed";
  case errc::job_canceled:
    return "job_canceled";
  case errc::job_not_found:
    return "job_not_found";
  case errc::no_resources:
    return "no_resources";
  case errc::task_lost:
    return "task_lost";
  case errc::component_lost:
    return "component_lost";
  case errc::restart_limit_exceeded:
    return "restart_limit_exceeded";
  case errc::bad_job_library:
    return "bad_job_library";
  case errc::incompatible_library:
    return "incompatible_library";
  case errc::channel_gap:
    return "channel_gap";
  case errc::stale_message:
    return "stale_message";
  case errc::feed_closed:
    return "feed_closed";
  case errc::unsafe_configuration:
    return "unsafe_configuration";
  case errc::internal:
    return "internal";
  case errc::serialization_failed:
    return "serialization_failed";
  case errc::timed_out:
    return "timed_out";
  case errc::incompatible_state:
    return "incompatible_state";
  case errc::missing_timestamp:
    return "missing_timestamp";
  case errc::no_current_key:
    return "no_current_key";
  case errc::empty_state:
    return "empty_state";
  case errc::corrupt_state:
    return "corrupt_state";
  case errc::newer_format:
    return "newer_format";
  case errc::checkpoint_failed:
    return "checkpoint_failed";
  case errc::storage_locked:
    return "storage_locked";
  case errc::unmatched_state:
    return "unmatched_state";
  }
  return "unknown";
}

error::error(errc code, std::string cause, std::string advice)
    : code_(code), cause_(std::move(cause)), advice_(std::move(advice)) {
  text_ = std::string{dataflow::to_string(code_)} + ": " + cause_;
  if (!advice_.empty()) text_ += " (" + advice_ + ")";
}

error error::within(std::string_view context) const { return {code_, std::string{context} + ": " + cause_, advice_}; }

error current_error(errc code) noexcept {
  try {
    throw;
  } catch (const error& e) {
    return e;
  } catch (const std::exception& e) {
    int status = 0;
    std::unique_ptr<char, void (*)(void*)> name{abi::__cxa_demangle(typeid(e).name(), nullptr, nullptr, &status),
                                                std::free};
    return {code, std::string{status == 0 ? name.get() : typeid(e).name()} + ": " + e.what()};
  } catch (...) {
    return {code, "an exception that is not a std::exception",
            "throw types derived from std::exception, so that the text can be shown"};
  }
}

} // namespace dataflow
