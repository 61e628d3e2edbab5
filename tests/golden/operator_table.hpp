/// The table of operators with state, each with the golden cases that it must reproduce.
///
/// A row is a golden case (a folder of tests/golden/data) and the piece of a pipeline that answers it. The tests walk
/// the table: operator by operator in a chain of its own, also with a restart from a snapshot after every input line
/// and with all records between two control lines in one batch; and as whole pipelines on the real and on the simulated
/// cluster. A new operator with state registers in one of the functions at the end; a test looks for files that declare
/// state and are not named by any row.
#pragma once

#include <dataflow/api/environment.hpp>
#include <dataflow/api/windowed_stream.hpp>

#include <nlohmann/json.hpp>

#include <functional>
#include <memory>
#include <string>
#include <tests/support/operator_runner.hpp>
#include <vector>

namespace dataflow::test::golden {

/// An event of the golden inputs.
struct event {
  std::string id, k;
  std::int64_t ts = 0, v = 0, gap = 0;
};

/// A line of an input, as a record: an event, or (without an id) a watermark.
struct script_line {
  event what;
  std::int64_t watermark = 0;
};

} // namespace dataflow::test::golden
DATAFLOW_RECORD(dataflow::test::golden::event, id, k, ts, v, gap);
DATAFLOW_RECORD(dataflow::test::golden::script_line, what, watermark);

namespace dataflow::test::golden {

using nlohmann::json;

/// The side output of late records in all cases.
inline const output_tag<event>& late_tag() {
  static const output_tag<event> tag{"late"};
  return tag;
}
json to_json(const event& e);
event event_of(const json& line);

/// What one output has delivered, as expected lines without "at".
using captured = std::function<std::vector<json>()>;

struct row {
  std::string data;             ///< folder in tests/golden/data
  std::string source;           ///< the file of libdataflow/dataflow that declares the operator's state
  std::string filter;           ///< only expected lines with this "op"; empty: all
  unsigned inputs = 1;          ///< channels that the input lines name with "in"; above 1: not for pipelines
  bool processing_time = false; ///< uses the clock: not for pipelines on a real cluster
  bool restarts = true;         ///< the operator declares its state
  /// The operator alone, how to push input lines with events, and how to listen to its outputs.
  std::function<operator_factory()> make;
  std::function<void(operator_runner&, const std::vector<json>&)> push;
  std::function<captured(operator_runner&)> listen;
  /// The pipeline from a stream of events to the expected lines as text, without "at".
  std::function<data_stream<std::string>(data_stream<event>)> pipeline;
};

namespace detail {
template <class O>
std::vector<json> lines_of(const std::vector<delivered<O>>& all, const std::function<json(const O&)>& text,
                           const char* side) {
  std::vector<json> lines;
  for (auto& d : all) {
    json line{{"out", text(d.value)}};
    if (d.time) line["ts"] = *d.time;
    if (side) line["side"] = side;
    lines.push_back(std::move(line));
  }
  return lines;
}
} // namespace detail
/// Makes the operator that made a stream.
operator_factory factory_of(const dataflow::detail::stream_base& s);

/// A row for a one-input operator: build(data_stream<event>) puts exactly one operator behind the stream, with results
/// of type O.
template <class Build, class ToJson>
row one_input(std::string data, std::string source, Build build, ToJson text) {
  using O = typename std::invoke_result_t<Build&, data_stream<event>>::record;
  row r;
  r.data = std::move(data);
  r.source = std::move(source);
  const std::function<json(const O&)> convert = text;
  r.make = [build] {
    environment env;
    return factory_of(build(env.from_collection<event>({})));
  };
  r.push = [](operator_runner& runner, const std::vector<json>& lines) {
    std::vector<std::pair<event, std::int64_t>> events;
    for (auto& line : lines)
      events.emplace_back(event_of(line), line.at("ts"));
    runner.push_timed(events);
  };
  r.listen = [convert](operator_runner& runner) -> captured {
    auto& main = runner.capture<O>();
    auto& late = runner.capture(late_tag());
    return [&main, &late, convert] {
      auto lines = detail::lines_of<O>(main, convert, nullptr);
      auto sides = detail::lines_of<event>(
          late, [](const event& e) { return to_json(e); }, "late");
      lines.insert(lines.end(), sides.begin(), sides.end());
      return lines;
    };
  };
  r.pipeline = [build, convert](data_stream<event> in) {
    auto results = build(std::move(in));
    auto late = results.side_output(late_tag());
    return results
        .process([convert](const O& value, process_context& ctx, collector<std::string>& out) {
          json line{{"out", convert(value)}};
          if (ctx.record_timestamp()) line["ts"] = ctx.record_timestamp()->time_since_epoch().count();
          out.collect(line.dump());
        })
        .union_with(late.process([](const event& e, process_context& ctx, collector<std::string>& out) {
          out.collect(
              json{{"out", to_json(e)}, {"side", "late"}, {"ts", ctx.record_timestamp()->time_since_epoch().count()}}
                  .dump());
        }));
  };
  return r;
}
/// The same for operators whose results are JSON text.
template <class Build>
row one_input(std::string data, std::string source, Build build) {
  return one_input(std::move(data), std::move(source), std::move(build),
                   [](const std::string& text) { return json::parse(text); });
}

const std::vector<row>& operator_table();

// The parts of the table.
void add_rolling_rows(std::vector<row>& table);
void add_window_rows(std::vector<row>& table);
void add_window_join_rows(std::vector<row>& table);

} // namespace dataflow::test::golden
