/// Why does a watermark not advance, and why does a window not fire?
///
///   for (auto& s : explain_silence(job->report())) std::cout << s.text << '\n';
///
/// From every end of the job the answer follows the input that holds event time back, channel by channel, to the
/// source's split or the assigner that has not moved; and it names what operators wait for.
/// Threading: pure functions on values.
#pragma once

#include <dataflow/api/executor.hpp>
#include <dataflow/time/timestamp.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

enum class silence_cause : std::uint8_t {
  no_records,  ///< nothing has come from there for a while
  behind,      ///< records come, but their time is behind
  no_strategy, ///< the source has no watermark strategy, and no operator assigns one
  aligned,     ///< it waits for the slowest of its alignment group
  all_idle,    ///< all inputs are idle: nobody says how late it is
  held,        ///< an operator has not sent on what it got: it works on it, or waits for answers
  waiting,     ///< event time moves; an operator waits for a later time
};
std::string_view to_string(silence_cause cause) noexcept;

struct silence {
  silence_cause cause = silence_cause::no_records;
  std::string waiting;       ///< the operator that is held back, with its subtask: "Window (1/2)"
  std::string operator_name; ///< who holds it back, with its subtask: "Source: orders (2/4)"
  std::string channel;       ///< on which it comes; "(chained)" when they are in one task
  std::string split;         ///< of the source that event time comes from; empty: of no split
  timestamp watermark = min_timestamp;
  std::chrono::milliseconds standing{0}; ///< for so long the watermark has stood
  bool idleness_would_help = false;
  std::string text; ///< all of it in a sentence or two
};

/// What holds back the ends of a running job; empty when nothing does.
std::vector<silence> explain_silence(const job_report& report);

/// How many late records each operator has dropped: "Window: 12", those without any left out.
std::vector<std::pair<std::string, std::uint64_t>> late_records_dropped(const job_report& report);

} // namespace dataflow
