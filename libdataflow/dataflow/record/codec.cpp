#include <dataflow/record/codec.hpp>
#include <dataflow/record/record.hpp>
#include <dataflow/util/error.hpp>

namespace dataflow {

bool operator==(const schema& a, const schema& b) {
  if (a.type != b.type || a.fields.size() != b.fields.size()) return false;
  for (std::size_t i = 0; i < a.fields.size(); ++i)
    if (a.fields[i].name != b.fields[i].name || !(a.fields[i].shape == b.fields[i].shape)) return false;
  return true;
}

std::string to_string(const schema& s) {
  auto text = s.type;
  if (s.fields.empty()) return text;
  text += '{';
  for (std::size_t i = 0; i < s.fields.size(); ++i) {
    if (i > 0) text += ", ";
    if (!s.fields[i].name.empty()) text += s.fields[i].name + ": ";
    text += to_string(s.fields[i].shape);
  }
  return text + '}';
}

namespace detail {

std::string raw_type_name(std::size_t size) {
  std::string name = "bytes[";
  return name.append(std::to_string(size)).append("]");
}

std::string integer_type_name(std::size_t size, bool is_signed) {
  std::string name = is_signed ? "int" : "uint";
  return name.append(std::to_string(size * 8));
}

void fail_decode(std::string cause) { throw error{errc::malformed_record, std::move(cause)}; }

void fail_encode(std::string cause) { throw error{errc::serialization_failed, std::move(cause)}; }

namespace {
constexpr int deepest_schema = 64;
thread_local int schema_depth = 0;
} // namespace

schema_guard::schema_guard(const char* type) {
  if (schema_depth >= deepest_schema)
    throw error{errc::invalid_argument,
                std::string{"the record type "} + type + " nests more than " + std::to_string(deepest_schema) +
                    " levels, or contains itself",
                "give a recursive type a codec of its own"};
  ++schema_depth;
}
schema_guard::~schema_guard() { --schema_depth; }

} // namespace detail
} // namespace dataflow
