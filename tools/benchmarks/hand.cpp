#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>

#include "workloads.hpp"

namespace bench {

std::vector<std::string> make_words() {
  std::vector<std::string> words;
  generator g{7};
  for (int w = 0; w < 5000; ++w) {
    std::string word;
    for (int i = 0; i < 7; ++i)
      word.push_back(static_cast<char>('a' + g() % 26));
    words.push_back(std::move(word));
  }
  return words;
}

std::uint64_t hand_w1(std::uint64_t records) {
  generator g{0};
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < records; ++i) {
    auto b = convert(make_bid(g(), static_cast<std::int64_t>(i), 10'000));
    if (keep(b)) sum += static_cast<std::uint64_t>(b.auction * 31 + b.price);
  }
  return sum;
}

namespace {

/// Open addressing, linear probing, a power of two, at most half full.
struct table {
  std::vector<std::int64_t> keys, values;
  std::size_t mask, used = 0;
  explicit table(std::size_t capacity = 1024) : keys(capacity, -1), values(capacity), mask(capacity - 1) {}
  static std::size_t hash(std::int64_t k) noexcept {
    return (static_cast<std::uint64_t>(k) * 0x9E3779B97F4A7C15ull) >> 32;
  }
  void grow() {
    table t(keys.size() * 2);
    for (std::size_t i = 0; i < keys.size(); ++i)
      if (keys[i] >= 0) t.at(keys[i]) = values[i];
    *this = std::move(t);
  }
  std::int64_t& at(std::int64_t key) {
    auto i = hash(key) & mask;
    while (keys[i] != key) {
      if (keys[i] < 0) {
        if (2 * (used + 1) > keys.size()) {
          grow();
          return at(key);
        }
        ++used;
        keys[i] = key;
        return values[i] = 0;
      }
      i = (i + 1) & mask;
    }
    return values[i];
  }
};

} // namespace

std::uint64_t hand_w2(std::uint64_t records, std::int64_t keys) {
  table t;
  generator g{0};
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < records; ++i) {
    auto b = make_bid(g(), static_cast<std::int64_t>(i), keys);
    auto& s = t.at(b.auction);
    s += b.price;
    sum += static_cast<std::uint64_t>(s);
  }
  return sum;
}

std::uint64_t hand_e1(std::uint64_t records) {
  generator g{0};
  std::uint64_t sum = 0;
  std::int64_t times[2048], largest = std::numeric_limits<std::int64_t>::min();
  for (std::uint64_t i = 0; i < records; ++i) {
    auto b = make_bid(g(), static_cast<std::int64_t>(i), 10'000);
    times[i % 2048] = b.time;
    largest = std::max(largest, times[i % 2048]);
    sum += static_cast<std::uint64_t>(b.price);
  }
  return largest == static_cast<std::int64_t>(records) - 1 ? sum : 0;
}

std::uint64_t hand_w3(std::uint64_t records, const std::vector<std::string>& words) {
  // Open addressing over the words' bytes; the words arrive as strings of their own, as from a file.
  struct slot {
    std::string word;
    std::int64_t count = 0;
  };
  std::vector<slot> slots(16384);
  generator g{0};
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < records; ++i) {
    std::string word = words[((g() & 0xffffffff) * words.size()) >> 32];
    auto h = std::hash<std::string_view>{}(word);
    auto at = h & (slots.size() - 1);
    while (slots[at].count != 0 && slots[at].word != word)
      at = (at + 1) & (slots.size() - 1);
    auto& s = slots[at];
    if (s.count == 0) s.word = word;
    sum += static_cast<std::uint64_t>(++s.count);
  }
  return sum;
}

} // namespace bench
