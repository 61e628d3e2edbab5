/// What two-phase sinks have published, kept outside the checkpoints.
///
/// A sink that has published what belongs to checkpoint N must never be taken back to one before N: what came between
/// would be published again. Before anybody is told that N is complete, the job's storage notes which sinks publish
/// something with it. When N turns out to be damaged, a restart from an older one is refused by this note.
/// The note is one small file, "_published-<N>", described in docs/checkpoints.md.
/// Threading: values; pure functions. Errors: decoding throws error{errc::corrupt_state} or error{errc::newer_format}.
#pragma once

#include <dataflow/checkpoint/checkpoint_metadata.hpp>
#include <dataflow/util/error.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

/// The states of two-phase sinks. "Do not change": they stand in checkpoints.
inline constexpr std::string_view committables_state = "_committables";
inline constexpr std::string_view writers_state = "_writers";

struct published_output {
  struct sink {
    std::string uid, name;
    std::uint64_t checkpoint = 0; ///< up to which it has published
    friend bool operator==(const sink&, const sink&) = default;
  };
  std::uint64_t checkpoint = 0; ///< the highest of all; 0: nothing was published
  std::vector<sink> sinks;      ///< in the order of their uids; empty with a checkpoint: nobody knows which
  friend bool operator==(const published_output&, const published_output&) = default;

  /// Adds what is published when this checkpoint is complete. False: nothing is.
  bool add(const checkpoint_metadata& metadata);
  /// Why a restart from checkpoint `usable` (0: from the beginning) would publish something again; none: it would not.
  std::optional<error> doubled_by(std::uint64_t usable) const;
};

std::string encode(const published_output& published);
published_output decode_published_output(std::string_view bytes);

} // namespace dataflow
