#include <dataflow/checkpoint/checkpoint_storage.hpp>
#include <dataflow/checkpoint/published_output.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <tests/support/error_of.hpp>

using namespace dataflow;
using dataflow::test::error_of;

namespace published_output_test {

checkpoint_metadata with_committables(std::uint64_t id, const std::vector<std::string>& sinks) {
  checkpoint_metadata m;
  m.id = id;
  for (auto uid : {"a", "b", "c"}) {
    operator_metadata op;
    op.uid = uid;
    op.name = std::string{"Sink "} + uid;
    op.parts.resize(2);
    const bool publishes = std::find(sinks.begin(), sinks.end(), uid) != sinks.end();
    op.parts[1].states.push_back(
        {{std::string{committables_state}, state_kind::union_list, ""}, publishes ? 1u : 0u, 0});
    m.operators.push_back(std::move(op));
  }
  return m;
}

} // namespace published_output_test
using namespace published_output_test;

TEST_CASE("a restart from before what a sink has published is refused, naming the sink and the range") {
  published_output p;
  CHECK(!p.add(with_committables(3, {})));
  CHECK(!p.doubled_by(0));
  CHECK(p.add(with_committables(4, {"b"})));
  CHECK(p.add(with_committables(6, {"a", "b"})));
  CHECK(p.add(with_committables(7, {"a"})));
  CHECK(!p.doubled_by(7));
  CHECK(!p.doubled_by(8));
  const auto six = p.doubled_by(6).value().cause();
  CHECK(six.find("sink 'Sink a' (uid 'a', up to checkpoint 7)") != std::string::npos);
  CHECK(six.find("'Sink b'") == std::string::npos);
  CHECK(six.find("the output of checkpoint 7 would be doubled") != std::string::npos);
  const auto five = p.doubled_by(5).value().cause();
  CHECK(five.find("'Sink b' (uid 'b', up to checkpoint 6)") != std::string::npos);
  CHECK(five.find("checkpoints 6 to 7") != std::string::npos);
  CHECK(p.doubled_by(0).value().cause().find("no checkpoint can be used") != std::string::npos);
}

TEST_CASE("the note of what was published: every changed byte and every cut is found") {
  published_output p;
  p.add(with_committables(300, {"a", "c"}));
  const auto bytes = encode(p);
  CHECK(decode_published_output(bytes) == p);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      auto changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      CHECK(error_of([&] { decode_published_output(changed); }).code() == errc::corrupt_state);
    }
    CHECK(error_of([&] { decode_published_output(bytes.substr(0, i)); }).code() == errc::corrupt_state);
  }
}

TEST_CASE("the storage keeps the last note; of a damaged one the number is known") {
  memory_file_system disk;
  file_checkpoint_storage storage{disk, "/c", "job", 1};
  storage.take_over(1);
  CHECK(storage.published() == published_output{});
  published_output p;
  p.add(with_committables(9, {"a"}));
  storage.note_published(p);
  storage.note_published(p);
  p.add(with_committables(10, {"b"}));
  storage.note_published(p);
  CHECK(storage.published() == p);
  CHECK(!disk.exists("/c/job/_published-9"));
  CHECK(storage.list().empty());
  disk.write_file("/c/job/_published-10", "damaged");
  CHECK(storage.published() == published_output{10, {}});
  CHECK(storage.published().doubled_by(8).value().cause().find("some sink") != std::string::npos);
  storage.release();
  CHECK(disk.paths().empty());
}
