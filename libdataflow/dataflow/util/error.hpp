/// The one error type of the library.
///
/// Purpose: every failure that reaches a user carries a code, its cause and what to do next.
/// Threading: a value; copy freely. Ownership: owns its text.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

namespace dataflow {

/// What went wrong. Values are stable: they are stored and sent. Append only.
enum class errc : std::uint16_t {
  none = 0,
  invalid_argument = 1,        ///< a value handed to the API is out of its documented range
  invalid_graph = 2,           ///< the pipeline cannot run: no sink, a cycle without iterate, a duplicate uid ...
  unknown_option = 3,          ///< a configuration key, flag or parameter that does not exist
  invalid_option = 4,          ///< a configuration value that cannot be read as its type
  missing_parameter = 5,       ///< a job asked for a parameter that was not given
  malformed_record = 6,        ///< bytes that do not decode as the record type
  record_too_large = 7,        ///< a record or line above the configured limit
  io_failed = 8,               ///< an operating-system call on a file failed
  file_not_found = 9,          ///< the named file or directory does not exist
  permission_denied = 10,      ///< the named file or directory may not be read or written
  not_a_file = 11,             ///< a directory (or device) where a regular file is expected
  disk_full = 12,              ///< no space left where a sink or spill file writes
  connection_failed = 13,      ///< a socket could not be connected, or its peer went away for good
  user_function_failed = 14,   ///< an exception left a user's function
  job_failed = 15,             ///< the job ended as FAILED; the cause says why
  job_canceled = 16,           ///< the job was cancelled
  job_not_found = 17,          ///< no job of this name or id
  no_resources = 18,           ///< not enough task slots
  task_lost = 19,              ///< a task's actor died without saying why
  component_lost = 20,         ///< an actor of the control plane died
  restart_limit_exceeded = 21, ///< a supervisor's restart intensity was exceeded
  bad_job_library = 22,        ///< a file that is no job library, or one that throws while it builds its graph
  incompatible_library = 23,   ///< a job library built for another ABI, compiler or library version
  channel_gap = 24,            ///< a channel lost, repeated or reordered an element
  stale_message = 25,          ///< a message of an earlier attempt or leader
  feed_closed = 26,            ///< an actor source whose job is gone
  unsafe_configuration = 27,   ///< an actor system without the settings that the engine needs
  internal = 28,               ///< a broken invariant of the engine; please report it
  serialization_failed = 29,   ///< a record or message that cannot be encoded
  timed_out = 30,              ///< a deadline passed
  incompatible_state = 31,     ///< stored state of another kind or type than the operator declares
  missing_timestamp = 32,      ///< a record without a timestamp where event time is asked for
  no_current_key = 33,         ///< keyed state or timers used where there is no key
  empty_state = 34,            ///< a state without a value was read
  corrupt_state = 35,          ///< stored bytes are not what was written: torn, cut short or changed
  newer_format = 36,           ///< stored by a later version of the library
  checkpoint_failed = 37,      ///< a checkpoint or savepoint was not completed; the cause says why
  storage_locked = 38,         ///< another job works in the same checkpoint directory
  unmatched_state = 39,        ///< stored state of an operator that the job does not have
};

/// The stable lower-case name of a code, for example "file_not_found".
std::string_view to_string(errc code) noexcept;

/// An error: code, cause and advice. Thrown by value; also carried in messages.
class error : public std::exception {
public:
  error() = default;
  /// cause names the offender; advice says what to do next (may be empty).
  error(errc code, std::string cause, std::string advice = {});

  errc code() const noexcept { return code_; }
  const std::string& cause() const noexcept { return cause_; }
  const std::string& advice() const noexcept { return advice_; }
  explicit operator bool() const noexcept { return code_ != errc::none; }

  /// The same error inside a wider one: "<context>: <cause>".
  error within(std::string_view context) const;

  /// "<code>: <cause> (<advice>)"
  const char* what() const noexcept override { return text_.c_str(); }
  std::string to_string() const { return text_; }

private:
  errc code_ = errc::none;
  std::string cause_, advice_, text_;
};

/// The exception in flight as an error: an `error` stays as it is, a std::exception gives its text, anything else
/// "an exception that is not a std::exception". REQUIRES: called inside a catch block.
error current_error(errc code = errc::user_function_failed) noexcept;

} // namespace dataflow
