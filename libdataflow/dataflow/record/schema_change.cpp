#include <dataflow/record/schema_change.hpp>
#include <dataflow/record/type_names.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace dataflow {

namespace {

using namespace type_names;

constexpr int deepest_schema_text = 64;

/// "struct visit{page: string, at: time[1/1000 s, int64]}"
class schema_parser {
public:
  explicit schema_parser(std::string_view text) : rest_(text) {}
  std::optional<schema> whole() {
    schema s;
    if (!shape(s, 0) || !rest_.empty()) return std::nullopt;
    return s;
  }

private:
  /// A name up to '{', '}' or ", ", or a ": " that ends the name of a field; brackets hold what they want.
  std::string_view word() {
    std::size_t i = 0;
    int brackets = 0;
    for (; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (c == '[' || c == '<' || c == '(') ++brackets;
      if (c == ']' || c == '>' || c == ')') --brackets;
      if (brackets > 0) continue;
      if (c == '{' || c == '}' || c == ',') break;
      if (c == ':' && i + 1 < rest_.size() && rest_[i + 1] == ' ') break;
    }
    const auto found = rest_.substr(0, i);
    rest_.remove_prefix(i);
    return found;
  }
  bool take(std::string_view what) {
    if (rest_.substr(0, what.size()) != what) return false;
    rest_.remove_prefix(what.size());
    return true;
  }
  bool shape(schema& s, int depth) {
    if (depth > deepest_schema_text) return false;
    s.type = word();
    if (s.type.empty()) return false;
    if (!take("{")) return true;
    do {
      auto& field = s.fields.emplace_back();
      const auto before = rest_;
      field.name = word();
      if (!take(": ")) { // fields of variants have no names
        rest_ = before;
        field.name.clear();
      }
      if (!shape(field.shape, depth + 1)) return false;
    } while (take(", "));
    return take("}");
  }
  std::string_view rest_;
};

// ---- numbers

struct number {
  std::string_view name;
  char kind; // i, u, f
  unsigned bits;
};
constexpr number numbers[] = {{"int8", 'i', 8},     {"int16", 'i', 16},  {"int32", 'i', 32},  {"int64", 'i', 64},
                              {"uint8", 'u', 8},    {"uint16", 'u', 16}, {"uint32", 'u', 32}, {"uint64", 'u', 64},
                              {"float32", 'f', 32}, {"float64", 'f', 64}};
const number* number_of(std::string_view type) {
  for (auto& n : numbers)
    if (n.name == type) return &n;
  return nullptr;
}
bool holds_all(const number& to, const number& from) {
  if (to.kind == from.kind) return to.bits >= from.bits;
  if (to.kind == 'f') return from.bits <= to.bits / 2; // 24 and 53 bits are exact
  return to.kind == 'i' && from.kind == 'u' && to.bits > from.bits;
}

template <class To, class From>
void widen(byte_reader& in, byte_writer& out) {
  out.fixed(static_cast<To>(in.fixed<From>()));
}
template <class From>
void widen_from(const number& to, byte_reader& in, byte_writer& out) {
  switch (to.kind) {
  case 'f':
    return to.bits == 32 ? widen<float, From>(in, out) : widen<double, From>(in, out);
  case 'u':
    return to.bits == 16   ? widen<std::uint16_t, From>(in, out)
           : to.bits == 32 ? widen<std::uint32_t, From>(in, out)
                           : widen<std::uint64_t, From>(in, out);
  default:
    return to.bits == 16   ? widen<std::int16_t, From>(in, out)
           : to.bits == 32 ? widen<std::int32_t, From>(in, out)
                           : widen<std::int64_t, From>(in, out);
  }
}
void widen(const number& from, const number& to, byte_reader& in, byte_writer& out) {
  if (from.kind == 'f') return widen_from<float>(to, in, out);
  switch (from.bits) {
  case 8:
    return from.kind == 'u' ? widen_from<std::uint8_t>(to, in, out) : widen_from<std::int8_t>(to, in, out);
  case 16:
    return from.kind == 'u' ? widen_from<std::uint16_t>(to, in, out) : widen_from<std::int16_t>(to, in, out);
  default:
    return from.kind == 'u' ? widen_from<std::uint32_t>(to, in, out) : widen_from<std::int32_t>(to, in, out);
  }
}

// ---- shapes

enum class form : std::uint8_t { plain, text, bytes, optional, list, map, array, variant, fields, elements, numbered };

struct known_form {
  form what = form::plain;
  std::size_t size = 0; // of plain and bytes: how many; of arrays: how many values
};

/// Empty: a type with a codec of its own.
std::optional<known_form> form_of(const schema& s) {
  const auto& t = s.type;
  if (const auto* n = number_of(t)) return known_form{form::plain, n->bits / 8};
  if (t == "bool") return known_form{form::plain, 1};
  if (t == "string") return known_form{form::text};
  if (const auto n = count_in(t, "bytes")) return known_form{form::bytes, *n};
  if (is_time(t)) {
    const auto* n = number_of(unit_and_representation(t).second);
    return n ? std::optional{known_form{form::plain, n->bits / 8}} : std::nullopt;
  }
  const auto with = [&](std::size_t fields, known_form f) {
    return s.fields.size() == fields ? std::optional{f} : std::nullopt;
  };
  if (t == "optional") return with(1, {form::optional});
  if (t == "list" || t == "set") return with(1, {form::list});
  if (const auto n = count_in(t, "array")) return with(1, {form::array, *n});
  if (t == "map") return with(2, {form::map});
  if (t == "window_elements") return with(1, {form::elements});
  if (t == "numbered") return with(1, {form::numbered});
  if (s.fields.empty()) return std::nullopt;
  if (t == "variant") return known_form{form::variant};
  if (t == "pair" || t == "tuple" || t.starts_with("struct ")) return known_form{form::fields};
  return std::nullopt;
}

bool is_known(const schema& s) {
  return form_of(s) && std::all_of(s.fields.begin(), s.fields.end(), [](auto& f) { return is_known(f.shape); });
}

void skip(const schema& s, byte_reader& in) {
  const auto f = form_of(s);
  const auto some = [&](std::size_t n, const schema& what) {
    for (; n > 0; --n)
      skip(what, in);
  };
  switch (f->what) {
  case form::plain:
  case form::bytes:
    in.raw(f->size);
    return;
  case form::text:
    in.text();
    return;
  case form::optional:
    if (in.fixed<std::uint8_t>() != 0) skip(s.fields[0].shape, in);
    return;
  case form::list:
    return some(in.length(), s.fields[0].shape);
  case form::array:
    return some(f->size, s.fields[0].shape);
  case form::map:
    for (auto n = in.length(); n > 0; --n)
      for (auto& field : s.fields)
        skip(field.shape, in);
    return;
  case form::variant: {
    const auto index = in.varint();
    if (index >= s.fields.size()) detail::fail_decode("a variant's index " + std::to_string(index));
    return skip(s.fields[index].shape, in);
  }
  case form::fields:
    for (auto& field : s.fields)
      skip(field.shape, in);
    return;
  case form::elements:
    some(in.length(), s.fields[0].shape);
    in.raw(in.length(sizeof(std::int64_t)) * sizeof(std::int64_t));
    return;
  case form::numbered:
    skip(s.fields[0].shape, in);
    in.raw(sizeof(std::uint64_t));
  }
}

/// The bytes of one value, which is passed over.
std::string_view taken(const schema& s, byte_reader& in) {
  auto behind = in;
  skip(s, behind);
  return in.raw(in.remaining() - behind.remaining());
}

// ---- what new fields begin with

/// By the text of a struct's schema: its fields in a default-constructed record.
struct known_defaults {
  std::mutex mutex;
  std::map<std::string, std::vector<std::string>, std::less<>> fields;
};
known_defaults& all_defaults() {
  static auto* all = new known_defaults; // types are described until the process ends
  return *all;
}

std::string default_of(const schema& s);

std::string default_of_field(const schema& s, std::size_t i) {
  auto& all = all_defaults();
  {
    std::lock_guard lock{all.mutex};
    const auto found = all.fields.find(to_string(s));
    if (found != all.fields.end()) return found->second.at(i);
  }
  return default_of(s.fields[i].shape);
}

std::string default_of(const schema& s) {
  const auto f = form_of(s);
  if (!f)
    throw error{errc::incompatible_state, s.type + " has a codec of its own, and nobody says what a new one looks like",
                "give the changed state a new name"};
  switch (f->what) {
  case form::plain:
  case form::bytes:
    return std::string(f->size, '\0');
  case form::elements:
    return std::string(2, '\0');
  case form::array: {
    std::string all;
    for (std::size_t i = 0; i < f->size; ++i)
      all += default_of(s.fields[0].shape);
    return all;
  }
  case form::fields: {
    std::string all;
    for (std::size_t i = 0; i < s.fields.size(); ++i)
      all += default_of_field(s, i);
    return all;
  }
  case form::variant:
    return std::string(1, '\0') + default_of(s.fields[0].shape);
  case form::numbered:
    return default_of(s.fields[0].shape) + std::string(sizeof(std::uint64_t), '\0');
  default:
    return std::string(1, '\0'); // an empty text, optional, list or map
  }
}

} // namespace

namespace detail {
void note_defaults(const schema& shape, std::vector<std::string> fields) {
  auto& all = all_defaults();
  std::lock_guard lock{all.mutex};
  all.fields.insert_or_assign(to_string(shape), std::move(fields));
}
} // namespace detail

std::optional<schema> parse_schema(std::string_view text) { return schema_parser{text}.whole(); }

/// How one value is converted.
struct schema_change::step {
  enum class kind : std::uint8_t { copy, widen, wrap, inner, fields, variant };
  struct field {
    std::optional<std::size_t> from; ///< position among the stored ones
    std::string initial;             ///< of new ones
  };
  kind what = kind::copy;
  schema stored;
  number from{}, to{};       ///< of widen
  std::vector<step> parts{}; ///< of wrap and inner: the value's; of variants and fields: one for each
  std::vector<field> fields{};

  void run(byte_reader& in, byte_writer& out) const;
  void copy(byte_reader& in, byte_writer& out, std::size_t bytes) const { put(out, in.raw(bytes)); }
  static void put(byte_writer& out, std::string_view bytes) { out.raw(bytes.data(), bytes.size()); }
};

void schema_change::step::run(byte_reader& in, byte_writer& out) const {
  switch (what) {
  case kind::copy:
    return put(out, taken(stored, in));
  case kind::widen:
    return widen(from, to, in, out);
  case kind::wrap:
    out.fixed(std::uint8_t{1});
    return parts[0].run(in, out);
  case kind::variant: {
    const auto index = in.varint();
    if (index >= parts.size()) detail::fail_decode("a variant's index " + std::to_string(index));
    out.varint(index);
    return parts[index].run(in, out);
  }
  case kind::fields: {
    std::vector<std::string_view> values;
    for (auto& f : stored.fields)
      values.push_back(taken(f.shape, in));
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (!fields[i].from) {
        put(out, fields[i].initial);
        continue;
      }
      byte_reader value{values[*fields[i].from]};
      parts[i].run(value, out);
    }
    return;
  }
  case kind::inner:
    break;
  }
  const auto f = *form_of(stored);
  std::size_t n = 1;
  if (f.what == form::optional) {
    n = in.fixed<std::uint8_t>() != 0 ? 1 : 0;
    out.fixed(static_cast<std::uint8_t>(n));
  } else if (f.what == form::array) {
    n = f.size;
  } else if (f.what != form::numbered) {
    n = in.length();
    out.varint(n);
  }
  for (std::size_t i = 0; i < n; ++i) {
    if (f.what == form::map) put(out, taken(stored.fields[0].shape, in));
    parts[0].run(in, out);
  }
  if (f.what == form::numbered) copy(in, out, sizeof(std::uint64_t));
  if (f.what == form::elements) {
    const auto times = in.length(sizeof(std::int64_t));
    out.varint(times);
    copy(in, out, times * sizeof(std::int64_t));
  }
}

namespace {

using step = schema_change::step;

class comparison {
public:
  step compare(const schema& stored, const schema& wanted) {
    if (stored == wanted && is_known(stored)) return {.what = step::kind::copy, .stored = stored};
    if (!form_of(stored) || !form_of(wanted)) {
      if (stored == wanted) fail(stored.type + " has a codec of its own, and stands beside fields that have changed");
      fail(stored.type == wanted.type ? stored.type + " has a codec of its own" : no_way(stored, wanted));
    }
    if (wanted.type == "optional" && stored.type != "optional")
      return {.what = step::kind::wrap, .stored = stored, .parts = {compare(stored, wanted.fields[0].shape)}};
    if (auto wide = widened(stored, wanted)) return *wide;
    const auto before = form_of(stored)->what, now = form_of(wanted)->what;
    const bool structs = stored.type.starts_with("struct ") && wanted.type.starts_with("struct ");
    if (before != now || (stored.type != wanted.type && !structs)) fail(no_way(stored, wanted));
    switch (before) {
    case form::list:
      if (stored.type == "set") fail("the elements of a set cannot change");
      return inner(stored, wanted, 0);
    case form::optional:
    case form::array:
    case form::elements:
    case form::numbered:
      return inner(stored, wanted, 0);
    case form::map:
      if (stored.fields[0].shape != wanted.fields[0].shape) fail("the keys of a map cannot change");
      check_known(stored.fields[0].shape);
      return inner(stored, wanted, 1);
    case form::variant:
      return alternatives(stored, wanted);
    case form::fields:
      return structs ? by_name(stored, wanted) : by_position(stored, wanted);
    default:
      fail(no_way(stored, wanted));
    }
  }

private:
  static std::string no_way(const schema& stored, const schema& wanted) {
    return stored.type + " cannot become " + wanted.type;
  }
  [[noreturn]] void fail(const std::string& why) const {
    std::string field;
    for (auto& name : path_)
      field += (field.empty() ? "" : ".") + name;
    throw error{errc::incompatible_state, field.empty() ? why : "field '" + field + "': " + why,
                "give the changed field, or the state, a new name"};
  }
  step compare_field(const std::string& name, const schema& stored, const schema& wanted) {
    path_.push_back(name);
    auto s = compare(stored, wanted);
    path_.pop_back();
    return s;
  }
  static std::optional<step> widened(const schema& stored, const schema& wanted) {
    auto before = std::string_view{stored.type}, now = std::string_view{wanted.type};
    if (is_time(before) && is_time(now)) {
      const auto [unit_before, type_before] = unit_and_representation(before);
      const auto [unit_now, type_now] = unit_and_representation(now);
      if (unit_before != unit_now) return std::nullopt;
      before = type_before;
      now = type_now;
    }
    const auto *from = number_of(before), *to = number_of(now);
    if (!from || !to || !holds_all(*to, *from)) return std::nullopt;
    return step{.what = step::kind::widen, .stored = stored, .from = *from, .to = *to};
  }
  step inner(const schema& stored, const schema& wanted, std::size_t field) {
    return {.what = step::kind::inner,
            .stored = stored,
            .parts = {compare(stored.fields[field].shape, wanted.fields[field].shape)}};
  }
  step alternatives(const schema& stored, const schema& wanted) {
    if (wanted.fields.size() < stored.fields.size()) fail("a variant cannot lose alternatives");
    step s{.what = step::kind::variant, .stored = stored};
    for (std::size_t i = 0; i < stored.fields.size(); ++i)
      s.parts.push_back(
          compare_field("alternative " + std::to_string(i), stored.fields[i].shape, wanted.fields[i].shape));
    return s;
  }
  /// It is passed over, or copied, without its codec.
  void check_known(const schema& s) const {
    if (!is_known(s)) fail(s.type + " has a codec of its own, and stands beside fields that have changed");
  }
  static void add(step& s, std::size_t from, step change) {
    s.fields.push_back({from, {}});
    s.parts.push_back(std::move(change));
  }
  static void add(step& s, std::string initial) {
    s.fields.push_back({{}, std::move(initial)});
    s.parts.emplace_back();
  }
  step by_position(const schema& stored, const schema& wanted) {
    if (wanted.fields.size() < stored.fields.size()) fail("a " + stored.type + " cannot lose elements");
    step s{.what = step::kind::fields, .stored = stored};
    for (std::size_t i = 0; i < wanted.fields.size(); ++i) {
      const auto& field = wanted.fields[i];
      if (i < stored.fields.size())
        add(s, i, compare_field(field.name, stored.fields[i].shape, field.shape));
      else
        add(s, default_of(field.shape));
    }
    return s;
  }
  step by_name(const schema& stored, const schema& wanted) {
    step s{.what = step::kind::fields, .stored = stored};
    for (auto& f : stored.fields) {
      const bool kept =
          std::any_of(wanted.fields.begin(), wanted.fields.end(), [&](auto& w) { return w.name == f.name; });
      if (!kept && !is_known(f.shape)) fail("field '" + f.name + "' is gone, and has a codec of its own");
    }
    bool some = false;
    for (std::size_t i = 0; i < wanted.fields.size(); ++i) {
      const auto& field = wanted.fields[i];
      const auto found =
          std::find_if(stored.fields.begin(), stored.fields.end(), [&](auto& f) { return f.name == field.name; });
      if (found == stored.fields.end()) {
        add(s, default_of_field(wanted, i));
        continue;
      }
      some = true;
      add(s, static_cast<std::size_t>(found - stored.fields.begin()),
          compare_field(field.name, found->shape, field.shape));
    }
    if (!some) fail(no_way(stored, wanted) + ": they have no field in common");
    return s;
  }

  std::vector<std::string> path_;
};

} // namespace

schema_change schema_change::between(const schema& stored, const schema& wanted) {
  schema_change change;
  change.root_ = std::make_shared<const step>(comparison{}.compare(stored, wanted));
  return change;
}

bool schema_change::is_none() const noexcept { return root_->what == step::kind::copy; }

void schema_change::convert(byte_reader& in, byte_writer& out) const { root_->run(in, out); }

} // namespace dataflow
