/// Elements as bytes, for channels between processes: the same element comes back on the other side.
///
/// Format: kind, compression, [size before compression], content. The content of a batch is the origin of its
/// records, if they are traced, and what its record type writes; of a control element its flag and value; of a barrier
/// also the options of its checkpoint. Processes that talk to each other have the same format: links compare
/// `link_version` (link_frames.hpp) when they connect, so raise that with every change here. Threading: pure functions,
/// but that a pool is shared. Runs the codecs of the job's record types: what they throw goes through. Errors:
/// decode_element throws error{errc::malformed_record} for whatever encode_element has not written; it never reads out
/// of bounds and never allocates more than the bytes say and `largest_element`.
#pragma once

#include <dataflow/exchange/element.hpp>
#include <dataflow/util/bytes.hpp>
#include <dataflow/util/compression.hpp>

#include <string_view>

namespace dataflow {

/// The most that an element may take, encoded: one record of the largest size that can be configured, and room.
inline constexpr std::size_t largest_element = std::size_t{1} << 30;
/// Smaller batches are not compressed.
inline constexpr std::size_t least_compressed_batch = 512;

/// Appends the bytes of `e`. What compression does not make smaller goes as it is.
/// Throws error{errc::record_too_large} above largest_element.
void encode_element(const element& e, compression how, byte_writer& out);
/// Batches come out of `pool`, which is of the edge's record type.
element decode_element(std::string_view bytes, batch_pool& pool);

} // namespace dataflow
