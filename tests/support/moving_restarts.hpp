/// Restarts of an operator that take its keyed state from memory to the disk and back.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <tests/support/operator_runner.hpp>
#include <tests/support/places.hpp>

namespace dataflow::test {

/// Each restart in one of the ways in which a task goes on from a checkpoint or savepoint, in memory or on the disk.
inline std::function<void(operator_runner&)> everywhere(places& where, std::uint64_t seed) {
  auto random = std::make_shared<std::mt19937_64>(seed);
  auto incremental = std::make_shared<bool>(false); // the place it is in now
  return [&where, random, incremental](operator_runner& r) {
    const auto way = (*random)() % 4;
    const bool next = (*random)() % 2 == 0;
    if (*incremental && way < 2)
      r.restart_from_files(way == 0, where.next(next));
    else if (*incremental && way == 2)
      return *incremental = false, r.restart_from_files(false, {});
    else if (way == 3)
      return *incremental = false, r.restart_in({});
    else
      r.restart_in(where.next(next));
    *incremental = next;
  };
}

} // namespace dataflow::test
