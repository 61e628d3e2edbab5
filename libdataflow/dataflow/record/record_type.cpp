#include <dataflow/record/record_type.hpp>

#include <algorithm>
#include <memory>

namespace dataflow::detail {

void encode_batch_header(const batch_base& b, std::uint16_t codec_version, byte_writer& out) {
  out.fixed(batch_format_version);
  out.fixed(codec_version);
  out.fixed(static_cast<std::uint8_t>((b.has_timestamps() ? batch_flag_timestamps : 0) |
                                      (b.has_hashes() ? batch_flag_hashes : 0)));
  out.varint(b.size());
}

void encode_batch_columns(const batch_base& b, byte_writer& out) {
  if (b.has_timestamps()) out.raw(b.timestamps.data(), b.timestamps.size() * sizeof(timestamp));
  if (b.has_hashes()) out.raw(b.hashes.data(), b.hashes.size() * sizeof(std::uint64_t));
}

batch_header decode_batch_header(byte_reader& in, std::uint16_t codec_version) {
  if (auto v = in.fixed<std::uint8_t>(); v != batch_format_version)
    throw error{errc::malformed_record,
                "batch format version " + std::to_string(v) + ", expected " + std::to_string(batch_format_version)};
  if (auto v = in.fixed<std::uint16_t>(); v != codec_version)
    throw error{errc::malformed_record,
                "codec version " + std::to_string(v) + ", expected " + std::to_string(codec_version)};
  auto flags = in.fixed<std::uint8_t>();
  if (flags & ~(batch_flag_timestamps | batch_flag_hashes))
    throw error{errc::malformed_record, "unknown batch flags " + std::to_string(flags)};
  return {in.length(), flags};
}

void decode_batch_columns(const batch_header& header, batch_base& into, byte_reader& in) {
  if (header.flags & batch_flag_timestamps) {
    auto bytes = in.raw(header.count * sizeof(timestamp));
    into.timestamps.resize_for_overwrite(header.count);
    std::memcpy(static_cast<void*>(into.timestamps.data()), bytes.data(), bytes.size());
  }
  if (header.flags & batch_flag_hashes) {
    auto bytes = in.raw(header.count * sizeof(std::uint64_t));
    into.hashes.resize_for_overwrite(header.count);
    std::memcpy(into.hashes.data(), bytes.data(), bytes.size());
  }
}

namespace {
/// Makes a column as long as the records before `size`: what never had a value gets the neutral one.
template <class T>
void fill_up(column<T>& target, std::size_t size, const T& neutral) {
  if (target.size() >= size) return;
  target.reserve(size);
  while (target.size() < size)
    target.unchecked_emplace_back(neutral);
}

/// A column that only one side has is filled up with its neutral value, so that it is empty or full.
template <class T>
void append_column(column<T>& target, std::size_t old_size, const column<T>& source, std::size_t begin, std::size_t end,
                   const T& neutral) {
  if (source.empty() && target.empty()) return;
  fill_up(target, old_size, neutral);
  if (source.empty())
    fill_up(target, old_size + (end - begin), neutral);
  else
    target.append_copy(source.data() + begin, end - begin);
}

/// Room for `count` values behind `before` others; where they begin, or null when there are none.
template <class T>
T* open_column(column<T>& target, const column<T>& source, std::size_t before, std::size_t count, const T& neutral) {
  if (source.empty()) {
    if (!target.empty()) fill_up(target, before + count, neutral);
    return nullptr;
  }
  if (count == 0) return target.data(); // an empty column may stay so
  fill_up(target, before, neutral);
  target.resize_for_overwrite(before + count);
  return target.data() + before;
}

/// The records are in their batches already: to[c]->size() is the size that the column must get.
template <class T>
void scatter_column(column<T> batch_base::*member, const batch_base& from, std::size_t at, const std::uint32_t* targets,
                    std::size_t n, const scatter_plan& plan, batch_base* const* to, std::size_t channels,
                    const T& neutral) {
  const auto& source = from.*member;
  T* few[scatter_plan::few];
  std::unique_ptr<T*[]> many;
  if (channels > scatter_plan::few) many = std::make_unique_for_overwrite<T*[]>(channels);
  T** const ends = many ? many.get() : few;
  for (std::size_t c = 0; c < channels; ++c)
    ends[c] = open_column(to[c]->*member, source, to[c]->size() - plan.counts[c], plan.counts[c], neutral);
  if (source.empty()) return;
  const auto* const values = source.data() + at;
  const auto* const positions = plan.positions;
  for (std::size_t i = 0; i < n; ++i)
    ends[targets[i]][positions[i]] = values[i];
}
} // namespace

void append_columns(batch_base& to, const batch_base& from, std::size_t begin, std::size_t end) {
  append_column(to.timestamps, to.size(), from.timestamps, begin, end, no_timestamp);
  append_column(to.hashes, to.size(), from.hashes, begin, end, std::uint64_t{0});
}

column_ends open_columns(batch_base& to, const batch_base& from, std::size_t before, std::size_t count) {
  return {open_column(to.timestamps, from.timestamps, before, count, no_timestamp),
          open_column(to.hashes, from.hashes, before, count, std::uint64_t{0})};
}

scatter_plan::scatter_plan(std::size_t channels) : counts(counts_of_few_), channels_(channels) {
  if (channels <= few) return;
  counts_of_many_ = std::make_unique_for_overwrite<std::uint32_t[]>(channels);
  counts = counts_of_many_.get();
}

std::size_t scatter_plan::next(const std::uint32_t* targets, std::size_t n) noexcept {
  n = std::min(n, portion);
  if (channels_ == 2) { // in registers: a counter in memory takes several cycles per record, a wrong guess more
    std::uint32_t second = 0;
    for (std::uint32_t i = 0; i < n; ++i) {
      const auto target = targets[i], first = i - second;
      positions[i] = first ^ ((first ^ second) & (0u - target));
      second += target;
    }
    counts[0] = static_cast<std::uint32_t>(n) - second;
    counts[1] = second;
    return n;
  }
  std::fill_n(counts, channels_, 0u);
  for (std::size_t i = 0; i < n; ++i)
    positions[i] = counts[targets[i]]++;
  return n;
}

void scatter_columns(const batch_base& from, std::size_t at, const std::uint32_t* targets, std::size_t n,
                     const scatter_plan& plan, batch_base* const* to, std::size_t channels) {
  scatter_column(&batch_base::timestamps, from, at, targets, n, plan, to, channels, no_timestamp);
  scatter_column(&batch_base::hashes, from, at, targets, n, plan, to, channels, std::uint64_t{0});
}

} // namespace dataflow::detail
