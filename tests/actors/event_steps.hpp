/// Records with a source's number and a time, and an operator that sees whether they are late.
///
/// Threading: values and a function.
#pragma once

#include <dataflow/dataflow.hpp>

namespace dataflow::test {

struct event_step {
  std::int64_t source = 0, time = 0;
};
/// Of each record: was it late, and had any watermark come before it?
struct seen_step {
  std::int64_t source = 0, time = 0;
  bool late = false, marked = false;
};

} // namespace dataflow::test
DATAFLOW_RECORD(dataflow::test::event_step, source, time);
DATAFLOW_RECORD(dataflow::test::seen_step, source, time, late, marked);

namespace dataflow::test {

inline timestamp step_time(std::int64_t ms) { return timestamp{std::chrono::milliseconds{ms}}; }
inline void look_at_step(const event_step& s, process_context& ctx, collector<seen_step>& out) {
  const auto watermark = ctx.current_watermark();
  out.collect({s.source, s.time, ctx.record_timestamp() != step_time(s.time) || step_time(s.time) <= watermark,
               watermark != min_timestamp});
}

} // namespace dataflow::test
