#include <dataflow/network/element_codec.hpp>
#include <dataflow/network/link_frames.hpp>

#include <doctest/doctest.h>

#include <numeric>
#include <string>
#include <tests/support/error_of.hpp>
#include <vector>

using namespace dataflow;

namespace {

std::string text_of(std::size_t size, std::uint32_t seed = 1) {
  std::string s(size, '\0');
  for (auto& c : s)
    c = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
  return s;
}

link_element element_of(std::uint64_t number, std::size_t size) {
  return {number * 1'000'000'007,
          static_cast<std::uint32_t>(number),
          3,
          number,
          size * 2,
          shared_bytes{text_of(size, static_cast<std::uint32_t>(number))}};
}

using frames = std::vector<shared_bytes>;

frames written(frame_writer& writer) {
  writer.flush();
  frames all;
  for (auto& f : writer.take())
    all.emplace_back(f.joined());
  return all;
}

frames frames_of(const std::vector<link_element>& elements, std::size_t largest = largest_frame,
                 std::uint64_t epoch = 9) {
  frame_writer writer{"a link", largest};
  writer.begin(epoch);
  for (auto& e : elements)
    writer.add(e);
  return written(writer);
}

void check_equal(const link_element& a, const link_element& b) {
  CHECK(a.to == b.to);
  CHECK(a.attempt == b.attempt);
  CHECK(a.channel == b.channel);
  CHECK(a.sequence == b.sequence);
  CHECK(a.credit == b.credit);
  CHECK(a.payload.bytes == b.payload.bytes);
}

void check_through(const std::vector<link_element>& elements, std::size_t largest = largest_frame) {
  frame_reader reader{"a link", largest};
  reader.begin(9);
  frame_reader::items got;
  for (auto& f : frames_of(elements, largest)) {
    CHECK(f.bytes.size() <= largest);
    CHECK(reader.receive(f, got));
  }
  REQUIRE(got.elements.size() == elements.size());
  for (std::size_t i = 0; i < elements.size(); ++i)
    check_equal(got.elements[i], elements[i]);
}

error error_of_frame(const std::string& bytes) {
  frame_reader reader{"link from tm-1 to tm-2"};
  reader.begin(9);
  frame_reader::items got;
  return test::error_of([&] { reader.receive(shared_bytes{bytes}, got); });
}

} // namespace

TEST_CASE("elements of all sizes come through frames in order") {
  std::vector<link_element> elements;
  for (std::size_t size : {0, 1, 100, 2000, 2048, 2049, 5000, 200'000, 10, 262'000, 262'144, 262'145, 700'000, 3, 0})
    elements.push_back(element_of(elements.size() + 1, size));
  check_through(elements);
}

TEST_CASE("elements come through frames of any size") {
  for (std::size_t largest : {256u, 257u, 300u, 1000u, 4096u}) {
    std::vector<link_element> elements;
    for (std::size_t size = 0; size < 1200; size += 37)
      elements.push_back(element_of(elements.size() + 1, size));
    check_through(elements, largest);
  }
}

TEST_CASE("small elements and credit share a frame, a large element spans several") {
  frame_writer writer{"a link"};
  writer.begin(9);
  for (std::uint64_t i = 1; i <= 100; ++i)
    writer.add(element_of(i, 50));
  writer.add(link_credit{4, 5, 6, 7, 8, 1ull << 40});
  CHECK(writer.has_pending());
  auto small = written(writer);
  CHECK(small.size() == 1);
  CHECK_FALSE(writer.has_pending());
  writer.add(element_of(101, 1'000'000));
  auto large = written(writer);
  CHECK(large.size() == 4);
  CHECK(large[0].bytes.size() > largest_frame - 100);

  frame_reader reader{"a link"};
  reader.begin(9);
  frame_reader::items got;
  for (auto& f : small)
    reader.receive(f, got);
  CHECK(got.elements.size() == 100);
  REQUIRE(got.credits.size() == 1);
  auto& c = got.credits[0];
  CHECK(c.to == 4);
  CHECK(c.attempt == 5);
  CHECK(c.gate == 6);
  CHECK(c.channel == 7);
  CHECK(c.batches == 8);
  CHECK(c.bytes == 1ull << 40);
  for (std::size_t i = 0; i < large.size(); ++i) {
    reader.receive(large[i], got);
    CHECK(got.elements.size() == (i == 3 ? 101 : 100)); // whole or not at all
  }
}

TEST_CASE("a large element is not copied on its way into frames and out of one") {
  frame_writer writer{"a link"};
  writer.begin(9);
  const auto e = element_of(1, 100'000);
  writer.add(e);
  auto parts = writer.take();
  REQUIRE(parts.size() == 1);
  CHECK(parts[0].tail.bytes.data() == e.payload.bytes.data());
  const shared_bytes frame{parts[0].joined()};
  frame_reader reader{"a link"};
  reader.begin(9);
  frame_reader::items got;
  reader.receive(frame, got);
  CHECK(got.elements.at(0).payload.bytes.data() > frame.bytes.data());
  CHECK(got.elements.at(0).payload.bytes.data() < frame.bytes.data() + frame.bytes.size());
}

TEST_CASE("a frame that is missing or repeated is an error that names the link") {
  auto all = frames_of({element_of(1, 700'000), element_of(2, 20)});
  REQUIRE(all.size() == 4);
  auto read = [&](std::vector<std::size_t> order) {
    frame_reader reader{"link from tm-1 to tm-2"};
    reader.begin(9);
    frame_reader::items got;
    return test::error_of([&] {
      for (auto i : order)
        reader.receive(all[i], got);
    });
  };
  CHECK_FALSE(read({0, 1, 2, 3}));
  for (auto& order : std::vector<std::vector<std::size_t>>{{1}, {0, 2}, {0, 0}, {0, 1, 2, 2}, {0, 1, 0}, {3}, {0, 3}}) {
    const auto failure = read(order);
    CHECK(failure.code() == errc::connection_failed);
    CHECK(failure.cause().find("link from tm-1 to tm-2: frame") != std::string::npos);
    CHECK(failure.cause().find("was expected") != std::string::npos);
  }
}

TEST_CASE("a frame of another connection is not read") {
  auto old = frames_of({element_of(1, 20)}, largest_frame, 8);
  auto fresh = frames_of({element_of(2, 20)}, largest_frame, 9);
  frame_reader reader{"a link"};
  frame_reader::items got;
  CHECK_FALSE(reader.receive(fresh[0], got)); // no connection
  reader.begin(9);
  CHECK_FALSE(reader.receive(old[0], got));
  CHECK(reader.receive(fresh[0], got));
  CHECK(got.elements.size() == 1);
  reader.end();
  CHECK_FALSE(reader.receive(fresh[0], got));
  CHECK(got.elements.size() == 1);
}

TEST_CASE("a new connection begins with frame 0, in the middle of an element, too") {
  auto all = frames_of({element_of(1, 700'000)});
  frame_reader reader{"a link"};
  frame_reader::items got;
  reader.begin(9);
  reader.receive(all[0], got);
  reader.begin(9);
  for (auto& f : all)
    reader.receive(f, got);
  REQUIRE(got.elements.size() == 1);
  CHECK(got.elements[0].payload.bytes == text_of(700'000));
}

TEST_CASE("what waits for a connection goes out with its epoch") {
  frame_writer writer{"a link"};
  writer.add(element_of(1, 30));
  writer.flush();
  writer.begin(9);
  frame_reader reader{"a link"};
  reader.begin(9);
  frame_reader::items got;
  for (auto& f : written(writer))
    CHECK(reader.receive(f, got));
  CHECK(got.elements.size() == 1);
  writer.add(element_of(2, 30));
  writer.clear();
  CHECK_FALSE(writer.has_pending());
  CHECK(written(writer).empty());
}

TEST_CASE("a frame that is cut short anywhere is an error") {
  frame_writer writer{"a link"};
  writer.begin(9);
  writer.add(element_of(1, 30));
  writer.add(link_credit{4, 5, 6, 7, 8, 9});
  writer.add(element_of(2, 3000));
  for (auto& f : written(writer)) {
    for (std::size_t n = 0; n < f.bytes.size(); ++n)
      CHECK(error_of_frame(std::string{f.bytes.substr(0, n)}).code() == errc::connection_failed);
    CHECK(error_of_frame(std::string{f.bytes} + "x").code() == errc::connection_failed);
  }
}

TEST_CASE("every changed bit of a frame is found") {
  frame_writer writer{"a link"};
  writer.begin(9);
  writer.add(element_of(1, 30));
  writer.add(link_credit{4, 5, 6, 7, 8, 9});
  writer.add(element_of(2, 2100));
  for (auto& f : written(writer)) {
    auto bytes = std::string{f.bytes};
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
      const auto failure = error_of_frame(bytes);
      CHECK(failure.code() == errc::connection_failed);
      CHECK(failure.cause().starts_with("link from tm-1 to tm-2: "));
      bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
    }
    CHECK_FALSE(error_of_frame(bytes));
  }
}

TEST_CASE("a frame above the limit is an error, whatever it holds") {
  auto all = frames_of({element_of(1, 5000)}, 8192);
  frame_reader reader{"a link", 4096};
  reader.begin(9);
  frame_reader::items got;
  CHECK(test::error_of([&] { reader.receive(all.at(0), got); }).cause().find("a frame of") != std::string::npos);
}

TEST_CASE("an element that is too large is refused where it is sent") {
  // The bytes are not touched: only their number counts.
  link_element e;
  auto some = std::make_shared<const std::string>("x");
  e.payload = {some, std::string_view{some->data(), largest_element + 1}};
  frame_writer writer{"link from tm-1 to tm-2"};
  const auto failure = test::error_of([&] { writer.add(e); });
  CHECK(failure.code() == errc::record_too_large);
  CHECK(failure.cause().find("link from tm-1 to tm-2") != std::string::npos);
}

TEST_CASE("addresses of tasks differ by job, task and attempt") {
  const auto a = link_address("job", 1, 0);
  CHECK(a == link_address("job", 1, 0));
  CHECK(a != link_address("job", 2, 0));
  CHECK(a != link_address("job", 1, 1));
  CHECK(a != link_address("jab", 1, 0));
  CHECK(a != link_address("job", 0, 1));
}
