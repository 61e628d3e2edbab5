#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/config/configuration.hpp>

#include <doctest/doctest.h>

#include <tests/support/error_of.hpp>

using namespace dataflow;
using dataflow::test::error_of;

namespace checkpoint_settings_test {
using namespace std::chrono_literals;

namespace {

checkpoint_settings with(std::initializer_list<std::pair<const char*, const char*>> values) {
  configuration c;
  for (auto& [key, value] : values)
    c.set(std::string{"execution.checkpointing."} + key, value);
  return checkpoint_settings::from(c);
}

} // namespace

TEST_CASE("checkpoint settings have Flink's defaults, but for two checkpoints that are kept") {
  const auto s = with({});
  CHECK_FALSE(s.periodic());
  CHECK(s.mode == checkpointing_mode::exactly_once);
  CHECK(s.timeout == 10min);
  CHECK(s.min_pause == 0ms);
  CHECK(s.max_concurrent == 1);
  CHECK(s.tolerable_failures == 0);
  CHECK(s.num_retained == 2);
  CHECK(s.retention == externalized_retention::no_externalized_checkpoints);
  CHECK(s.directory.empty());
  CHECK_FALSE(s.unaligned);
  CHECK(s.aligned_timeout == 0ms);
  CHECK(s.compress == compression::none);
  CHECK_FALSE(s.incremental);
  CHECK(s.inline_threshold == 20 * 1024);
  CHECK(s.alignment() == barrier_alignment::aligned);
}

TEST_CASE("checkpoint settings are read from the configuration, also under older names") {
  const auto s = with({{"interval", "1 s"},
                       {"dir", "/c"},
                       {"savepoint-dir", "/s"},
                       {"timeout", "2 min"},
                       {"min-pause", "5 ms"},
                       {"tolerable-failed-checkpoints", "3"},
                       {"num-retained", "4"},
                       {"externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION"},
                       {"unaligned.enabled", "true"},
                       {"aligned-checkpoint-timeout", "30 s"},
                       {"snapshot-compression", "zstd"},
                       {"incremental", "true"},
                       {"data-inline-threshold", "1 kb"}});
  CHECK(s.interval == 1s);
  CHECK(s.directory == "/c");
  CHECK(s.savepoint_directory == "/s");
  CHECK(s.timeout == 2min);
  CHECK(s.min_pause == 5ms);
  CHECK(s.tolerable_failures == 3);
  CHECK(s.num_retained == 4);
  CHECK(s.retention == externalized_retention::retain_on_cancellation);
  CHECK(s.alignment() == barrier_alignment::aligned_first);
  CHECK(s.aligned_timeout == 30s);
  CHECK(s.compress == compression::zstd);
  CHECK(s.incremental);
  CHECK(s.inline_threshold == 1024);
  CHECK(with({{"unaligned.enabled", "true"}}).alignment() == barrier_alignment::unaligned);
  CHECK(with({{"mode", "AT_LEAST_ONCE"}}).alignment() == barrier_alignment::none);
  CHECK(with({{"snapshot-compression", "true"}}).compress == compression::lz4);
  CHECK(with({{"max-concurrent-checkpoints", "3"}}).max_concurrent == 3);
  CHECK(with({{"externalized-checkpoint-retention", "DELETE_ON_CANCELLATION"}}).retention ==
        externalized_retention::delete_on_cancellation);

  configuration old;
  old.set("state.checkpoints.dir", "/c").set("state.savepoints.dir", "/s").set("state.checkpoints.num-retained", "1");
  old.set("state.backend.incremental", "true").set("state.storage.fs.memory-threshold", "2 kb");
  const auto o = checkpoint_settings::from(old);
  CHECK(o.directory == "/c");
  CHECK(o.savepoint_directory == "/s");
  CHECK(o.num_retained == 1);
  CHECK(o.incremental);
  CHECK(o.inline_threshold == 2048);
}

TEST_CASE("checkpoint settings that contradict each other are explained") {
  const auto text = [](auto... values) { return error_of([&] { with({values...}); }).to_string(); };
  using pair = std::pair<const char*, const char*>;
  CHECK(
      text(pair{"interval", "0"}, pair{"dir", "/c"}) ==
      "invalid_option: execution.checkpointing.interval is 0 (set it to the time between two checkpoints, or to -1 for "
      "none)");
  CHECK(text(pair{"interval", "1 s"}).empty()); // without a directory they are kept in memory, as in Flink
  CHECK(text(pair{"interval", "1 s"}, pair{"dir", "/c"}, pair{"timeout", "1 s"}, pair{"min-pause", "2 s"}) ==
        "invalid_option: execution.checkpointing.timeout (1 s) is shorter than execution.checkpointing.min-pause (2 s) "
        "(a "
        "checkpoint would be given up sooner than the next may begin: raise the timeout or lower the pause)");
  CHECK(text(pair{"unaligned.enabled", "true"}, pair{"mode", "AT_LEAST_ONCE"})
            .find("execution.checkpointing.unaligned.enabled needs execution.checkpointing.mode: EXACTLY_ONCE") !=
        std::string::npos);
  CHECK(text(pair{"unaligned.enabled", "true"}, pair{"max-concurrent-checkpoints", "2"})
            .find("unaligned checkpoints allow one at a time") != std::string::npos);
  CHECK(error_of([&] { with({{"timeout", "0"}}); }).code() == errc::invalid_option);
  CHECK(error_of([&] { with({{"num-retained", "0"}}); }).code() == errc::invalid_option);
  CHECK(error_of([&] { with({{"mode", "TWICE"}}); }).code() == errc::invalid_option);
}

} // namespace checkpoint_settings_test
