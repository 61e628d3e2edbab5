/// Type descriptors: what the engine knows of a record type. The engine's type identity is the descriptor's address
/// (never typeid), so that two job libraries may each have a struct of the same name and another layout.
///
/// Threading: descriptors are immutable. Ownership: static objects of the library that defines the type.
#pragma once

#include <dataflow/record/batch.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/record/record.hpp>
#include <dataflow/util/error.hpp>

#include <memory>
#include <string>
#include <utility>

namespace dataflow {

class record_type {
public:
  record_type() = default;
  record_type(const record_type&) = delete;
  virtual ~record_type() = default;
  /// Fields and types, for messages and stored state.
  virtual schema describe() const = 0;
  virtual std::uint16_t version() const noexcept = 0;
  /// A new empty batch of this type, owned by the caller.
  virtual batch_base* create() const = 0;
  /// Bytes of one record when all have the same size, else 0.
  virtual std::size_t fixed_size() const noexcept = 0;
  /// Bytes in memory of the records [begin, end).
  virtual std::size_t byte_size(const batch_base& b, std::size_t begin, std::size_t end) const noexcept = 0;
  /// Appends the records [begin, end) with their timestamps and hashes; moves them out when the source is not shared.
  virtual void append(batch_base& to, batch_base& from, std::size_t begin, std::size_t end, bool may_move) const = 0;
  /// Appends record begin + i of `from` to *to[targets[i]], for all i in [0, end - begin); columns as in append.
  virtual void scatter(batch_base& from, std::size_t begin, std::size_t end, const std::uint32_t* targets,
                       batch_base* const* to, std::size_t channels, bool may_move) const = 0;
  /// All columns as bytes: format version, codec version, flags, count, records, timestamps, hashes.
  virtual void encode(const batch_base& b, byte_writer& out) const = 0;
  /// REQUIRES: `into` is empty. Throws error{errc::malformed_record}.
  virtual void decode(byte_reader& in, batch_base& into) const = 0;
};

namespace detail {

/// Columns that every batch has, around the typed part. "Do not change" constants of the batch format.
inline constexpr std::uint8_t batch_format_version = 1;
inline constexpr std::uint8_t batch_flag_timestamps = 1;
inline constexpr std::uint8_t batch_flag_hashes = 2;

void encode_batch_header(const batch_base& b, std::uint16_t codec_version, byte_writer& out);
void encode_batch_columns(const batch_base& b, byte_writer& out);
struct batch_header {
  std::size_t count;
  std::uint8_t flags;
};
batch_header decode_batch_header(byte_reader& in, std::uint16_t codec_version);
void decode_batch_columns(const batch_header& header, batch_base& into, byte_reader& in);
void append_columns(batch_base& to, const batch_base& from, std::size_t begin, std::size_t end);

/// Where a portion of a batch goes when it is spread over channels: computed once for all columns.
struct scatter_plan {
  static constexpr std::size_t portion = 512;
  static constexpr std::size_t few = 16; ///< channels for which nothing is allocated
  std::uint32_t* counts;                 ///< per channel: records of the portion
  std::uint32_t positions[portion];      ///< per record: how many of the portion go to the same channel before it

  explicit scatter_plan(std::size_t channels);
  scatter_plan(const scatter_plan&) = delete;
  /// Plans the first min(n, portion) records; returns how many.
  std::size_t next(const std::uint32_t* targets, std::size_t n) noexcept;

private:
  std::size_t channels_;
  std::uint32_t counts_of_few_[few];
  std::unique_ptr<std::uint32_t[]> counts_of_many_;
};
/// Spreads timestamps and hashes of the records [at, at + n), whose records are in their batches already.
void scatter_columns(const batch_base& from, std::size_t at, const std::uint32_t* targets, std::size_t n,
                     const scatter_plan& plan, batch_base* const* to, std::size_t channels);

/// Where the columns of a batch go on.
struct column_ends {
  timestamp* times;      ///< null: `from` has none
  std::uint64_t* hashes; ///< the same
};
/// Makes room in `to` for the timestamps and hashes of `count` records of `from`, behind those of the `before` records
/// that it holds.
column_ends open_columns(batch_base& to, const batch_base& from, std::size_t before, std::size_t count);

template <class T>
class record_type_of_t final : public record_type {
public:
  schema describe() const override { return codec<T>::describe(); }
  std::uint16_t version() const noexcept override { return codec<T>::version; }
  batch_base* create() const override { return new batch<T>(*this); }
  std::size_t fixed_size() const noexcept override { return std::is_trivially_copyable_v<T> ? sizeof(T) : 0; }
  std::size_t byte_size(const batch_base& b, std::size_t begin, std::size_t end) const noexcept override {
    if constexpr (std::is_trivially_copyable_v<T>) {
      return (end - begin) * sizeof(T);
    } else {
      std::size_t sum = 0;
      auto& records = static_cast<const batch<T>&>(b).records;
      for (auto i = begin; i < end; ++i)
        sum += codec<T>::size_of(records[i]);
      return sum;
    }
  }
  void append(batch_base& to, batch_base& from, std::size_t begin, std::size_t end, bool may_move) const override {
    auto& target = static_cast<batch<T>&>(to).records;
    auto& source = static_cast<batch<T>&>(from).records;
    append_columns(to, from, begin, end);
    if (may_move)
      target.append_move(source.data() + begin, end - begin);
    else
      target.append_copy(source.data() + begin, end - begin);
  }
  void scatter(batch_base& from, std::size_t begin, std::size_t end, const std::uint32_t* targets,
               batch_base* const* to, std::size_t channels, bool may_move) const override {
    const bool in_place =
        std::is_nothrow_copy_constructible_v<T> || (may_move && std::is_nothrow_move_constructible_v<T>);
    if constexpr (std::is_trivially_copyable_v<T>)
      if (channels == 2) return split(from, begin, end - begin, targets, to);
    scatter_plan plan{channels};
    std::size_t n = 0;
    for (auto at = begin; at < end; at += n, targets += n) {
      n = plan.next(targets, end - at);
      // Only constructors that cannot throw may run in any place: an exception would leave gaps.
      if (in_place)
        place(from, at, n, targets, plan, to, channels, may_move);
      else
        push(from, at, n, targets, to, may_move);
      scatter_columns(from, at, targets, n, plan, to, channels);
    }
  }
  void encode(const batch_base& b, byte_writer& out) const override {
    encode_batch_header(b, codec<T>::version, out);
    auto& records = static_cast<const batch<T>&>(b).records;
    if (is_memory())
      out.raw(records.data(), records.size() * sizeof(T));
    else
      for (auto& record : records)
        codec<T>::encode(record, out);
    encode_batch_columns(b, out);
  }
  void decode(byte_reader& in, batch_base& into) const override {
    auto header = decode_batch_header(in, codec<T>::version);
    auto& records = static_cast<batch<T>&>(into).records;
    if constexpr (std::is_trivially_copyable_v<T>)
      if (is_memory()) {
        if (header.count > in.remaining() / sizeof(T)) fail_decode("a batch that holds fewer records than it says");
        auto bytes = in.raw(header.count * sizeof(T));
        records.resize_for_overwrite(header.count);
        if (!bytes.empty()) std::memcpy(static_cast<void*>(records.data()), bytes.data(), bytes.size());
        decode_batch_columns(header, into, in);
        return;
      }
    for (std::size_t i = 0; i < header.count; ++i) {
      T record{};
      codec<T>::decode(record, in);
      records.emplace_back(std::move(record));
    }
    decode_batch_columns(header, into, in);
  }

private:
  /// Two channels: all columns in one pass, without a branch that depends on where a record goes.
  static void split(batch_base& from, std::size_t begin, std::size_t n, const std::uint32_t* targets,
                    batch_base* const* to) {
    std::size_t of_second = 0;
    for (std::size_t i = 0; i < n; ++i)
      of_second += targets[i];
    const std::size_t counts[] = {n - of_second, of_second};
    T* records[2];
    column_ends ends[2];
    for (std::size_t c = 0; c < 2; ++c) {
      auto& column = static_cast<batch<T>&>(*to[c]).records;
      const auto before = column.size();
      ends[c] = open_columns(*to[c], from, before, counts[c]);
      column.resize_for_overwrite(before + counts[c]);
      records[c] = column.data() + before;
    }
    auto each = [&](auto&& more) __attribute__((always_inline)) {
      const auto* const source = static_cast<batch<T>&>(from).records.data() + begin;
      std::size_t second = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t target = targets[i], first = i - second;
        const auto position = first ^ ((first ^ second) & (0 - target));
        std::construct_at(records[target] + position, source[i]);
        more(i, target, position);
        second += target;
      }
    };
    auto times = [&](std::size_t i, std::size_t target, std::size_t position) __attribute__((always_inline)) {
      ends[target].times[position] = from.timestamps[begin + i];
    };
    auto hashes = [&](std::size_t i, std::size_t target, std::size_t position) __attribute__((always_inline)) {
      ends[target].hashes[position] = from.hashes[begin + i];
    };
    if (from.has_timestamps() && from.has_hashes())
      each([&](std::size_t i, std::size_t target, std::size_t position) __attribute__((always_inline)) {
        times(i, target, position);
        hashes(i, target, position);
      });
    else if (from.has_hashes())
      each(hashes);
    else if (from.has_timestamps())
      each(times);
    else
      each([](std::size_t, std::size_t, std::size_t) {});
  }
  /// Records go straight to their positions: no cursor that each would have to wait for.
  static void place(batch_base& from, std::size_t at, std::size_t n, const std::uint32_t* targets,
                    const scatter_plan& plan, batch_base* const* to, std::size_t channels, bool may_move) {
    auto* source = static_cast<batch<T>&>(from).records.data() + at;
    T* few[scatter_plan::few];
    std::unique_ptr<T*[]> many;
    if (channels > scatter_plan::few) many = std::make_unique<T*[]>(channels);
    T** const ends = many ? many.get() : few;
    for (std::size_t c = 0; c < channels; ++c) {
      auto& column = static_cast<batch<T>&>(*to[c]).records;
      column.reserve(column.size() + plan.counts[c]);
      ends[c] = column.data() + column.size();
    }
    const auto* const positions = plan.positions;
    if (may_move)
      for (std::size_t i = 0; i < n; ++i)
        std::construct_at(ends[targets[i]] + positions[i], std::move(source[i]));
    else
      for (std::size_t i = 0; i < n; ++i)
        std::construct_at(ends[targets[i]] + positions[i], std::as_const(source[i]));
    for (std::size_t c = 0; c < channels; ++c) {
      auto& column = static_cast<batch<T>&>(*to[c]).records;
      column.set_size(column.size() + plan.counts[c]);
    }
  }
  static void push(batch_base& from, std::size_t at, std::size_t n, const std::uint32_t* targets, batch_base* const* to,
                   bool may_move) {
    auto* source = static_cast<batch<T>&>(from).records.data() + at;
    for (std::size_t i = 0; i < n; ++i) {
      auto& column = static_cast<batch<T>&>(*to[targets[i]]).records;
      if (may_move)
        column.emplace_back(std::move(source[i]));
      else
        column.emplace_back(std::as_const(source[i]));
    }
  }
  /// A column's bytes are its encoding.
  static bool is_memory() {
    if constexpr (memory_encoded<T>)
      return true;
    else if constexpr (requires(const T& v) { codec<T>::is_whole(v); })
      return codec<T>::is_whole(T{});
    else
      return false;
  }
};

} // namespace detail

/// What a record type must be.
template <class T>
concept record_value = has_codec<T> && std::is_default_constructible_v<T> && std::is_copy_constructible_v<T> &&
    std::is_move_assignable_v<T>;

namespace detail {
/// One short message for a type that cannot be a record.
template <class T>
constexpr bool require_record() {
  static_assert(has_codec<T>, "this type has no codec: name its fields with DATAFLOW_RECORD(type, fields...), include "
                              "<dataflow/record/codecs.hpp> for standard types, or specialise dataflow::codec<T>");
  if constexpr (has_codec<T>)
    static_assert(record_value<T>, "a record type must be default-constructible and copyable: decoding makes an empty "
                                   "one, batches share and copy records");
  return record_value<T>;
}
} // namespace detail

/// The descriptor of T in this library.
template <class T>
const record_type& record_type_of() {
  if constexpr (detail::require_record<T>()) {
    static const detail::record_type_of_t<T> instance;
    return instance;
  }
}

} // namespace dataflow
