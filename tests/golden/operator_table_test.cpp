// Every operator of the table against Flink's own outputs, alone: as it is, with restarts, with other batches.
#include <dataflow/exchange/watermark_merger.hpp>
#include <dataflow/state/local_state.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <cxxabi.h>
#include <tests/support/effort.hpp>
#include <tests/support/temporary_directory.hpp>
#include <typeinfo>

#include "operator_table.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace dataflow::test::golden;

namespace {

constexpr auto end_of_time = std::numeric_limits<std::int64_t>::max();

/// One line each: records of a line first, then what the operator sent on; records in their order where they have one.
std::vector<std::string> normalised(const std::vector<json>& lines, bool ordered) {
  std::vector<std::tuple<std::int64_t, bool, std::string>> sorted;
  for (auto& l : lines)
    sorted.emplace_back(l.value("at", std::int64_t{0}), l.contains("watermark") || l.contains("status"), l.dump());
  if (ordered)
    std::stable_sort(sorted.begin(), sorted.end(), [](auto& a, auto& b) {
      return std::pair{std::get<0>(a), std::get<1>(a)} < std::pair{std::get<0>(b), std::get<1>(b)};
    });
  else
    std::sort(sorted.begin(), sorted.end());
  std::vector<std::string> text;
  for (auto& [at, control, line] : sorted)
    text.push_back(line);
  return text;
}
std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (auto& l : lines)
    all += l + "\n";
  return all;
}

struct manner {
  bool restarts = false;    ///< a snapshot and a new instance after every input line
  bool batched = false;     ///< all events between two other lines in one batch
  std::size_t limit = 2048; ///< records per batch of results
  state_place place = {};   ///< of keyed state that is on the disk
};

/// Both are events that come by the same input.
bool one_batch(const row& r, const json& a, const json& b) {
  return a.contains("id") && b.contains("id") && (!r.two_inputs || a.at("in") == b.at("in"));
}

class lone_run {
public:
  lone_run(const row& r, const expectation& e, const manner& how)
      : row_(r), case_(e), how_(how), runner_(r.make(), options_of(r, how)), outputs_(r.listen(runner_)),
        channels_(r.streams) {
    if (r.streams == 1) inputs_.watermark(1, max_timestamp);
  }

  std::vector<json> run() {
    std::vector<json> batch;
    for (std::size_t i = 0; i < case_.input.size(); ++i) {
      const auto& line = case_.input[i];
      if (line.contains("id")) {
        batch.push_back(line);
        if (how_.batched && i + 1 < case_.input.size() && one_batch(row_, line, case_.input[i + 1])) continue;
        row_.push(runner_, std::exchange(batch, {}));
      } else if (line.contains("watermark")) {
        advance(line, line["watermark"]);
      } else if (line.contains("processing_time")) {
        runner_.set_time(line["processing_time"]);
      } else if (line.contains("status")) {
        runner_.push(element::control(line["status"] == "idle" ? element_kind::idle : element_kind::active));
      } else {
        REQUIRE(line.contains("end"));
        end(line);
      }
      gather(i + 1);
      if (how_.restarts && !line.contains("end")) runner_.restart();
    }
    return std::move(got_);
  }

private:
  static operator_runner::options options_of(const row& r, const manner& how) {
    operator_runner::options o;
    o.inputs = r.two_inputs ? 2 : 1;
    o.limits.records = how.limit;
    o.place = how.place;
    return o;
  }
  void advance(const json& line, std::int64_t t) {
    const auto in = line.value("in", 1u) - 1;
    const auto merged = row_.two_inputs ? inputs_.watermark(in, at_ms(t)) : channels_.watermark(in, at_ms(t));
    if (merged.watermark) runner_.watermark(ms(*merged.watermark));
  }
  void end(const json& line) {
    if (row_.event_time) advance(line, end_of_time);
    if (row_.two_inputs)
      runner_.push(element::control(element_kind::end), line.at("in").get<unsigned>() - 1);
    else if (++ended_ == row_.streams)
      runner_.end();
  }
  /// What the outputs list is by output: what is new is found by comparing counts.
  void gather(std::size_t at) {
    std::map<std::string, std::size_t> now;
    for (auto line : outputs_()) {
      const auto text = line.dump();
      if (++now[text] <= seen_[text]) continue;
      line["at"] = at;
      if (!row_.stamps) line.erase("ts");
      got_.push_back(std::move(line));
      ++seen_records_;
    }
    seen_ = std::move(now);
    for (; seen_controls_ < runner_.controls.size(); ++seen_controls_) {
      const auto& c = runner_.controls[seen_controls_];
      if (c.kind == element_kind::watermark) got_.push_back({{"at", at}, {"watermark", c.value}});
      if (c.kind != element_kind::end) CHECK(c.records_before == seen_records_);
    }
  }

  const row& row_;
  const expectation& case_;
  const manner how_;
  operator_runner runner_;
  const captured outputs_;
  watermark_merger channels_;
  two_input_watermarks inputs_;
  std::vector<json> got_;
  std::map<std::string, std::size_t> seen_;
  std::size_t seen_records_ = 0, seen_controls_ = 0;
  unsigned ended_ = 0;
};

/// The lines of a batch all happen with its last one.
std::vector<json> at_ends_of_batches(const row& r, const expectation& e) {
  auto lines = e.expected;
  for (auto& l : lines) {
    auto at = l["at"].get<std::size_t>();
    while (at < e.input.size() && one_batch(r, e.input[at - 1], e.input[at]))
      ++at;
    l["at"] = at;
  }
  return lines;
}

void check_alone(const row& r, const manner& how) {
  const expectation e{r};
  INFO(r.data << " " << r.pick.dump() << " by " << r.operator_class << (how.batched ? ", batched" : "") << ", limit "
              << how.limit);
  const auto expected = how.batched ? at_ends_of_batches(r, e) : e.expected;
  CHECK(joined(normalised(lone_run{r, e, how}.run(), r.ordered)) == joined(normalised(expected, r.ordered)));
}

std::string class_of(const stream_operator& op) {
  const auto& type = typeid(op);
  int status = 0;
  std::unique_ptr<char, decltype(&std::free)> name{abi::__cxa_demangle(type.name(), nullptr, nullptr, &status),
                                                   &std::free};
  REQUIRE(status == 0);
  const std::string text{name.get()};
  return text.substr(0, text.find('<'));
}

} // namespace

TEST_CASE("rows of the operator table name the class of their operator") {
  for (auto& r : operator_table())
    if (r.make) CHECK(class_of(*r.make()()) == "dataflow::" + r.operator_class);
}

TEST_CASE("operators of the table reproduce the golden cases alone") {
  for (auto& r : operator_table()) {
    if (r.check) {
      INFO(r.data << " by " << r.operator_class);
      r.check(false);
      continue;
    }
    for (const std::size_t limit : {std::size_t{2048}, std::size_t{1}})
      for (const bool batched : {false, true})
        if (!batched || r.batches) check_alone(r, {.batched = batched, .limit = limit});
  }
}

TEST_CASE("operators of the table go on from a snapshot after every input line") {
  for (auto& r : operator_table()) {
    if (r.check) {
      INFO(r.data << " by " << r.operator_class);
      r.check(true);
      continue;
    }
    for (const std::size_t limit : {std::size_t{2048}, std::size_t{1}})
      for (const bool batched : {false, true})
        if (!batched || r.batches) check_alone(r, {.restarts = true, .batched = batched, .limit = limit});
  }
}

TEST_CASE("operators of the table reproduce the golden cases with their state on the disk") {
  temporary_directory directory;
  local_state local{{8 << 20}};
  for (auto& r : operator_table()) {
    if (r.check) continue;
    for (const bool restarts : {false, true}) {
      if (restarts && sanitized) continue;
      manner how{.restarts = restarts};
      how.place = local.make_place(directory.path(), "op", state_backend::rocksdb);
      check_alone(r, how);
    }
  }
}
