/// The benchmarks' records and their generators, the same for the engine and for the hand-written loops.
#pragma once

#include <dataflow/connectors/list_enumerator.hpp>
#include <dataflow/connectors/source.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/record/record.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

struct bid {
  std::int64_t auction, bidder, price, time;
};

/// xorshift64
struct generator {
  std::uint64_t state;
  explicit generator(std::uint32_t subtask) : state(88172645463325252ull + 0x9E3779B97F4A7C15ull * subtask) {}
  std::uint64_t operator()() noexcept {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
  }
};

inline bid make_bid(std::uint64_t x, std::int64_t i, std::int64_t keys) noexcept {
  return {static_cast<std::int64_t>(((x & 0xffffffff) * static_cast<std::uint64_t>(keys)) >> 32),
          static_cast<std::int64_t>((x >> 20) & 0xffff), static_cast<std::int64_t>(((x >> 32) * 1'000'000) >> 32), i};
}

/// W1's map and filter.
inline bid convert(const bid& b) noexcept {
  bid r = b;
  r.price = b.price * 908 / 1000;
  return r;
}
inline bool keep(const bid& b) noexcept { return b.price % 10 != 0; }

/// W3: 5,000 random words of seven letters.
std::vector<std::string> make_words();

/// `count` records per reader, made by make(generator&, index). One split per reader.
template <class T, class Make>
class counted_reader final : public dataflow::source_reader<T> {
public:
  counted_reader(std::uint64_t count, Make make) : left_(count), make_(std::move(make)) {}
  void open(dataflow::reader_context& context) override { generator_ = generator{context.runtime().subtask_index()}; }
  void add_splits(std::vector<dataflow::source_split>) override {}
  void no_more_splits() override {}
  std::vector<dataflow::source_split> snapshot(std::uint64_t) override { return {}; }
  dataflow::poll_result poll(dataflow::source_output<T>& out) override {
    const auto n = std::min<std::uint64_t>(out.room(), left_);
    auto& records = out.records();
    auto g = generator_;
    auto i = index_;
    if constexpr (std::is_trivially_copyable_v<T>) {
      const auto from = records.size();
      records.resize_for_overwrite(from + n);
      auto* r = records.data() + from;
      for (std::uint64_t k = 0; k < n; ++k)
        r[k] = make_(g(), i++);
    } else {
      records.reserve(records.size() + n);
      for (std::uint64_t k = 0; k < n; ++k)
        records.unchecked_emplace_back(make_(g(), i++));
    }
    generator_ = g;
    index_ = i;
    left_ -= n;
    return left_ == 0 ? dataflow::poll_result::end() : dataflow::poll_result::more();
  }

private:
  std::uint64_t left_;
  Make make_;
  generator generator_{0};
  std::int64_t index_ = 0;
};

class no_enumerator final : public dataflow::split_enumerator {
public:
  void start(dataflow::enumerator_context&) override {}
  void split_requested(dataflow::enumerator_context&, std::uint32_t) override {}
  void splits_returned(dataflow::enumerator_context&, std::uint32_t, std::vector<dataflow::source_split>) override {}
  std::string snapshot(std::uint64_t) override { return {}; }
};

template <class T, class Make>
class counted_source final : public dataflow::source<T> {
public:
  counted_source(std::uint64_t count_per_reader, Make make) : count_(count_per_reader), make_(std::move(make)) {}
  dataflow::boundedness bounds() const noexcept override { return dataflow::boundedness::bounded; }
  std::unique_ptr<dataflow::source_reader<T>> make_reader() const override {
    return std::make_unique<counted_reader<T, Make>>(count_, make_);
  }
  std::unique_ptr<dataflow::split_enumerator> make_enumerator() const override {
    return std::make_unique<no_enumerator>();
  }
  std::unique_ptr<dataflow::split_enumerator> restore_enumerator(const std::string&) const override {
    return make_enumerator();
  }

private:
  std::uint64_t count_;
  Make make_;
};

struct word_count {
  std::string word;
  std::int64_t count = 0;
};

// ---- the hand-written loops: one thread, no engine; each returns its checksum
// ----------------------------------------

std::uint64_t hand_w1(std::uint64_t records);
std::uint64_t hand_w2(std::uint64_t records, std::int64_t keys);
/// Timestamps and the largest of them beside the sum of the prices.
std::uint64_t hand_e1(std::uint64_t records);
std::uint64_t hand_w3(std::uint64_t records, const std::vector<std::string>& words);

} // namespace bench

DATAFLOW_RECORD(bench::bid, auction, bidder, price, time);
DATAFLOW_RECORD(bench::word_count, word, count);
