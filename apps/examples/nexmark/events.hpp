/// The events of the Nexmark-shaped queries: numbers only, made from an index and a random generator, in time order.
///
/// 50 events are 1 person, 3 auctions and 46 bids; 1,000,000 events are one second of event time. The readers of a
/// source take the events in turn, each with a generator of its own, so that what they make depends on how many there
/// are, and on nothing else.
/// Source: the Nexmark benchmark (Tucker et al.; Beam's generator), cut down to the fields that the queries read.
#pragma once

#include <dataflow/connectors/list_enumerator.hpp>
#include <dataflow/connectors/split_reader.hpp>
#include <dataflow/record/record.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

namespace nexmark {

enum class event_kind : std::int32_t { person, auction, bid };

struct event {
  event_kind kind = event_kind::person;
  std::int64_t a = 0; ///< person: id; auction: id; bid: auction
  std::int64_t b = 0; ///< person: state; auction: seller; bid: bidder
  std::int64_t c = 0; ///< person: city; auction: category; bid: price
  std::int64_t d = 0; ///< persons and auctions: a random number
  std::int64_t ts = 0;
};

inline constexpr std::int64_t first_timestamp = 1'000'000'000;
inline constexpr std::int64_t events_per_millisecond = 1000;

/// One reader's random numbers: xorshift64.
class random_numbers {
public:
  explicit random_numbers(std::uint32_t subtask) noexcept : state_(0x9E3779B97F4A7C15ull * (subtask + 1ull)) {}
  static random_numbers from_state(std::uint64_t state) noexcept {
    random_numbers r{0};
    r.state_ = state;
    return r;
  }
  std::uint64_t state() const noexcept { return state_; }
  std::uint64_t next() noexcept {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }

private:
  std::uint64_t state_;
};

/// Event `i` of all readers, from this reader's next random number.
inline event make_event(std::uint64_t x, std::uint64_t i) noexcept {
  const std::uint64_t epoch = i / 50, q = i % 50, u = x >> 32;
  const auto ep = static_cast<std::int64_t>(epoch);
  const auto hot_person = ep / 100 * 100;
  const auto some_person = std::max<std::int64_t>(0, ep - static_cast<std::int64_t>(u % 1000));
  event e;
  e.ts = first_timestamp + static_cast<std::int64_t>(i / events_per_millisecond);
  if (q == 0) {
    e.kind = event_kind::person;
    e.a = ep;
    e.b = static_cast<std::int64_t>(u % 6);
    e.c = static_cast<std::int64_t>((x & 0xFFFF) % 10);
    e.d = static_cast<std::int64_t>(x >> 40);
  } else if (q <= 3) {
    e.kind = event_kind::auction;
    e.a = ep * 3 + static_cast<std::int64_t>(q) - 1;
    e.b = (x & 3) != 0 ? hot_person : some_person;
    e.c = 10 + static_cast<std::int64_t>(u % 5);
    e.d = static_cast<std::int64_t>(x >> 44);
  } else {
    const auto last = ep * 3 + 2;
    e.kind = event_kind::bid;
    e.a = (x & 1) != 0 ? last / 100 * 100 : std::max<std::int64_t>(0, last - static_cast<std::int64_t>(u % 100));
    e.b = ((x >> 1) & 3) != 0 ? hot_person : some_person;
    e.c = 1 + static_cast<std::int64_t>((x >> 8) & 0xFFFFF);
  }
  return e;
}

/// What one reader makes: the events i = reader, reader + readers, ...
struct event_split {
  std::string id; ///< the reader's number
  std::uint64_t next = 0, left = 0, step = 1, state = 0;
  std::string encode() const {
    dataflow::byte_writer out;
    for (auto v : {next, left, step, state})
      out.fixed(v);
    return out.take();
  }
  static event_split decode(const dataflow::source_split& split) {
    dataflow::byte_reader in{split.payload};
    event_split s;
    s.id = split.id;
    for (auto* v : {&s.next, &s.left, &s.step, &s.state})
      *v = in.fixed<std::uint64_t>();
    return s;
  }
};

class event_reader final : public dataflow::split_reader<event, event_split> {
  dataflow::poll_result read(event_split& split, dataflow::source_output<event>& out) override {
    auto random = random_numbers::from_state(split.state);
    const auto n = std::min<std::uint64_t>(out.room(), split.left);
    auto& records = out.records();
    const auto from = records.size();
    records.resize_for_overwrite(from + n);
    auto i = split.next;
    for (auto *r = records.data() + from, *end = r + n; r != end; ++r, i += split.step)
      *r = make_event(random.next(), i);
    split.next = i;
    split.left -= n;
    split.state = random.state();
    return split.left == 0 ? dataflow::poll_result::end() : dataflow::poll_result::more();
  }
};

/// `count` events of all readers together.
class event_source final : public dataflow::source<event> {
public:
  explicit event_source(std::uint64_t count) : count_(count) {}
  dataflow::boundedness bounds() const noexcept override { return dataflow::boundedness::bounded; }
  std::unique_ptr<dataflow::source_reader<event>> make_reader() const override {
    return std::make_unique<event_reader>();
  }
  std::unique_ptr<dataflow::split_enumerator> make_enumerator() const override {
    return std::make_unique<dataflow::list_enumerator>(discover(), dataflow::split_assignment::by_number);
  }
  std::unique_ptr<dataflow::split_enumerator> restore_enumerator(const std::string& snapshot) const override {
    return std::make_unique<dataflow::list_enumerator>(discover(), dataflow::split_assignment::by_number, snapshot);
  }

private:
  dataflow::list_enumerator::discover_function discover() const {
    return [count = count_](dataflow::enumerator_context& context) {
      const std::uint64_t readers = context.parallelism();
      std::vector<dataflow::source_split> splits;
      for (std::uint64_t s = 0; s < readers && s < count; ++s) {
        event_split split{std::to_string(s), s, (count - s + readers - 1) / readers, readers,
                          random_numbers{static_cast<std::uint32_t>(s)}.state()};
        splits.push_back({split.id, split.encode()});
      }
      return splits;
    };
  }
  std::uint64_t count_;
};

} // namespace nexmark

DATAFLOW_RECORD(nexmark::event, kind, a, b, c, d, ts);
