#include <dataflow/exchange/output_gate.hpp>
#include <dataflow/operators/key_selector.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/record/record_type.hpp>

#include <doctest/doctest.h>

#include <set>

using namespace dataflow;

namespace {

struct sent_element {
  std::uint32_t channel;
  std::uint64_t sequence, bytes;
  element what;
};

struct recorder final : element_sender {
  void send(std::uint32_t, std::uint32_t channel, std::uint64_t sequence, std::uint64_t bytes, element e) override {
    sent.push_back({channel, sequence, bytes, std::move(e)});
  }
  template <class T>
  std::vector<T> records(std::uint32_t channel) const {
    std::vector<T> all;
    for (auto& s : sent)
      if (s.channel == channel && s.what.is_batch())
        for (auto& r : s.what.data.as<T>().records)
          all.push_back(r);
    return all;
  }
  std::vector<sent_element> sent;
};

template <class T>
batch_ptr batch_of(std::vector<T> records) {
  batch_ptr b = batch_pool::make(record_type_of<T>())->get();
  for (auto& r : records)
    b.as<T>().records.push_back(std::move(r));
  return b;
}

output_gate_config config_of(partitioning_kind kind, std::uint32_t channels) {
  output_gate_config c;
  c.kind = kind;
  c.channels = channels;
  c.initial_credit = {1000, 1 << 30};
  return c;
}

using numbers = std::vector<std::int64_t>;

} // namespace

TEST_CASE("rebalance deals records out one by one, beginning at the subtask's own consumer") {
  recorder to;
  auto c = config_of(partitioning_kind::rebalance, 3);
  c.subtask = 1;
  output_gate gate{c, batch_pool::make(record_type_of<std::int64_t>()), to};
  gate.push(batch_of<std::int64_t>({1, 2, 3, 4}));
  gate.push(batch_of<std::int64_t>({5, 6}));
  CHECK(to.sent.empty()); // collected until there is more
  CHECK(gate.has_partial());
  gate.flush();
  CHECK_FALSE(gate.has_partial());
  CHECK(to.records<std::int64_t>(1) == numbers{1, 4});
  CHECK(to.records<std::int64_t>(2) == numbers{2, 5});
  CHECK(to.records<std::int64_t>(0) == numbers{3, 6});
  CHECK(gate.records_sent() == 6);
}

TEST_CASE("without credit elements wait in order, control elements behind data; a grant sends them on") {
  recorder to;
  auto c = config_of(partitioning_kind::forward, 1);
  c.initial_credit = {1, 1 << 20};
  c.limits.records = 2;
  output_gate gate{c, batch_pool::make(record_type_of<std::int64_t>()), to};
  gate.push(batch_of<std::int64_t>({1, 2}));
  CHECK(gate.writable());
  gate.push(batch_of<std::int64_t>({3, 4}));
  CHECK_FALSE(gate.writable());
  gate.push_control(element::watermark(timestamp{std::chrono::milliseconds{7}}));
  gate.push(batch_of<std::int64_t>({5, 6}));
  REQUIRE(to.sent.size() == 1);
  CHECK(gate.queued() == 3);
  gate.grant(0, 1, 16);
  CHECK(gate.queued() == 1);
  REQUIRE(to.sent.size() == 3); // the batch and the watermark, which takes bytes only
  CHECK(to.sent[2].what.kind == element_kind::watermark);
  CHECK_FALSE(gate.writable());
  gate.grant(0, 1, 16);
  CHECK(gate.queued() == 0);
  CHECK(gate.writable());
  CHECK(to.records<std::int64_t>(0) == numbers{1, 2, 3, 4, 5, 6});
  for (std::size_t i = 0; i < to.sent.size(); ++i)
    CHECK(to.sent[i].sequence == i);
}

TEST_CASE("watermarks take credit: those without records between them do not gather before a slow receiver") {
  recorder to;
  auto c = config_of(partitioning_kind::broadcast, 2);
  c.initial_credit = {1, 64 * 1024};
  output_gate gate{c, batch_pool::make(record_type_of<std::int64_t>()), to};
  std::int64_t pushed = 0;
  const auto fill = [&] {
    while (gate.writable() && pushed < 10'000)
      gate.push_control(element::watermark(timestamp{std::chrono::milliseconds{pushed++}}));
  };
  fill();
  CHECK(to.sent.size() == 2 * 64); // of 1 KiB each
  CHECK(gate.queued() == 2);
  CHECK(pushed == 65);
  std::uint64_t bytes = 0;
  for (auto& s : to.sent)
    bytes += s.bytes;
  CHECK(bytes == 2 * 64 * 1024);
  gate.push_control(element::barrier(1, true, nullptr)); // behind them, and not lost
  gate.push_control(element::control(element_kind::idle));
  gate.grant(0, 0, 1024);
  CHECK(to.sent.size() == 2 * 64 + 2); // the watermark and the barrier; idleness waits
  CHECK_FALSE(gate.writable());
  gate.grant(0, 0, 1024);
  gate.grant(1, 0, 2048);
  CHECK(gate.writable());
  REQUIRE(to.sent.size() == 2 * 64 + 6);
  for (std::uint32_t channel : {0u, 1u}) {
    std::int64_t next = 0;
    for (auto& s : to.sent)
      if (s.channel == channel && s.what.kind == element_kind::watermark) CHECK(s.what.value == next++);
    CHECK(next == 65);
  }
  gate.grant(0, 1, 1024);
  gate.grant(1, 1, 1024);
  gate.push(batch_of<std::int64_t>({1}));
  gate.flush();
  CHECK(gate.writable()); // they have taken none of the batches' credit
}

TEST_CASE("barriers, ends and probes pass without credit") {
  recorder to;
  auto c = config_of(partitioning_kind::forward, 1);
  c.initial_credit = {0, 0};
  output_gate gate{c, batch_pool::make(record_type_of<std::int64_t>()), to};
  gate.push_control(element::barrier(1, true, nullptr));
  gate.push_control(element::control(element_kind::loop_probe, 1));
  gate.push_control(element::control(element_kind::end));
  CHECK(gate.writable());
  CHECK(to.sent.size() == 3);
}

TEST_CASE("a channel without credit stops its gate, others are still served") {
  recorder to;
  auto c = config_of(partitioning_kind::rebalance, 2);
  c.initial_credit = {1, 1 << 20};
  c.limits.records = 1;
  output_gate gate{c, batch_pool::make(record_type_of<std::int64_t>()), to};
  gate.push(batch_of<std::int64_t>({1, 2}));
  gate.push(batch_of<std::int64_t>({3, 4}));
  CHECK_FALSE(gate.writable());
  gate.grant(0, 1, 8);
  CHECK(to.records<std::int64_t>(0) == numbers{1, 3});
  CHECK(to.records<std::int64_t>(1) == numbers{2});
  CHECK_FALSE(gate.writable());
  gate.grant(1, 1, 8);
  CHECK(gate.writable());
}

TEST_CASE("records of 1 MB keep a batch near its byte bound, and one larger than all credit still passes") {
  recorder to;
  auto c = config_of(partitioning_kind::rebalance, 2);
  c.limits.bytes = 1 << 20;
  c.initial_credit = {100, 1 << 20};
  output_gate gate{c, batch_pool::make(record_type_of<std::string>()), to};
  gate.push(batch_of<std::string>(std::vector<std::string>(40, std::string(1 << 20, 'x'))));
  REQUIRE(to.sent.size() == 2); // the first of each channel takes all of its bytes and some more
  for (int round = 0; round < 40 && !gate.writable(); ++round)
    for (std::uint32_t channel = 0; channel < 2; ++channel)
      gate.grant(channel, 1, (1 << 20) + 32);
  CHECK(gate.writable());
  std::size_t records = 0;
  for (auto& s : to.sent) {
    records += s.what.data->size();
    CHECK(s.what.data->size() <= 2);
    CHECK(s.bytes <= (std::uint64_t{2} << 20) + 1000);
  }
  CHECK(records == 40);
}

TEST_CASE("broadcast shares one buffer; a single keyed consumer gets the batch itself, with its hashes") {
  recorder to;
  auto c = config_of(partitioning_kind::broadcast, 3);
  c.limits.records = 2;
  output_gate all{c, batch_pool::make(record_type_of<std::int64_t>()), to};
  all.push(batch_of<std::int64_t>({1, 2}));
  REQUIRE(to.sent.size() == 3);
  CHECK(to.sent[0].what.data.get() == to.sent[2].what.data.get());
  CHECK_FALSE(to.sent[0].what.data.unique());

  recorder keyed;
  auto identity = [](std::int64_t x) { return x; };
  auto k = config_of(partitioning_kind::hash, 1);
  k.limits.records = 2;
  k.factory = [identity] { return std::make_unique<hash_partitioner<std::int64_t, decltype(identity)>>(identity); };
  output_gate one{k, batch_pool::make(record_type_of<std::int64_t>()), keyed};
  auto b = batch_of<std::int64_t>({7, 8});
  auto* raw = b.get();
  one.push(std::move(b));
  REQUIRE(keyed.sent.size() == 1);
  CHECK(keyed.sent[0].what.data.get() == raw);
  REQUIRE(keyed.sent[0].what.data->hashes.size() == 2);
  CHECK(keyed.sent[0].what.data->hashes[0] == key_hash(std::int64_t{7}));
}

TEST_CASE("the same key always goes to the same consumer, with its hash, whatever batch it comes in") {
  recorder to;
  auto key = [](std::int64_t x) { return x % 10; };
  auto c = config_of(partitioning_kind::hash, 4);
  c.factory = [key] { return std::make_unique<hash_partitioner<std::int64_t, decltype(key)>>(key); };
  output_gate gate{c, batch_pool::make(record_type_of<std::int64_t>()), to};
  for (std::int64_t i = 0; i < 1000; i += 10) {
    auto b = batch_of<std::int64_t>({i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 6, i + 7, i + 8, i + 9});
    auto held = i % 20 == 0 ? b : batch_ptr{}; // shared batches are copied, not changed
    gate.push(std::move(b));
    if (held) CHECK_FALSE(held->has_hashes());
  }
  gate.flush();
  std::vector<std::set<std::uint32_t>> seen(10);
  std::size_t records = 0;
  for (auto& s : to.sent) {
    auto& b = s.what.data.as<std::int64_t>();
    REQUIRE(b.hashes.size() == b.records.size());
    for (std::size_t i = 0; i < b.records.size(); ++i) {
      seen[static_cast<std::size_t>(b.records[i] % 10)].insert(s.channel);
      REQUIRE(b.hashes[i] == key_hash(b.records[i] % 10));
      ++records;
    }
  }
  CHECK(records == 1000);
  for (auto& channels : seen)
    CHECK(channels.size() == 1);
}

TEST_CASE("a feedback edge takes no credit") {
  recorder to;
  auto c = config_of(partitioning_kind::forward, 1);
  c.initial_credit = {0, 0};
  c.feedback = true;
  c.limits.records = 1;
  output_gate gate{c, batch_pool::make(record_type_of<std::int64_t>()), to};
  for (std::int64_t i = 0; i < 100; ++i)
    gate.push(batch_of<std::int64_t>({i}));
  CHECK(gate.writable());
  CHECK(to.sent.size() == 100);
}

TEST_CASE("a gate that is destroyed with elements waiting gives every buffer back") {
  const auto before = batches_outstanding();
  {
    recorder to;
    auto c = config_of(partitioning_kind::rebalance, 2);
    c.initial_credit = {0, 0};
    output_gate gate{c, batch_pool::make(record_type_of<std::int64_t>()), to};
    for (int i = 0; i < 10; ++i)
      gate.push(batch_of<std::int64_t>(std::vector<std::int64_t>(5000, i)));
    CHECK(batches_outstanding() > before);
  }
  CHECK(batches_outstanding() == before);
}
