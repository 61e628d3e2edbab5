#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include "records.hpp"

using namespace dataflow;

namespace {
template <class T>
T make(std::uint64_t i) {
  if constexpr (std::is_same_v<T, std::int64_t>)
    return static_cast<std::int64_t>(i);
  else if constexpr (std::is_same_v<T, std::string>)
    return std::to_string(i) + (i % 3 ? "" : " and a text that needs the heap");
  else if constexpr (std::is_same_v<T, dense_point>)
    return {static_cast<std::int64_t>(i), 1, 2};
  else {
    auto o = some_order();
    o.id = static_cast<std::int64_t>(i);
    return o;
  }
}
timestamp time_of(std::uint64_t i) { return timestamp{std::chrono::milliseconds{i * 10}}; }

/// Records first, first + 1, ... with the columns asked for.
template <class T>
batch_ptr filled(batch_pool& pool, std::uint64_t first, std::size_t n, bool times, bool hashes) {
  auto b = pool.get();
  for (auto i = first; i < first + n; ++i) {
    b.template as<T>().records.push_back(make<T>(i));
    if (times) b->timestamps.push_back(time_of(i));
    if (hashes) b->hashes.push_back(i * 100);
  }
  return b;
}
template <class T>
void check_columns(const batch_ptr& b, std::size_t at, std::uint64_t i, bool times, bool hashes) {
  CHECK(b.template as<T>().records[at] == make<T>(i));
  if (b->has_timestamps()) CHECK(b->timestamps[at] == (times ? time_of(i) : no_timestamp));
  if (b->has_hashes()) CHECK(b->hashes[at] == (hashes ? i * 100 : 0));
}
} // namespace

TEST_CASE_TEMPLATE("append merges batches with and without timestamps and hashes", T, std::int64_t, std::string) {
  auto& type = record_type_of<T>();
  auto pool = batch_pool::make(type);
  for (int mask = 0; mask < 32; ++mask) {
    const bool t1 = mask & 1, h1 = mask & 2, t2 = mask & 4, h2 = mask & 8, move = mask & 16;
    CAPTURE(mask);
    auto to = filled<T>(*pool, 0, 5, t1, h1);
    auto from = filled<T>(*pool, 100, 6, t2, h2);
    type.append(*to, *from, 2, 5, move);
    REQUIRE(to->size() == 8);
    CHECK(to->has_timestamps() == (t1 || t2));
    CHECK(to->has_hashes() == (h1 || h2));
    if (to->has_timestamps()) REQUIRE(to->timestamps.size() == 8);
    if (to->has_hashes()) REQUIRE(to->hashes.size() == 8);
    for (std::size_t i = 0; i < 5; ++i)
      check_columns<T>(to, i, i, t1, h1);
    for (std::size_t i = 0; i < 3; ++i)
      check_columns<T>(to, 5 + i, 102 + i, t2, h2);
    if (!move) CHECK(from.template as<T>().records[2] == make<T>(102));
  }
}

TEST_CASE_TEMPLATE("scatter keeps order and columns for few and many channels", T, std::int64_t, std::string) {
  auto& type = record_type_of<T>();
  auto pool = batch_pool::make(type);
  random_source random{7};
  for (std::size_t channels : {1u, 2u, 16u, 17u, 64u, 65u, 200u})
    for (int mask = 0; mask < 8; ++mask) {
      const bool times = mask & 1, hashes = mask & 2, move = mask & 4;
      CAPTURE(channels);
      CAPTURE(mask);
      std::vector<batch_ptr> to(channels);
      std::vector<batch_base*> raw;
      std::vector<std::vector<std::pair<std::uint64_t, int>>> expected(channels);
      for (std::size_t c = 0; c < channels; ++c) {
        // some channels hold records already, with or without columns
        const int kind = static_cast<int>(random.below(5));
        to[c] = kind == 0 ? pool->get() : filled<T>(*pool, 1000, c % 4, (kind - 1) & 1, (kind - 1) & 2);
        for (std::size_t i = 0; i < to[c]->size(); ++i)
          expected[c].push_back({1000 + i, kind - 1});
        raw.push_back(to[c].get());
      }
      auto from = filled<T>(*pool, 0, 1300, times, hashes); // more than are planned at a time
      std::vector<std::uint32_t> targets;
      for (std::uint64_t i = 10; i < 1290; ++i) {
        targets.push_back(static_cast<std::uint32_t>(random.below(channels)));
        expected[targets.back()].push_back({i, mask & 3});
      }
      type.scatter(*from, 10, 1290, targets.data(), raw.data(), channels, move);
      for (std::size_t c = 0; c < channels; ++c) {
        REQUIRE(to[c]->size() == expected[c].size());
        if (to[c]->has_timestamps()) REQUIRE(to[c]->timestamps.size() == to[c]->size());
        if (to[c]->has_hashes()) REQUIRE(to[c]->hashes.size() == to[c]->size());
        bool some_time = false, some_hash = false;
        for (std::size_t i = 0; i < expected[c].size(); ++i) {
          auto [value, columns] = expected[c][i];
          check_columns<T>(to[c], i, value, columns & 1, columns & 2);
          some_time |= columns & 1;
          some_hash |= (columns & 2) != 0;
        }
        CHECK(to[c]->has_timestamps() == some_time);
        CHECK(to[c]->has_hashes() == some_hash);
      }
      if (!move) CHECK(from.template as<T>().records[10] == make<T>(10));
    }
}

TEST_CASE_TEMPLATE("batches come back from their bytes", T, std::int64_t, std::string, dense_point, shop::order) {
  auto& type = record_type_of<T>();
  auto pool = batch_pool::make(type);
  for (int mask = 0; mask < 4; ++mask)
    for (std::size_t n : {0u, 1u, 500u}) {
      const bool times = mask & 1, hashes = mask & 2;
      auto b = filled<T>(*pool, 1, n, times, hashes);
      byte_writer out;
      type.encode(*b, out);
      byte_reader in{out.buffer()};
      auto back = pool->get();
      type.decode(in, *back);
      CHECK(in.at_end());
      REQUIRE(back->size() == n);
      CHECK(back->has_timestamps() == (times && n > 0));
      CHECK(back->has_hashes() == (hashes && n > 0));
      for (std::size_t i = 0; i < n; ++i)
        check_columns<T>(back, i, 1 + i, times, hashes);
    }
}

TEST_CASE_TEMPLATE("damaged bytes of a batch throw malformed_record and nothing else", T, std::int64_t, std::string,
                   dense_point, shop::order) {
  auto& type = record_type_of<T>();
  auto pool = batch_pool::make(type);
  auto b = filled<T>(*pool, 1, 40, true, true);
  byte_writer out;
  type.encode(*b, out);
  const auto good = out.take();
  auto attempt = [&](std::string_view bytes) {
    auto into = pool->get();
    byte_reader in{bytes};
    try {
      type.decode(in, *into);
      CHECK(into.template as<T>().records.capacity() <= 64 * (bytes.size() + 16));
      return true;
    } catch (const error& e) {
      REQUIRE(e.code() == errc::malformed_record);
      return false;
    }
  };
  CHECK(attempt(good));
  for (std::size_t n = 0; n < good.size(); ++n)
    CHECK_FALSE(attempt(std::string_view{good}.substr(0, n)));
  random_source random{42};
  for (int round = 0; round < 4000; ++round) {
    auto bad = good;
    for (auto flips = 1 + random.below(4); flips > 0; --flips)
      bad[random.below(bad.size())] ^= static_cast<char>(1 << random.below(8));
    attempt(bad);
    std::string noise(random.below(64), '\0');
    for (auto& c : noise)
      c = static_cast<char>(random());
    attempt(noise);
    attempt(good.substr(0, 4) + noise); // a good header, then anything
  }
}

TEST_CASE("sizes of slices: fixed, and with what is on the heap") {
  auto pool = batch_pool::make(record_type_of<std::int64_t>());
  auto b = filled<std::int64_t>(*pool, 0, 10, false, false);
  CHECK(record_type_of<std::int64_t>().fixed_size() == 8);
  CHECK(record_type_of<std::int64_t>().byte_size(*b, 2, 5) == 24);
  CHECK(record_type_of<std::string>().fixed_size() == 0);
  auto texts = batch_pool::make(record_type_of<std::string>());
  auto t = texts->get();
  t.as<std::string>().records.push_back(std::string(1000, 'x'));
  CHECK(record_type_of<std::string>().byte_size(*t, 0, 1) >= 1000);
}
