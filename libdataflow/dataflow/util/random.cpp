#include <dataflow/util/random.hpp>

#include <random>

namespace dataflow {

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

} // namespace dataflow
