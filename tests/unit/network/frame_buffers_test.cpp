// Buffers that are used again.
#include <dataflow/network/frame_buffers.hpp>
#include <dataflow/network/link_frames.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace dataflow;

TEST_CASE("a buffer has the room that is asked for, and whatever was in it") {
  for (const std::size_t room : {std::size_t{0}, std::size_t{100}, least_kept_buffer, std::size_t{1} << 20}) {
    auto buffer = take_buffer(room);
    CHECK(buffer.capacity() >= room);
    give_back_buffer(std::move(buffer));
  }
}

#if !defined(__SANITIZE_ADDRESS__) // which is to see what is used too late: none is used again
TEST_CASE("what the last holder of a large payload leaves is used for the next one, small ones and too many are not") {
  std::vector<std::string> others; // of tests before this one
  for (std::size_t n = 0; n < most_kept_buffers; n += least_kept_buffer)
    others.push_back(take_buffer(least_kept_buffer));
  const char* first = nullptr;
  {
    shared_bytes payload{std::string(100'000, 'x')};
    first = payload.bytes.data();
    const auto other = payload;
    payload = {};
    CHECK(take_buffer(100'000).data() != first); // somebody holds it
    CHECK(other.bytes == std::string(100'000, 'x'));
  }
  auto again = take_buffer(100'000);
  CHECK(again.data() == first);
  CHECK(again.size() == 100'000);
  give_back_buffer(std::move(again));
  CHECK(take_buffer(100).data() != first);
  CHECK(take_buffer(100'000).data() == first);

  std::vector<const char*> given;
  for (std::size_t n = 0; n < 2 * most_kept_buffers; n += 1 << 20) {
    std::string large(1 << 20, 'x');
    given.push_back(large.data());
    give_back_buffer(std::move(large));
  }
  std::vector<std::string> taken;
  for (auto at = most_kept_buffers >> 20; at > 0; --at) {
    taken.push_back(take_buffer(1 << 20));
    if (taken.back().size() != std::size_t{1} << 20) break; // a new one
  }
  CHECK(taken.size() >= (most_kept_buffers >> 20) - 1); // capacities are a little larger than what was asked for
  CHECK(take_buffer(1 << 20).empty());
}
#endif
