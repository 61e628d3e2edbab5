// Records and functions that are not as a job expects them, and a disk that is full, in whole jobs.
#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/api/environment.hpp>
#include <dataflow/connectors/text_file_sink.hpp>
#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <tests/support/error_of.hpp>

using namespace dataflow;
using dataflow::test::error_of;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

using measurement = std::pair<double, std::int64_t>;

} // namespace

TEST_CASE("a key function that throws fails the job with its text, whatever throws it") {
  log_capture log;
  for (const bool strange : {false, true}) {
    CAPTURE(strange);
    environment env;
    env.set_parallelism(2);
    auto counts = env.sequence(1, 100)
                      .map([](std::int64_t n) {
                        return std::pair{n, std::int64_t{1}};
                      })
                      .key_by([strange](const std::pair<std::int64_t, std::int64_t>& p) {
                        if (p.first == 77 && strange) throw 42;
                        if (p.first == 77) throw std::runtime_error{"no key for 77"};
                        return p.first % 10;
                      })
                      .sum(&std::pair<std::int64_t, std::int64_t>::second);
    const auto why = error_of([&] { counts.collect(); });
    CHECK(why);
    CHECK_MESSAGE(contains(why.cause(), strange ? "not a std::exception" : "no key for 77"), why.to_string());
    CHECK_MESSAGE(contains(why.to_string(), "attempt 0"), why.to_string());
  }
}

TEST_CASE("all NaNs are one key, on one subtask; 0 and -0 are two") {
  const auto nan = std::numeric_limits<double>::quiet_NaN();
  environment env;
  env.set_parallelism(3);
  auto counts =
      env.from_collection(std::vector<measurement>{
                              {nan, 1}, {-nan, 1}, {std::nan("7"), 1}, {0.0, 1}, {-0.0, 1}, {-0.0, 1}, {nan, 1}})
          .key_by(&measurement::first)
          .sum(&measurement::second)
          .collect();
  std::int64_t most_nan = 0;
  std::map<bool, std::int64_t> zeros; // by sign
  for (const auto& [key, count] : counts) {
    if (std::isnan(key))
      most_nan = std::max(most_nan, count);
    else
      zeros[std::signbit(key)] = std::max(zeros[std::signbit(key)], count);
  }
  CHECK(most_nan == 4);
  CHECK(zeros == std::map<bool, std::int64_t>{{false, 1}, {true, 2}});
}

TEST_CASE("a record above the limit fails the job with operator, size, limit and key, or is skipped") {
  log_capture log;
  const auto grow = [](std::int64_t n) { return std::string(static_cast<std::size_t>(n), 'x'); };
  environment env;
  env.configure("taskmanager.record.max-bytes", "1 kb");
  const auto why = error_of([&] { env.from_elements<std::int64_t>({10, 5000}).map(grow).name("grow").collect(); });
  CHECK(why.code() == errc::record_too_large);
  CHECK_MESSAGE(contains(why.to_string(), "operator \"grow\""), why.to_string());
  CHECK_MESSAGE(contains(why.to_string(), "a record of 5002 bytes, where 1024 are allowed"), why.to_string());
  CHECK_MESSAGE(contains(why.to_string(), "taskmanager.record.max-bytes"), why.to_string());

  environment lenient;
  lenient.configure("taskmanager.record.max-bytes", "1 kb");
  const auto kept = lenient.from_elements<std::int64_t>({10, 5000, 20})
                        .map(grow)
                        .supervise({.on_record_error = record_error::skip()})
                        .collect();
  CHECK(kept.size() == 2);
}

TEST_CASE("a disk that is full under a file sink fails the job with the file's name; with room it goes on") {
  log_capture log;
  for (const bool full : {true, false}) {
    CAPTURE(full);
    auto sim = std::make_shared<simulated_cluster>(3);
    if (full) sim->disk().disk_full_after(1000);
    environment env{environment_options{.runner = sim}};
    env.sequence(1, 1000)
        .map([](std::int64_t n) { return std::to_string(n); })
        .sink_to(text_file_sink<std::string>{"/out"});
    const auto why = error_of([&] { env.execute(); });
    CHECK(static_cast<bool>(why) == full);
    if (!full) continue;
    CHECK(why.code() == errc::disk_full);
    CHECK_MESSAGE(contains(why.to_string(), "/out/"), why.to_string());
  }
}
