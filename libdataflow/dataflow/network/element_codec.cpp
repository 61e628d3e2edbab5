#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/network/element_codec.hpp>
#include <dataflow/network/frame_buffers.hpp>
#include <dataflow/record/record_origin.hpp>
#include <dataflow/record/record_type.hpp>
#include <dataflow/util/error.hpp>

#include <utility>

namespace dataflow {

namespace {

[[noreturn]] void fail_element(std::string cause) {
  throw error{errc::malformed_record, "the bytes of an element: " + std::move(cause)};
}

/// An enum whose values are [least, most].
template <class E>
E read_enum(byte_reader& in, E least, E most, const char* what) {
  const auto value = in.fixed<std::uint8_t>();
  if (value < static_cast<std::uint8_t>(least) || value > static_cast<std::uint8_t>(most))
    fail_element("there is no " + std::string{what} + " " + std::to_string(value));
  return static_cast<E>(value);
}

bool read_flag(byte_reader& in) {
  const auto value = in.fixed<std::uint8_t>();
  if (value > 1) fail_element("a flag that is neither 0 nor 1");
  return value == 1;
}

void write_options(const checkpoint_options& o, byte_writer& out) {
  out.fixed(o.kind);
  out.fixed(o.after);
  out.fixed(o.alignment);
  out.fixed(static_cast<std::int64_t>(o.aligned_timeout.count()));
  out.fixed(static_cast<std::int64_t>(o.triggered.count()));
  out.text(o.directory);
}

std::shared_ptr<const checkpoint_options> read_options(byte_reader& in) {
  auto o = std::make_shared<checkpoint_options>();
  o->kind = read_enum(in, checkpoint_kind::checkpoint, checkpoint_kind::savepoint, "kind of checkpoint");
  o->after = read_enum(in, after_savepoint::go_on, after_savepoint::drain, "way to go on after a savepoint");
  o->alignment = read_enum(in, barrier_alignment::aligned, barrier_alignment::none, "alignment of barriers");
  o->aligned_timeout = std::chrono::milliseconds{in.fixed<std::int64_t>()};
  o->triggered = std::chrono::milliseconds{in.fixed<std::int64_t>()};
  o->directory = in.text();
  return o;
}

void write_origin(const record_origin* o, byte_writer& out) {
  out.fixed(static_cast<std::uint8_t>(o != nullptr));
  if (!o) return;
  for (const auto* text : {&o->source, &o->name, &o->split, &o->position, &o->described})
    out.text(*text);
  out.varint(o->records);
  out.fixed(static_cast<std::uint8_t>(o->under_way));
}

std::shared_ptr<const record_origin> read_origin(byte_reader& in) {
  if (!read_flag(in)) return nullptr;
  auto o = std::make_shared<record_origin>();
  for (auto* text : {&o->source, &o->name, &o->split, &o->position, &o->described})
    *text = in.text();
  o->records = in.varint();
  o->under_way = read_flag(in);
  return o;
}

void write_content(const element& e, byte_writer& out) {
  if (e.is_batch()) {
    write_origin(e.data->origin.get(), out);
    return e.data->type().encode(*e.data, out);
  }
  out.fixed(static_cast<std::uint8_t>(e.flag));
  out.fixed(e.value);
  if (e.kind != element_kind::barrier) return;
  out.fixed(static_cast<std::uint8_t>(e.options != nullptr));
  if (e.options) write_options(*e.options, out);
}

element read_content(element_kind kind, std::string_view bytes, batch_pool& pool) {
  byte_reader in{bytes};
  element e;
  e.kind = kind;
  if (kind == element_kind::batch) {
    auto origin = read_origin(in);
    e.data = pool.get();
    e.data->origin = std::move(origin);
    pool.type().decode(in, *e.data);
  } else {
    e.flag = read_flag(in);
    e.value = in.fixed<std::int64_t>();
    if (kind == element_kind::barrier && read_flag(in)) e.options = read_options(in);
  }
  if (!in.at_end()) fail_element(std::to_string(in.remaining()) + " bytes too many");
  return e;
}

void check_size(std::size_t size) {
  if (size > largest_element)
    throw error{errc::record_too_large,
                "a batch of " + std::to_string(size) +
                    " bytes is too large to go to another task manager, which takes " + std::to_string(largest_element),
                "lower taskmanager.batch.records or taskmanager.record.max-bytes"};
}

} // namespace

void encode_element(const element& e, compression how, byte_writer& out) {
  if (e.is_batch()) { // growing by doubling would copy large batches once more
    const auto& b = *e.data;
    const auto room = out.size() + 64 + b.type().byte_size(b, 0, b.size()) + b.timestamps.size() * sizeof(timestamp) +
                      b.hashes.size() * sizeof(std::uint64_t);
    if (out.size() == 0) {
      out.buffer() = take_buffer(room);
      out.clear();
    }
    out.buffer().reserve(room);
  } else {
    how = compression::none;
  }
  out.fixed(e.kind);
  const auto at = out.size();
  out.fixed(compression::none);
  const auto content = at + 1;
  write_content(e, out);
  const auto size = out.size() - content;
  check_size(size);
  if (how == compression::none || size < least_compressed_batch) return;
  byte_writer packed;
  packed.fixed(how);
  packed.varint(size);
  compress(how, std::string_view{out.buffer()}.substr(content), packed.buffer());
  if (packed.size() >= size + 1) return;
  out.buffer().replace(at, std::string::npos, packed.buffer());
}

element decode_element(std::string_view bytes, batch_pool& pool) {
  byte_reader in{bytes};
  const auto kind = read_enum(in, element_kind::batch, element_kind::end, "kind of element");
  const auto how = read_enum(in, compression::none, compression::zstd, "compression");
  if (how == compression::none) return read_content(kind, in.raw(in.remaining()), pool);
  const auto size = in.varint();
  if (size > largest_element) fail_element("a batch of " + std::to_string(size) + " bytes, compressed");
  std::string expanded;
  try {
    expanded = expand(how, in.raw(in.remaining()), static_cast<std::size_t>(size));
  } catch (const error& e) {
    fail_element(e.cause());
  }
  return read_content(kind, expanded, pool);
}

} // namespace dataflow
