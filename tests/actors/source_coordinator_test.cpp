// Which splits are in which half of a checkpoint, and which go back when a reader starts again.
#include <dataflow/actors/jobmanager/source_coordinator.hpp>
#include <dataflow/connectors/source_driver.hpp>

#include <doctest/doctest.h>

#include "tests/support/error_of.hpp"
#include "tests/support/test_platform.hpp"

using namespace dataflow;
using namespace dataflow::actors;

namespace {

/// Splits "0", "1", "2" ... without end; those that came back go first. Its snapshot is what it would hand out.
struct numbering_enumerator final : split_enumerator {
  explicit numbering_enumerator(std::string snapshot = "0") : next(std::stoi(snapshot)) {}
  void start(enumerator_context&) override {}
  void split_requested(enumerator_context& context, std::uint32_t subtask) override {
    if (next == 100) return context.no_more_splits(subtask);
    if (returned.empty()) return context.assign(subtask, {std::to_string(next++), ""});
    auto split = returned.front();
    returned.erase(returned.begin());
    context.assign(subtask, split);
  }
  void splits_returned(enumerator_context&, std::uint32_t, std::vector<source_split> splits) override {
    returned.insert(returned.end(), splits.begin(), splits.end());
  }
  std::string snapshot(std::uint64_t) override { return std::to_string(next); }
  int next;
  std::vector<source_split> returned;
};

struct coordinated {
  explicit coordinated(std::uint32_t parallelism = 2) {
    source_factories factories;
    factories.make_enumerator = [] { return std::make_unique<numbering_enumerator>(); };
    factories.restore_enumerator = [](const std::string& s) { return std::make_unique<numbering_enumerator>(s); };
    source_coordinator::sender sender;
    sender.assign = [this](std::uint32_t subtask, source_split split) {
      sent += std::to_string(subtask) + ":" + split.id + " ";
    };
    sender.no_more_splits = [this](std::uint32_t subtask) { sent += std::to_string(subtask) + ":none "; };
    source.emplace("numbers", std::move(factories), parallelism, world, std::move(sender));
    source->start();
  }
  std::string request(std::uint32_t subtask) {
    source->split_requested(subtask);
    return std::exchange(sent, {});
  }
  test::test_platform world;
  std::optional<source_coordinator> source;
  std::string sent;
};

} // namespace

TEST_CASE("between an enumerator's snapshot and the barriers nothing reaches a reader") {
  coordinated c;
  CHECK(c.request(0) == "0:0 ");
  CHECK(c.source->snapshot(1) == "1");
  CHECK(c.request(1) == ""); // it is in no reader's part of this checkpoint: it must come behind the barrier
  c.source->release();
  CHECK(std::exchange(c.sent, {}) == "1:1 ");
  c.source->release();
  CHECK(c.sent == "");
}

TEST_CASE("a reader that starts again gives back what it got since its checkpoint") {
  coordinated c;
  c.request(0); // split 0
  c.request(1); // split 1
  c.source->snapshot(1);
  c.source->release();
  c.request(0); // split 2
  c.source->snapshot(2);
  c.source->release();
  c.request(0); // split 3
  c.source->checkpoint_completed(1, 1);
  c.source->reader_restarted(0, 1); // checkpoint 2 was never complete
  CHECK(c.request(1) == "1:2 ");
  CHECK(c.request(1) == "1:3 ");
  CHECK(c.request(1) == "1:4 "); // split 0 stays with reader 0
}

TEST_CASE("a reader that starts again from its beginning gives back everything") {
  coordinated c;
  c.request(0);
  c.source->snapshot(1);
  c.source->release();
  c.request(0);
  c.source->reader_restarted(0, 0);
  CHECK(c.request(1) == "1:0 ");
  CHECK(c.request(1) == "1:1 ");
}

TEST_CASE("what is held back for a reader that dies is handed out once") {
  coordinated c;
  c.source->snapshot(1);
  c.request(0); // split 0, held back
  c.source->reader_restarted(0, 0);
  c.source->release();
  CHECK(c.sent == "");
  CHECK(c.request(1) == "1:0 ");
}

TEST_CASE("an older checkpoint that is kept is as good as the last one; before that it is an error") {
  coordinated c;
  for (std::uint64_t id = 1; id <= 3; ++id) {
    c.request(0); // splits 0, 1, 2
    c.source->snapshot(id);
    c.source->release();
    c.source->checkpoint_completed(id, id == 3 ? 2 : 1);
  }
  CHECK(test::error_of([&] { c.source->reader_restarted(0, 1); }).code() == errc::checkpoint_failed);
  c.source->reader_restarted(0, 2);
  CHECK(c.request(1) == "1:2 ");
  CHECK(c.request(1) == "1:3 ");
}

TEST_CASE("all readers and the enumerator go on from one checkpoint") {
  coordinated c;
  c.request(0);
  c.source->snapshot(1);
  enumerator_restore from;
  from.snapshot = "7";
  from.splits.push_back({1, {{"3", ""}}});
  c.source->restore(from);
  CHECK(c.request(0) == "0:3 "); // of a reader that is not there any more
  CHECK(c.request(0) == "0:7 ");
}
