/// What a simulation has done, as one number: equal for equal runs, in every process.
///
/// Threading: a value. Source: FNV-1a, byte by byte.
#pragma once

#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/record/hash.hpp>
#include <dataflow/record/record_type.hpp>
#include <dataflow/util/bytes.hpp>

#include <cstdint>
#include <string_view>

namespace dataflow::actors {

class trace_hasher {
public:
  void add(std::uint64_t word) noexcept {
    for (int i = 0; i < 8; ++i, word >>= 8)
      value_ = (value_ ^ (word & 255)) * prime;
  }
  void add(std::string_view text) noexcept {
    for (unsigned char c : text)
      value_ = (value_ ^ c) * prime;
  }
  /// With the records in it.
  void add(const sent_element& e) {
    const auto& what = *e.what;
    for (const std::uint64_t word :
         {std::uint64_t{e.task}, std::uint64_t{e.attempt}, std::uint64_t{e.gate}, std::uint64_t{e.channel}, e.sequence,
          static_cast<std::uint64_t>(what.kind), std::uint64_t{what.flag}, static_cast<std::uint64_t>(what.value)})
      add(word);
    if (!what.is_batch()) return;
    byte_writer bytes;
    what.data->type().encode(*what.data, bytes);
    const auto records = bytes.take();
    add(hash_bytes(records.data(), records.size()));
  }
  std::uint64_t value() const noexcept { return value_; }

private:
  static constexpr std::uint64_t prime = 0x100000001b3ull;
  std::uint64_t value_ = 0xcbf29ce484222325ull;
};

} // namespace dataflow::actors
