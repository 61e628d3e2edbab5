/// Elements: what flows along an edge, in order. Batches of records, and control elements that never overtake data.
#pragma once

#include <dataflow/record/batch.hpp>

#include <algorithm>
#include <memory>
#include <vector>

namespace dataflow {

struct checkpoint_options;

enum class element_kind : std::uint8_t {
  batch,      ///< records; `data` is set
  watermark,  ///< no more records with a timestamp at or before `value` (milliseconds)
  idle,       ///< the channel is left out of the minimum of watermarks until it is active again
  active,     ///< the channel takes part again
  barrier,    ///< checkpoint `value` begins here; `options` is set; `flag`: channels wait for each other
  loop_probe, ///< round `value` of the search for the end of an iteration; `flag`: the round before met records
  end,        ///< end of input
};

struct element {
  element_kind kind = element_kind::end;
  bool flag = false;
  std::int64_t value = 0;
  batch_ptr data;
  std::shared_ptr<const checkpoint_options> options = {};

  static element of(batch_ptr b) { return {element_kind::batch, false, 0, std::move(b)}; }
  static element watermark(timestamp t) { return {element_kind::watermark, false, t.time_since_epoch().count(), {}}; }
  static element control(element_kind kind, std::int64_t value = 0, bool flag = false) {
    return {kind, flag, value, {}};
  }
  static element barrier(std::int64_t checkpoint, bool waits, std::shared_ptr<const checkpoint_options> options) {
    return {element_kind::barrier, waits, checkpoint, {}, std::move(options)};
  }
  timestamp time() const noexcept { return timestamp{std::chrono::milliseconds{value}}; }
  bool is_batch() const noexcept { return kind == element_kind::batch; }
};

/// Batches of one channel that a barrier has overtaken, in order.
struct overtaken_batches {
  std::uint32_t channel = 0;
  std::vector<batch_ptr> batches;
};

/// How large batches may become before they are sent on.
struct batch_limits {
  std::size_t records = 4096;
  std::size_t bytes = 224 << 10;
  std::size_t record_bytes = 64 << 20; ///< the largest single record; checked where a record is produced

  /// For records that all take so many bytes: `records` says it all.
  batch_limits of_records(std::size_t bytes_each) const noexcept {
    auto these = *this;
    these.records = std::min(records, std::max<std::size_t>(1, bytes / bytes_each));
    return these;
  }
};

} // namespace dataflow
