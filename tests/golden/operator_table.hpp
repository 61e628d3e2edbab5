/// The table of operators with state, each with the golden cases that it must reproduce.
///
/// A row is a golden case (a folder of tests/golden/data) and the piece of a pipeline that answers it. The tests walk
/// the table: operator by operator in a chain of its own, also with a restart from a snapshot after every input line
/// and with all records between two control lines in one batch; and as whole pipelines on the real and on the simulated
/// cluster. A new operator registers in one of the functions at the end: tools/checks/operator_table.py looks for
/// operator classes that no row names.
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

/// An event of the golden inputs. `side`: what some cases tell their function to do.
struct event {
  std::string id, k, side;
  std::int64_t ts = 0, v = 0, gap = 0;
};

} // namespace dataflow::test::golden
DATAFLOW_RECORD(dataflow::test::golden::event, id, k, side, ts, v, gap);

namespace dataflow::test::golden {

using nlohmann::json;
using events = data_stream<event>;
using late_tags = std::vector<output_tag<event>>;

/// The side output of late records in most cases.
inline const output_tag<event>& late_tag() {
  static const output_tag<event> tag{"late"};
  return tag;
}
json to_json(const event& e);
event event_of(const json& line);
inline std::int64_t ms(timestamp t) { return t.time_since_epoch().count(); }
inline timestamp at_ms(std::int64_t t) { return timestamp{std::chrono::milliseconds{t}}; }

/// The lines of a file of tests/golden/data.
std::vector<json> lines_of(const std::string& file);

/// What the outputs have delivered, as expected lines without "at".
using captured = std::function<std::vector<json>()>;

/// How a row runs as a pipeline.
enum class played : std::uint8_t {
  at_once,      ///< what comes out depends on nothing but the order within each stream
  line_by_line, ///< on the order between two streams, too: in the simulation, a line a second
  never,        ///< on the clock to the millisecond
};

struct row {
  std::string data;           ///< folder in tests/golden/data
  std::string operator_class; ///< in libdataflow
  json pick;                  ///< fields that a line of expected must have to be this row's; they do not come out
  unsigned streams = 1;       ///< that the input lines name with "in"
  bool two_inputs = false;    ///< the operator itself has them; else both streams come as one
  bool event_time = true;     ///< the end of the input sends the last watermark
  bool stamps = true;         ///< timestamps of results are part of the case
  bool ordered = false;       ///< results of one line have an order
  bool batches = true;        ///< results do not depend on what comes in one batch
  played pipelines = played::at_once;
  /// The operator alone, how to push input lines with events, and how to listen to its outputs.
  std::function<operator_factory()> make;
  std::function<void(operator_runner&, const std::vector<json>&)> push;
  std::function<captured(operator_runner&)> listen;
  /// The pipeline from streams of events to the expected lines as text, without "at".
  std::function<data_stream<std::string>(const std::vector<events>&)> pipeline;
  /// In the place of the operator alone: for what cannot be driven by the lines of a case only.
  std::function<void(bool restarts)> check;
};

/// A case with its row's share of the expected lines.
struct expectation {
  std::vector<json> input, expected;
  explicit expectation(const row& r);
};

/// Makes the operator that made a stream.
operator_factory factory_of(const dataflow::detail::stream_base& s);

namespace detail {
template <class O>
std::vector<json> lines_of(const std::vector<delivered<O>>& all, const std::function<json(const O&)>& text,
                           const std::string& side = {}) {
  std::vector<json> lines;
  for (auto& d : all) {
    json line{{"out", text(d.value)}};
    if (d.time) line["ts"] = *d.time;
    if (!side.empty()) line["side"] = side;
    lines.push_back(std::move(line));
  }
  return lines;
}
template <class O>
std::function<captured(operator_runner&)> listener(std::function<json(const O&)> text, late_tags sides) {
  return [text, sides](operator_runner& runner) -> captured {
    auto& main = runner.capture<O>();
    std::vector<const std::vector<delivered<event>>*> late;
    for (auto& tag : sides)
      late.push_back(&runner.capture(tag));
    return [&main, late, text, sides] {
      auto lines = lines_of<O>(main, text);
      for (std::size_t i = 0; i < sides.size(); ++i) {
        auto more = lines_of<event>(*late[i], to_json, sides[i].name());
        lines.insert(lines.end(), more.begin(), more.end());
      }
      return lines;
    };
  };
}
template <class O>
data_stream<std::string> as_lines(const data_stream<O>& results, const std::function<json(const O&)>& text,
                                  const late_tags& sides) {
  auto line = [](json out, process_context& ctx, const std::string& side) {
    json l{{"out", std::move(out)}};
    if (ctx.record_timestamp()) l["ts"] = ms(*ctx.record_timestamp());
    if (!side.empty()) l["side"] = side;
    return l.dump();
  };
  auto all = results.process([text, line](const O& value, process_context& ctx, collector<std::string>& out) {
    out.collect(line(text(value), ctx, {}));
  });
  for (auto& tag : sides)
    all = all.union_with(results.side_output(tag).process(
        [line, name = tag.name()](const event& e, process_context& ctx, collector<std::string>& out) {
          out.collect(line(to_json(e), ctx, name));
        }));
  return all;
}
inline void push_events(operator_runner& runner, const std::vector<json>& lines, unsigned input = 0) {
  std::vector<std::pair<event, std::int64_t>> events;
  for (auto& line : lines)
    events.emplace_back(event_of(line), line.at("ts"));
  runner.push_timed(events, input);
}
} // namespace detail

/// A row for a one-input operator: build(events) puts exactly one operator behind the stream, with results of type O.
template <class Build, class ToJson>
row one_input(std::string data, std::string operator_class, Build build, ToJson to_json,
              late_tags sides = {late_tag()}) {
  using O = typename std::invoke_result_t<Build&, events>::record;
  const std::function<json(const O&)> text = to_json;
  row r;
  r.data = std::move(data);
  r.operator_class = std::move(operator_class);
  r.make = [build] {
    environment env;
    return factory_of(build(env.from_collection<event>({})));
  };
  r.push = [](operator_runner& runner, const std::vector<json>& lines) { detail::push_events(runner, lines); };
  r.listen = detail::listener<O>(text, sides);
  r.pipeline = [build, text, sides](const std::vector<events>& in) {
    return detail::as_lines<O>(build(in[0]), text, sides);
  };
  return r;
}
/// The same for operators whose results are JSON text.
template <class Build>
row one_input(std::string data, std::string operator_class, Build build) {
  return one_input(std::move(data), std::move(operator_class), std::move(build),
                   [](const std::string& text) { return json::parse(text); });
}
/// For two-input operators: build(events, events) gives JSON text.
template <class Build>
row two_inputs(std::string data, std::string operator_class, Build build, late_tags sides = {}) {
  const std::function<json(const std::string&)> text = [](const std::string& t) { return json::parse(t); };
  row r;
  r.data = std::move(data);
  r.operator_class = std::move(operator_class);
  r.streams = 2;
  r.two_inputs = true;
  r.pipelines = played::line_by_line;
  r.make = [build] {
    environment env;
    return factory_of(build(env.from_collection<event>({}), env.from_collection<event>({})));
  };
  r.push = [](operator_runner& runner, const std::vector<json>& lines) {
    detail::push_events(runner, lines, lines.front().at("in").get<unsigned>() - 1);
  };
  r.listen = detail::listener<std::string>(text, sides);
  r.pipeline = [build, text, sides](const std::vector<events>& in) {
    return detail::as_lines<std::string>(build(in[0], in[1]), text, sides);
  };
  return r;
}

const std::vector<row>& operator_table();

// The parts of the table.
void add_rolling_rows(std::vector<row>& table);
void add_window_rows(std::vector<row>& table);
void add_window_join_rows(std::vector<row>& table);
void add_interval_join_rows(std::vector<row>& table);
void add_process_rows(std::vector<row>& table);
void add_watermark_rows(std::vector<row>& table);
void add_async_rows(std::vector<row>& table);

} // namespace dataflow::test::golden
