/// The metadata of a checkpoint: a checkpoint exists exactly when its metadata does.
///
/// Names every object that belongs to the checkpoint and everything that is needed to judge, without reading them,
/// whether a job can start from it. The format is described in docs/checkpoints.md; a file of each version is kept in
/// tests/golden.
/// Threading: values; pure functions. Errors: decoding throws error{errc::corrupt_state}, or error{errc::newer_format}
/// with the version in the text.
/// Source: Flink's CheckpointMetadata, MetadataV4Serializer, OperatorState.
#pragma once

#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/checkpoint/subtask_state.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

/// How keys are encoded in keyed state: the standard codecs. Changes when one of them does.
inline constexpr std::uint16_t key_codec_version = 1;

/// What one subtask has of an operator.
struct operator_part {
  /// Position in checkpoint_metadata::subtasks; unset: it stored nothing.
  std::optional<std::uint32_t> subtask;
  bool finished = false; ///< the subtask was at its end
  std::vector<state_summary> states;
  std::vector<source_split> splits;
  std::vector<in_flight_summary> in_flight;
  friend bool operator==(const operator_part&, const operator_part&) = default;
};

struct operator_metadata {
  std::string uid;
  std::string name; ///< for people
  std::uint32_t parallelism = 1;
  std::uint32_t max_parallelism = 128;
  std::optional<std::string> enumerator; ///< of a source: its enumerator's snapshot
  std::vector<operator_part> parts;      ///< one per subtask
  /// All its subtasks were at their end: it is not to be run again.
  bool finished() const noexcept;
  bool has_state() const noexcept;
  friend bool operator==(const operator_metadata&, const operator_metadata&) = default;
};

/// The objects of a subtask; several operators of a chain share them.
struct subtask_objects {
  object_handle object;
  std::vector<object_handle> shared;
  friend bool operator==(const subtask_objects&, const subtask_objects&) = default;
};

struct checkpoint_metadata {
  std::uint64_t id = 0;
  checkpoint_kind kind = checkpoint_kind::checkpoint;
  bool unaligned = false; ///< some channel has elements in flight
  std::string job_id, job_name;
  std::uint64_t leader = 0;      ///< token of the leader that wrote it
  std::int64_t triggered_at = 0; ///< milliseconds since 1970 UTC
  std::int64_t completed_at = 0;
  std::uint16_t key_hash_version = 0, key_codec_version = 0;
  std::vector<operator_metadata> operators; ///< in the order of their uids
  std::vector<subtask_objects> subtasks;
  friend bool operator==(const checkpoint_metadata&, const checkpoint_metadata&) = default;

  /// Null when there is none.
  const operator_metadata* find(std::string_view uid) const noexcept;
  /// Bytes of all objects, each counted once.
  std::uint64_t bytes() const;
};

std::string encode(const checkpoint_metadata& metadata);
checkpoint_metadata decode_checkpoint_metadata(std::string_view bytes);

} // namespace dataflow
