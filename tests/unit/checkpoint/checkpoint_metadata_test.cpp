#include <dataflow/util/memory_file_system.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <tests/support/checkpoint_samples.hpp>
#include <tests/support/effort.hpp>
#include <tests/support/error_of.hpp>

using namespace dataflow;
using dataflow::test::error_of;

namespace {

checkpoint_metadata everything() {
  memory_file_system files;
  file_checkpoint_storage storage{files, "/c", "job", 1, 1 << 20}; // small: all inlined
  files.create_directories("/c/job/chk-3");
  auto m = test::write_sample(storage, "/c/job/chk-3", 3, 8);
  m.kind = checkpoint_kind::savepoint;
  m.unaligned = true;
  m.subtasks[1].object = {object_scope::exclusive, "counts-1", 70, 99, {}};
  m.subtasks[1].shared = {{object_scope::shared, "a", 1000, 1, {}}, {object_scope::task_owned, "b", 5, 2, {}}};
  m.subtasks[0].shared = {{object_scope::shared, "a", 1000, 1, {}}};
  m.operators[0].parts[1].finished = true;
  m.operators[0].parts[1].in_flight = {{false, 0, 3, "lines", "string"}, {true, 2, 1, "sink", "int64"}};
  m.operators[1].parts[0].subtask.reset();
  return m;
}

} // namespace

TEST_CASE("metadata of a checkpoint comes back as it was written") {
  const auto m = everything();
  const auto back = decode_checkpoint_metadata(encode(m));
  CHECK(back == m);
  CHECK(back.operators[1].enumerator == "files left: none");
  CHECK(decode_checkpoint_metadata(encode(checkpoint_metadata{})) == checkpoint_metadata{});
  CHECK(m.bytes() == m.subtasks[0].object.size + 70 + 1000 + 5); // shared ones once
  CHECK(m.find("lines") == &m.operators[1]);
  CHECK(m.find("nobody") == nullptr);
  CHECK_FALSE(m.operators[0].finished());
  auto ended = m.operators[0];
  ended.parts[0].finished = true;
  CHECK(ended.finished());
}

TEST_CASE("every single flipped bit and every cut of metadata is found, in every format version") {
  for (const int version : {1, 2}) {
    auto m = everything();
    if (version == 1) {
      m.unaligned = false;
      m.operators[0].parts[1].in_flight.clear();
    }
    auto bytes = encode(m);
    REQUIRE(bytes[8] == version);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
      const auto e = error_of([&] { decode_checkpoint_metadata(bytes); });
      if (e.code() != errc::corrupt_state) FAIL("bit ", bit, ": '", e.to_string(), "'");
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    }
    for (std::size_t size = 0; size < bytes.size(); ++size)
      CHECK(error_of([&] { decode_checkpoint_metadata(bytes.substr(0, size)); }).code() == errc::corrupt_state);
    CHECK(error_of([&] { decode_checkpoint_metadata(bytes + "x"); }).code() == errc::corrupt_state);
  }
}

TEST_CASE("metadata of garbage behind a good checksum is refused or read, and never more than that") {
  random_source random{11};
  const auto good = encode(everything());
  for (std::size_t round = 0; round < test::rounds(20'000); ++round) {
    auto bytes = good.substr(0, good.size() - 8);
    for (auto n = random.below(4) + 1; n > 0; --n)
      bytes[24 + random.below(bytes.size() - 24)] = static_cast<char>(random());
    byte_writer sum;
    sum.fixed(stored_checksum(bytes));
    const auto e = error_of([&] { decode_checkpoint_metadata(bytes + sum.buffer()); });
    CHECK((!e || e.code() == errc::corrupt_state));
  }
}

TEST_CASE("metadata of a later format is refused with its version") {
  auto bytes = encode(everything());
  bytes.resize(bytes.size() - 8);
  bytes[8] = 3;
  byte_writer sum;
  sum.fixed(stored_checksum(bytes));
  const auto e = error_of([&] { decode_checkpoint_metadata(bytes + sum.buffer()); });
  CHECK(e.code() == errc::newer_format);
  CHECK(e.cause() == "the checkpoint has format version 3, this library reads up to 2");
}

TEST_CASE("metadata that does not fit together is not written") {
  auto m = everything();
  m.operators[0].parts.pop_back();
  CHECK(error_of([&] { encode(m); }).code() == errc::internal);
}
