/// The Nexmark-shaped queries as pipelines; each ends in a stream of what its checksum adds up.
#pragma once

#include <dataflow/dataflow.hpp>

#include <apps/examples/nexmark/events.hpp>
#include <atomic>
#include <memory>

namespace nexmark {

using namespace dataflow;
using namespace std::chrono_literals;

struct priced {
  std::int64_t auction = 0, price = 0;
};
struct bids_in_window {
  std::int64_t auction = 0, bids = 0;
};
struct sold {
  std::int64_t seller = 0, auction = 0;
};

/// Function objects: a pointer to a function would be called for every record.
template <event_kind Kind>
struct is_of_kind {
  bool operator()(const event& e) const noexcept { return e.kind == Kind; }
};
using is_bid = is_of_kind<event_kind::bid>;
using is_person = is_of_kind<event_kind::person>;
using is_auction = is_of_kind<event_kind::auction>;

struct time_of {
  timestamp operator()(const event& e) const noexcept { return timestamp{std::chrono::milliseconds{e.ts}}; }
};

/// Events in the order of their time: the watermark is one millisecond behind.
inline data_stream<event> events_in_order(environment& env, std::uint64_t events) {
  return env.from(event_source{events}, "events")
      .assign_timestamps_and_watermarks(watermark_strategy<event>::monotonous_timestamps().with_timestamp(time_of{}));
}

} // namespace nexmark

DATAFLOW_RECORD(nexmark::priced, auction, price);
DATAFLOW_RECORD(nexmark::bids_in_window, auction, bids);
DATAFLOW_RECORD(nexmark::sold, seller, auction);

namespace nexmark {

inline data_stream<std::int64_t> q0(environment& env, std::uint64_t events) {
  return env.from(event_source{events}, "events").filter(is_bid{}).map([](const event& e) { return e.a * 31 + e.c; });
}

inline data_stream<std::int64_t> q1(environment& env, std::uint64_t events) {
  return env.from(event_source{events}, "events")
      .filter(is_bid{})
      .map([](const event& e) {
        event converted = e;
        converted.c = e.c * 908 / 1000;
        return converted;
      })
      .map([](const event& e) { return e.a * 31 + e.c; });
}

inline data_stream<std::int64_t> q2(environment& env, std::uint64_t events) {
  return env.from(event_source{events}, "events")
      .filter([](const event& e) { return is_bid{}(e) && e.a % 123 == 0; })
      .map([](const event& e) {
        return priced{e.a, e.c};
      })
      .map([](const priced& p) { return p.auction * 31 + p.price; });
}

/// Who sells in a category and lives in one of three states: each auction once its seller is known.
class local_items final : public keyed_co_process_function<std::int64_t, event, event, sold> {
  value_state<bool> known_ = state("seller is known");
  list_state<std::int64_t> waiting_ = state("auctions of an unknown seller");

public:
  void process1(const event& person, context&, collector<sold>& out) override {
    known_ = true;
    for (const auto auction : waiting_.get())
      out.collect({person.a, auction});
    waiting_.clear();
  }
  void process2(const event& auction, context&, collector<sold>& out) override {
    if (known_.has_value())
      out.collect({auction.b, auction.a});
    else
      waiting_.add(auction.a);
  }
};

inline data_stream<std::int64_t> q3(environment& env, std::uint64_t events) {
  auto all = env.from(event_source{events}, "events");
  auto persons = all.filter([](const event& e) { return is_person{}(e) && e.b < 3; });
  auto auctions = all.filter([](const event& e) { return is_auction{}(e) && e.c == 10; });
  return persons.connect(auctions).key_by(&event::a, &event::b).process<local_items>().map([](const sold& s) {
    return s.seller * 31 + s.auction;
  });
}

inline data_stream<std::int64_t> q5(environment& env, std::uint64_t events) {
  return events_in_order(env, events)
      .filter(is_bid{})
      .map([](const event& e) {
        return bids_in_window{e.a, 1};
      })
      .key_by(&bids_in_window::auction)
      .window(sliding_event_time_windows{10s, 2s})
      .sum(&bids_in_window::bids)
      .window_all(tumbling_event_time_windows{2s})
      .max(&bids_in_window::bids)
      .map([](const bids_in_window& w) { return w.bids; });
}

inline data_stream<std::int64_t> q7(environment& env, std::uint64_t events) {
  return events_in_order(env, events)
      .filter(is_bid{})
      .window_all(tumbling_event_time_windows{10s})
      .max(&event::c)
      .map([](const event& e) { return e.c; });
}

inline data_stream<std::int64_t> q8(environment& env, std::uint64_t events) {
  auto all = events_in_order(env, events);
  return all.filter(is_person{})
      .join(all.filter(is_auction{}))
      .where(&event::a)
      .equal_to(&event::b)
      .window(tumbling_event_time_windows{10s})
      .apply([](const event& person, const event& auction) {
        return sold{person.a, auction.a};
      })
      .map([](const sold& s) { return s.seller * 31 + s.auction; });
}

} // namespace nexmark
