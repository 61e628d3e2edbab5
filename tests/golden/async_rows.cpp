// Operators that wait for something outside, and functions with state of their own, on the lines of golden inputs.
// Flink has no recorded output for these: what must come out follows from the input.
#include <dataflow/dataflow.hpp>
#include <dataflow/exchange/watermark_merger.hpp>
#include <dataflow/operators/async_wait.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "operator_table.hpp"

namespace dataflow::test::golden {

namespace {

/// Keeps the last question about each event.
struct slow_service {
  std::map<std::string, std::pair<event, async_result<event>>> open;
  void answer(const std::string& id) {
    const auto found = open.find(id);
    REQUIRE(found != open.end());
    auto [e, result] = std::move(found->second);
    open.erase(found);
    result.complete_with(e);
  }
};
struct asking {
  std::shared_ptr<slow_service> service;
  void operator()(const event& e, async_result<event> result) const {
    service->open.insert_or_assign(e.id, std::pair{e, std::move(result)});
  }
};
operator_factory make_async(const std::shared_ptr<slow_service>& service, bool ordered) {
  return [=] {
    return std::make_unique<async_wait_operator<event, event, asking>>(
        asking{service}, async_settings{std::chrono::hours{1}, 100, {}, ordered}, async_options<event, event>{});
  };
}

/// Every event passes through unchanged, between the watermarks that it stood between. Each is answered after the
/// second line behind its own, of several at once the last one first; so some are unanswered at every snapshot.
void check_async(const std::string& data, bool ordered, bool restarts) {
  auto service = std::make_shared<slow_service>();
  operator_runner runner{make_async(service, ordered)};
  auto& out = runner.capture<event>();
  std::vector<std::vector<std::string>> expected(1), got(1);
  std::vector<std::pair<std::size_t, std::string>> waiting; // line, id
  auto answer_until = [&](std::size_t line) {
    std::vector<std::string> due;
    while (!waiting.empty() && waiting.front().first <= line) {
      due.push_back(waiting.front().second);
      waiting.erase(waiting.begin());
    }
    for (auto id = due.rbegin(); id != due.rend(); ++id)
      service->answer(*id);
    runner.run_again();
  };
  std::size_t unanswered_at_restart = 0, watermarks = 0;
  std::int64_t watermark = ms(min_timestamp);
  const auto input = lines_of(data + "/input.ndjson");
  for (std::size_t i = 0; i < input.size(); ++i) {
    const auto& line = input[i];
    if (line.contains("id")) {
      const auto e = event_of(line);
      runner.push_timed<event>({{e, e.ts}});
      waiting.emplace_back(i, e.id);
      expected.back().push_back(e.id + "@" + std::to_string(e.ts));
    } else if (line.contains("watermark") && line["watermark"] > watermark) {
      runner.watermark(watermark = line["watermark"]);
      expected.emplace_back();
      ++watermarks;
    }
    if (i % 3 == 2) answer_until(i - 2);
    if (restarts) {
      unanswered_at_restart += waiting.size();
      runner.restart();
    }
  }
  answer_until(input.size());
  std::size_t seen = 0;
  for (auto& c : runner.controls) {
    if (c.kind != element_kind::watermark) continue;
    for (; seen < c.records_before; ++seen)
      got.back().push_back(out[seen].value.id + "@" + std::to_string(out[seen].time.value()));
    got.emplace_back();
  }
  for (; seen < out.size(); ++seen)
    got.back().push_back(out[seen].value.id + "@" + std::to_string(out[seen].time.value()));
  // Watermarks that wait behind the same requests go out as the last of them: compare what stands between those that
  // do.
  std::vector<std::string> all_expected, all_got;
  for (auto& part : expected)
    all_expected.insert(all_expected.end(), part.begin(), part.end());
  std::size_t at = 0;
  for (auto& part : got) {
    auto segment = part;
    std::vector<std::string> same(all_expected.begin() + static_cast<std::ptrdiff_t>(std::min(at, all_expected.size())),
                                  all_expected.begin() +
                                      static_cast<std::ptrdiff_t>(std::min(at + part.size(), all_expected.size())));
    if (!ordered) {
      std::sort(segment.begin(), segment.end());
      std::sort(same.begin(), same.end());
    }
    CHECK(segment == same);
    at += part.size();
  }
  CHECK(at == all_expected.size());
  REQUIRE_FALSE(runner.controls.empty());
  CHECK(runner.controls.back().value == watermark);
  CHECK(runner.controls.size() <= watermarks);
  if (restarts) CHECK(unanswered_at_restart > input.size() / 2);
}

/// One object for both inputs of a connected stream, without keys: numbers the records.
struct numbering {
  operator_list_state<std::int64_t> seen = operator_state("seen");
  void open(runtime_context& context) { seen.open(context.states()); }
  std::string numbered(const event& e) {
    const auto n = seen.empty() ? 1 : seen.get()[0] + 1;
    seen.update({n});
    return e.id + " " + std::to_string(n);
  }
  std::string map1(const event& e) { return numbered(e); }
  std::string map2(const event& e) { return numbered(e); }
};
operator_factory make_numbering() {
  environment env;
  const auto none = env.from_collection<event>({});
  return factory_of(none.connect(none).map(numbering{}));
}
void check_numbering(const std::string& data, bool restarts) {
  operator_runner runner{make_numbering(), {.inputs = 2}};
  auto& out = runner.capture<std::string>();
  std::vector<std::string> expected;
  for (auto& line : lines_of(data + "/input.ndjson")) {
    if (!line.contains("id")) continue;
    const auto e = event_of(line);
    runner.push_timed<event>({{e, e.ts}}, line["in"].get<unsigned>() - 1);
    expected.push_back(e.id + " " + std::to_string(expected.size() + 1));
    if (restarts) runner.restart();
  }
  CHECK(values_of(out) == expected);
}

} // namespace

void add_async_rows(std::vector<row>& table) {
  row r;
  r.pipelines = played::never;
  for (const char* data : {"window-tumbling-boundaries", "window-session-late"})
    for (const bool ordered : {true, false}) {
      r.data = data;
      r.operator_class = "async_wait_operator";
      r.make = [ordered] { return make_async(std::make_shared<slow_service>(), ordered); };
      r.check = [data, ordered](bool restarts) { check_async(data, ordered, restarts); };
      table.push_back(r);
    }
  r.data = "connect-co-process";
  r.operator_class = "co_process_operator";
  r.make = make_numbering;
  r.check = [](bool restarts) { check_numbering("connect-co-process", restarts); };
  table.push_back(r);
}

} // namespace dataflow::test::golden
