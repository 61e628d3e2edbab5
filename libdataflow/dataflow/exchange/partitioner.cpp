#include <dataflow/exchange/partitioner.hpp>

namespace dataflow {

std::string_view to_string(partitioning_kind kind) noexcept {
  switch (kind) {
  case partitioning_kind::forward:
    return "FORWARD";
  case partitioning_kind::rebalance:
    return "REBALANCE";
  case partitioning_kind::rescale:
    return "RESCALE";
  case partitioning_kind::shuffle:
    return "SHUFFLE";
  case partitioning_kind::broadcast:
    return "BROADCAST";
  case partitioning_kind::global:
    return "GLOBAL";
  case partitioning_kind::custom:
    return "CUSTOM";
  case partitioning_kind::hash:
    return "HASH";
  }
  return "?";
}

bool is_pointwise(partitioning_kind kind) noexcept {
  return kind == partitioning_kind::forward || kind == partitioning_kind::rescale;
}

} // namespace dataflow
