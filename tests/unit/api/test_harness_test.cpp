#include <dataflow/api/test_harness.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

using click = std::pair<std::string, std::int64_t>;
const output_tag<std::int64_t> odd{"odd"};
const output_tag<std::string> users{"users"};

class click_watcher : public keyed_process_function<std::string, click, std::string> {
public:
  explicit click_watcher(std::int64_t limit) : limit_(limit) {}
  void open(runtime_context& context) override {
    where_ = context.subtask_index();
    seen_ = &context.accumulator_of("seen");
  }
  void process(const click& c, context& ctx, collector<std::string>& out) override {
    seen_->add();
    ctx.output(users, ctx.key());
    if (c.second > limit_) out.collect(c.first + "@" + std::to_string(where_));
  }

private:
  std::int64_t limit_;
  std::uint32_t where_ = 0;
  accumulator* seen_ = nullptr;
};

} // namespace

TEST_CASE("the harness runs a map function") {
  test_harness h{[](const std::int64_t& x) { return std::to_string(2 * x); }};
  h.push(4);
  h.push(21);
  CHECK(h.output() == std::vector<std::string>{"8", "42"});
  h.push(1);
  CHECK(h.output().size() == 3);
  h.clear();
  CHECK(h.output().empty());
}

TEST_CASE("the harness runs a flat_map function") {
  test_harness h{[](const std::int64_t& n, collector<std::int64_t>& out) {
    for (std::int64_t i = 0; i < n; ++i)
      out.collect(i);
  }};
  h.push_all({3, 0, 1});
  CHECK(h.output() == std::vector<std::int64_t>{0, 1, 2, 0});
  h.clear();
  h.push(100'000); // more than a batch
  CHECK(h.output().size() == 100'000);
}

TEST_CASE("the harness shows side outputs, timestamps and watermarks of a process function") {
  test_harness h{[](const std::int64_t& n, process_context& ctx, collector<std::int64_t>& out) {
    if (n % 2)
      ctx.output(odd, n);
    else
      out.collect(n + ctx.current_watermark().time_since_epoch().count());
  }};
  h.watermark(timestamp{100ms});
  h.push(1);
  h.push(2, timestamp{7ms});
  CHECK(h.output() == std::vector<std::int64_t>{102});
  CHECK(h.output_times() == std::vector<timestamp>{timestamp{7ms}});
  CHECK(h.side_output(odd) == std::vector<std::int64_t>{1});
  CHECK(h.watermarks() == std::vector<timestamp>{timestamp{100ms}});
}

TEST_CASE("the harness builds keyed process functions and gives them their key and context") {
  test_harness_options options;
  options.subtask = 3;
  test_harness h{function_of<click_watcher>(10), &click::first, options};
  h.push({"ann", 5});
  h.push({"bob", 50});
  CHECK(h.output() == std::vector<std::string>{"bob@3"});
  CHECK(h.side_output(users) == std::vector<std::string>{"ann", "bob"});
  CHECK(h.accumulator("seen") == 2);
}

TEST_CASE("the harness throws what the function throws, or does what the record-error policy says") {
  auto picky = [](const std::int64_t& n) -> std::int64_t {
    if (n == 13) throw std::runtime_error("not thirteen");
    return n;
  };
  test_harness fails{picky};
  try {
    fails.push(13);
    FAIL("nothing was thrown");
  } catch (const error& e) {
    CHECK(e.to_string().find("not thirteen") != std::string::npos);
  }
  test_harness_options options;
  options.on_record_error.action = record_error_policy::kind::skip;
  test_harness skips{picky, no_key{}, options};
  skips.push_all({12, 13, 14});
  CHECK(skips.output() == std::vector<std::int64_t>{12, 14});
  CHECK(skips.counter("numRecordsSkipped") == 1);
}
