// A watermark that fires very many timers does not hold up a cancel.
#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/dataflow.hpp>

#include <doctest/doctest.h>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t timer_keys = 200'000;

/// One timer per key; the end of the input fires them all.
class one_timer_each : public keyed_process_function<std::int64_t, std::int64_t, std::int64_t> {
public:
  explicit one_timer_each(std::shared_ptr<std::int64_t> fired) : fired_(std::move(fired)) {}
  void process(const std::int64_t&, context& ctx, collector<std::int64_t>&) override {
    ctx.timers().register_event_time(timestamp{1ms});
  }
  void on_timer(timestamp, timer_context& ctx, collector<std::int64_t>& out) override {
    ++*fired_;
    out.collect(ctx.key());
  }

private:
  std::shared_ptr<std::int64_t> fired_;
};

} // namespace

TEST_CASE("a cancel does not wait for the timers that a watermark fires") {
  for (const bool cancelled : {true, false}) {
    simulated_cluster cluster{5};
    environment_options o;
    o.runner = std::shared_ptr<executor>{std::shared_ptr<void>{}, &cluster};
    environment env{o};
    env.set_parallelism(1);
    auto fired = std::make_shared<std::int64_t>(0);
    env.sequence(1, timer_keys).key_by([](std::int64_t n) { return n; }).process<one_timer_each>(fired).discard();
    auto job = env.execute_async("many timers");
    while (*fired == 0 && !job->wait_for(1ms)) {
    }
    REQUIRE(*fired > 0);
    if (cancelled) job->cancel();
    const auto status = job->wait().status;
    CHECK(status == (cancelled ? job_status::canceled : job_status::finished));
    if (cancelled)
      CHECK(*fired < timer_keys / 2);
    else
      CHECK(*fired == timer_keys);
  }
}
