#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/network/element_codec.hpp>
#include <dataflow/record/record_origin.hpp>
#include <dataflow/record/record_type.hpp>

#include <doctest/doctest.h>

#include <string>
#include <tests/support/error_of.hpp>
#include <vector>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

using strings = std::vector<std::string>;

batch_pool::handle string_pool() { return batch_pool::make(record_type_of<std::string>()); }

element batch_of(const strings& records, bool times = false, bool hashes = false) {
  auto b = string_pool()->get();
  for (auto& r : records) {
    b.as<std::string>().records.push_back(r);
    if (times)
      b->timestamps.push_back(timestamp{std::chrono::milliseconds{static_cast<int>(b->timestamps.size()) - 7}});
    if (hashes) b->hashes.push_back(0x8000000000000001u + b->hashes.size());
  }
  return element::of(std::move(b));
}

std::string bytes_of(const element& e, compression how = compression::none) {
  byte_writer out;
  encode_element(e, how, out);
  return out.take();
}

element through(const element& e, compression how = compression::none) {
  const auto bytes = bytes_of(e, how);
  return decode_element(bytes, *string_pool());
}

strings records_of(const element& e) {
  auto& records = e.data.as<std::string>().records;
  return {records.begin(), records.end()};
}

std::shared_ptr<checkpoint_options> some_options() {
  auto o = std::make_shared<checkpoint_options>();
  o->kind = checkpoint_kind::savepoint;
  o->after = after_savepoint::drain;
  o->alignment = barrier_alignment::aligned_first;
  o->aligned_timeout = 1234ms;
  o->triggered = 1'700'000'000'123ms;
  o->directory = "a directory";
  return o;
}

/// A batch whose record is traced.
element traced_batch() {
  auto e = batch_of({"y"});
  e.data->origin = std::make_shared<const record_origin>(
      record_origin{"uid", "the source", "split 3", std::string("\0\x01", 2), "byte 7", 5, true});
  return e;
}

/// One element of each kind.
std::vector<element> all_kinds() {
  return {traced_batch(),
          batch_of({"a", "", "long enough to live on the heap"}, true, true),
          batch_of({"x"}),
          element::watermark(timestamp{-5ms}),
          element::watermark(max_timestamp),
          element::control(element_kind::idle),
          element::control(element_kind::active),
          element::barrier(77, true, some_options()),
          element::barrier(78, false, nullptr),
          element::control(element_kind::loop_probe, 12, true),
          element::control(element_kind::end)};
}

void check_equal(const element& a, const element& b) {
  CHECK(a.kind == b.kind);
  CHECK(a.flag == b.flag);
  CHECK(a.value == b.value);
  REQUIRE(static_cast<bool>(a.options) == static_cast<bool>(b.options));
  if (a.options) CHECK(*a.options == *b.options);
  REQUIRE(static_cast<bool>(a.data) == static_cast<bool>(b.data));
  if (!a.data) return;
  CHECK(records_of(a) == records_of(b));
  REQUIRE(static_cast<bool>(a.data->origin) == static_cast<bool>(b.data->origin));
  if (a.data->origin) {
    CHECK(a.data->origin->same_record(*b.data->origin));
    CHECK(a.data->origin->to_string() == b.data->origin->to_string());
    CHECK(a.data->origin->under_way == b.data->origin->under_way);
    CHECK(a.data->origin->records == b.data->origin->records);
  }
  CHECK(std::vector(a.data->timestamps.begin(), a.data->timestamps.end()) ==
        std::vector(b.data->timestamps.begin(), b.data->timestamps.end()));
  CHECK(std::vector(a.data->hashes.begin(), a.data->hashes.end()) ==
        std::vector(b.data->hashes.begin(), b.data->hashes.end()));
}

} // namespace

TEST_CASE("an element of every kind comes back from its bytes as it was") {
  for (auto& e : all_kinds())
    check_equal(through(e), e);
}

TEST_CASE("large batches travel compressed where that is asked for, others as they are") {
  const auto large = batch_of(strings(200, "the same text again and again"), true, true);
  const auto plain = bytes_of(large);
  for (auto how : {compression::lz4, compression::zstd}) {
    CHECK(bytes_of(large, how).size() < plain.size() / 2);
    check_equal(through(large, how), large);
    for (auto& e : all_kinds())
      CHECK(bytes_of(e, how) == bytes_of(e));
  }
}

TEST_CASE("what compression does not make smaller goes as it is") {
  std::string noise;
  for (std::uint32_t i = 0, x = 1; i < 2000; ++i, x = x * 1664525 + 1013904223)
    noise += static_cast<char>(x >> 24);
  const auto e = batch_of({noise});
  CHECK(bytes_of(e, compression::zstd) == bytes_of(e));
}

TEST_CASE("an element that is cut short anywhere is an error") {
  auto elements = all_kinds();
  elements.push_back(batch_of(strings(60, "the same text again")));
  for (auto how : {compression::none, compression::lz4, compression::zstd})
    for (auto& e : elements) {
      auto bytes = bytes_of(e, how);
      for (std::size_t n = 0; n < bytes.size(); ++n)
        CHECK(test::error_of([&] { decode_element(bytes.substr(0, n), *string_pool()); }).code() ==
              errc::malformed_record);
      bytes += '\0';
      CHECK(test::error_of([&] { decode_element(bytes, *string_pool()); }).code() == errc::malformed_record);
    }
}

TEST_CASE("a changed bit in an element is an error or another element, never worse") {
  auto elements = all_kinds();
  elements.push_back(batch_of(strings(60, "the same text again")));
  int errors = 0, others = 0;
  for (auto how : {compression::none, compression::lz4, compression::zstd})
    for (auto& e : elements) {
      auto bytes = bytes_of(e, how);
      for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
        const auto failure = test::error_of([&] { decode_element(bytes, *string_pool()); });
        if (failure) CHECK(failure.code() == errc::malformed_record);
        ++(failure ? errors : others);
        bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
      }
    }
  CHECK(errors > 500);
  CHECK(others > 500);
}

TEST_CASE("an element says what is wrong with it") {
  auto cause = [](std::string bytes) { return test::error_of([&] { decode_element(bytes, *string_pool()); }).cause(); };
  CHECK(cause(std::string{"\x07\x00", 2}).find("no kind of element 7") != std::string::npos);
  CHECK(cause(std::string{"\x00\x03", 2}).find("no compression 3") != std::string::npos);
  CHECK(cause(bytes_of(element::control(element_kind::end)) + "!").find("1 bytes too many") != std::string::npos);
  // Three bytes that would become a gigabyte and more.
  CHECK(cause(std::string{"\x00\x01\x81\x80\x80\x80\x04", 7}).find("1073741825 bytes") != std::string::npos);
}

TEST_CASE("bytes of another record type are an error, and the buffer goes back to its pool") {
  const auto bytes = bytes_of(batch_of({"a"}));
  auto pool = batch_pool::make(record_type_of<std::vector<std::int64_t>>());
  CHECK(test::error_of([&] { decode_element(bytes, *pool); }).code() == errc::malformed_record);
  CHECK(pool->outstanding() == 0);
}
