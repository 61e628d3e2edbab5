#include <dataflow/util/compression.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <tests/support/effort.hpp>
#include <tests/support/error_of.hpp>

using namespace dataflow;
using dataflow::test::error_of;

TEST_CASE("compressed bytes expand to what they were, and to nothing else") {
  random_source random{3};
  for (auto how : {compression::none, compression::lz4, compression::zstd}) {
    CAPTURE(to_string(how));
    for (std::size_t size : {0, 1, 100, 70'000}) {
      std::string bytes(size, 'a');
      for (std::size_t i = 0; i < size / 3; ++i)
        bytes[random.below(size)] = static_cast<char>(random());
      std::string out = "before";
      compress(how, bytes, out);
      REQUIRE(out.substr(0, 6) == "before");
      const auto packed = out.substr(6);
      CHECK(expand(how, packed, size) == bytes);
      CHECK(error_of([&] { expand(how, packed, size + 1); }).code() == errc::corrupt_state);
      if (size > 0) {
        CHECK(error_of([&] { expand(how, packed, size - 1); }).code() == errc::corrupt_state);
        CHECK(error_of([&] { expand(how, packed.substr(0, packed.size() - 1), size); }).code() == errc::corrupt_state);
      }
      CHECK(error_of([&] { expand(how, packed, std::size_t{1} << 60); }).code() == errc::corrupt_state);
    }
    for (std::size_t round = 0; round < test::rounds(2000); ++round) { // garbage never reads or writes out of bounds
      std::string garbage(random.below(60), '\0');
      for (auto& c : garbage)
        c = static_cast<char>(random());
      const auto e = error_of([&] { expand(how, garbage, random.below(5000)); });
      CHECK((!e || e.code() == errc::corrupt_state));
    }
  }
}
