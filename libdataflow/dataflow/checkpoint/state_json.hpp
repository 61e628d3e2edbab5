/// Stored state for people: decodes parts by the schema that was stored with them, without the job's types.
///
/// Keys and values become JSON with the fields' names: structs, pairs and tuples are objects, lists and sets arrays,
/// maps arrays of {"key", "value"}, an empty optional is null, a variant {"alternative", "value"}, durations and times
/// numbers of their unit, bytes without a meaning hexadecimal text.
/// Threading: a decoder is immutable. Errors: corrupt_state when bytes do not fit the schema.
#pragma once

#include <dataflow/record/schema_change.hpp>
#include <dataflow/state/declared_state.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace dataflow {

/// One value, encoded by the codec of that schema, as JSON. Throws error{errc::malformed_record}.
std::string json_of(const schema& shape, byte_reader& in);

/// The other way round: bytes of that schema from JSON as json_of() gives it. Throws error{errc::malformed_record},
/// which names the field within the value: "visits[2].page: ...".
void bytes_of_json(const schema& shape, std::string_view json, byte_writer& out);

/// One key of a keyed state, or one item of another.
struct state_entry {
  std::uint32_t key_group = 0;
  std::string key;       ///< JSON; empty: the value holds its key, or the state is not keyed
  std::string value;     ///< JSON
  std::size_t bytes = 0; ///< as stored
};

class state_decoder {
public:
  explicit state_decoder(const state_info& info);
  ~state_decoder();
  /// Whether the schema is one that can be read. Else a part is one entry: hexadecimal text.
  bool readable() const noexcept;
  void entries(const state_part& part, const std::function<void(state_entry&&)>& visit) const;
  /// The bytes of an entry with another value. `stored`: the entry's bytes, whose key (and time of its last use, of a
  /// state with time to live) stays. `value`: JSON as entries() gives it; the same value: the same bytes. Throws
  /// error{errc::malformed_record}, naming the field. REQUIRES: readable().
  std::string with_value(std::string_view stored, std::string_view value) const;
  /// Adds a row of a database's table (see state_database.hpp) to a part: the key without its key group, and the value.
  void add_stored_row(std::string_view key, std::string_view value, byte_writer& part) const;

private:
  struct body;
  std::unique_ptr<body> body_;
};

} // namespace dataflow
