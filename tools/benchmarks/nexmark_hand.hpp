/// The Nexmark-shaped queries as hand-written loops: one thread, open addressing, no engine.
#pragma once

#include <cstdint>

namespace bench {

struct query_result {
  std::uint64_t outputs = 0, checksum = 0;
};

query_result hand_q0(std::uint64_t events);
query_result hand_q1(std::uint64_t events);
query_result hand_q2(std::uint64_t events);
query_result hand_q3(std::uint64_t events);
query_result hand_q5(std::uint64_t events);
query_result hand_q7(std::uint64_t events);
query_result hand_q8(std::uint64_t events);

} // namespace bench
