/// From the bytes of a record type as it was to those of the type as it is: fields added, removed, reordered, widened.
///
/// Works on schemas alone: what was stored is rewritten, then decoded by the codec of the present type.
///
///   fields of structs     found by name; a new one gets what a default-constructed record has, one that is gone is
///                         dropped; if none is left of those that were stored, it is another struct
///   elements of tuples    found by position; new ones at the end
///   numbers               to a larger type that holds all values; from 32 bits and less also to float64, from 16 bits
///                         and less to float32
///   T                     to optional<T>
///   variants              new alternatives at the end
///   lists, arrays, maps,  as their elements and values change; elements of sets and keys of maps must not
///   optionals
/// Threading: immutable. Errors: between() throws incompatible_state naming the field and what cannot become what;
/// convert() throws malformed_record.
/// Source: Flink's TypeSerializerSnapshot and the schema evolution of its PojoSerializer.
#pragma once

#include <dataflow/record/codec.hpp>

#include <memory>
#include <optional>
#include <string_view>

namespace dataflow {

/// The schema that to_string(schema) wrote. Empty when the text is none.
std::optional<schema> parse_schema(std::string_view text);

class schema_change {
public:
  static schema_change between(const schema& stored, const schema& wanted);
  /// The bytes stay as they are.
  bool is_none() const noexcept;
  /// Reads one value as it was stored, writes it as it is wanted.
  void convert(byte_reader& in, byte_writer& out) const;

  struct step;

private:
  std::shared_ptr<const step> root_;
};

} // namespace dataflow
