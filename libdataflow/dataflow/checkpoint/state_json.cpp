#include <dataflow/checkpoint/state_json.hpp>
#include <dataflow/record/type_names.hpp>
#include <dataflow/util/error.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace dataflow {

namespace {

using namespace type_names;

// In the order in which the fields were declared.
using json = nlohmann::ordered_json;

template <class T>
json number(byte_reader& in) {
  return in.fixed<T>();
}
template <class T>
json real(byte_reader& in) {
  const auto v = in.fixed<T>();
  if (std::isfinite(v)) return v;
  return std::isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity";
}
json flag(byte_reader& in) {
  const auto v = in.fixed<std::uint8_t>();
  if (v > 1) detail::fail_decode("a bool that is neither 0 nor 1");
  return v == 1;
}

std::string hex_text(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    out.push_back("0123456789abcdef"[static_cast<unsigned char>(c) >> 4]);
    out.push_back("0123456789abcdef"[static_cast<unsigned char>(c) & 15]);
  }
  return out;
}

using plain_reader = json (*)(byte_reader&);
plain_reader plain(std::string_view type) {
  static constexpr std::pair<std::string_view, plain_reader> table[] = {
      {"int8", number<std::int8_t>},
      {"int16", number<std::int16_t>},
      {"int32", number<std::int32_t>},
      {"int64", number<std::int64_t>},
      {"uint8", number<std::uint8_t>},
      {"uint16", number<std::uint16_t>},
      {"uint32", number<std::uint32_t>},
      {"uint64", number<std::uint64_t>},
      {"float32", real<float>},
      {"float64", real<double>},
      {"bool", flag},
  };
  for (auto& [name, reader] : table)
    if (name == type) return reader;
  return nullptr;
}

bool known(const schema& s) {
  const auto& t = s.type;
  const auto fields = [&](std::size_t n) {
    if (n != 0 && s.fields.size() != n) return false;
    for (auto& f : s.fields)
      if (!known(f.shape)) return false;
    return !s.fields.empty();
  };
  if (plain(t) || t == "string" || count_in(t, "bytes")) return s.fields.empty();
  if (is_time(t)) return s.fields.empty() && plain(unit_and_representation(t).second);
  if (t == "optional" || t == "list" || t == "set" || count_in(t, "array")) return fields(1);
  if (t == "map" || t == "pair") return fields(2);
  if (t == "variant" || t == "tuple" || t.substr(0, 7) == "struct ") return fields(0);
  return false;
}

json read(const schema& s, byte_reader& in) {
  const auto& t = s.type;
  if (auto reader = plain(t)) return reader(in);
  if (t == "string") return std::string{in.text()};
  if (auto n = count_in(t, "bytes")) return hex_text(in.raw(*n));
  if (is_time(t)) return plain(unit_and_representation(t).second)(in);
  if (t == "optional") {
    const auto set = flag(in);
    return set.get<bool>() ? read(s.fields[0].shape, in) : json{};
  }
  if (t == "variant") {
    const auto index = in.varint();
    if (index >= s.fields.size()) detail::fail_decode("a variant's index " + std::to_string(index));
    return {{"alternative", index}, {"value", read(s.fields[index].shape, in)}};
  }
  if (t == "list" || t == "set" || t == "map" || count_in(t, "array")) {
    auto out = json::array();
    const auto n = count_in(t, "array") ? *count_in(t, "array") : in.length();
    for (std::size_t i = 0; i < n; ++i) {
      auto first = read(s.fields[0].shape, in);
      if (t == "map")
        out.push_back({{"key", std::move(first)}, {"value", read(s.fields[1].shape, in)}});
      else
        out.push_back(std::move(first));
    }
    return out;
  }
  auto out = json::object();
  for (auto& f : s.fields)
    out[f.name] = read(f.shape, in);
  return out;
}

[[noreturn]] void misfit(const std::string& where, const std::string& what) {
  throw error{errc::malformed_record, (where.empty() ? "the value" : "'" + where + "'") + ": " + what};
}

std::string shown(const json& j) {
  auto text = j.dump(-1, ' ', false, json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

template <class T>
void put_number(const json& j, byte_writer& out, const std::string& where, std::string_view type) {
  const auto fits = [&] {
    if (!j.is_number_integer()) return false;
    if (j.is_number_unsigned()) return std::in_range<T>(j.get<std::uint64_t>());
    return std::in_range<T>(j.get<std::int64_t>());
  };
  if (!fits()) misfit(where, shown(j) + " is no " + std::string{type});
  out.fixed(j.is_number_unsigned() ? static_cast<T>(j.get<std::uint64_t>()) : static_cast<T>(j.get<std::int64_t>()));
}
template <class T>
void put_real(const json& j, byte_writer& out, const std::string& where, std::string_view type) {
  using limits = std::numeric_limits<T>;
  if (j.is_number() && std::abs(j.get<double>()) <= static_cast<double>(limits::max()))
    return out.fixed(static_cast<T>(j.get<double>()));
  if (j == "NaN") return out.fixed(limits::quiet_NaN());
  if (j == "Infinity") return out.fixed(limits::infinity());
  if (j == "-Infinity") return out.fixed(-limits::infinity());
  misfit(where, shown(j) + " is no " + std::string{type});
}

using plain_writer = void (*)(const json&, byte_writer&, const std::string&, std::string_view);
plain_writer plain_put(std::string_view type) {
  static constexpr std::pair<std::string_view, plain_writer> table[] = {
      {"int8", put_number<std::int8_t>},     {"int16", put_number<std::int16_t>},
      {"int32", put_number<std::int32_t>},   {"int64", put_number<std::int64_t>},
      {"uint8", put_number<std::uint8_t>},   {"uint16", put_number<std::uint16_t>},
      {"uint32", put_number<std::uint32_t>}, {"uint64", put_number<std::uint64_t>},
      {"float32", put_real<float>},          {"float64", put_real<double>},
  };
  for (auto& [name, writer] : table)
    if (name == type) return writer;
  return nullptr;
}

/// A field of an object that has it and so many fields.
const json& field_of(const json& j, const std::string& name, std::size_t fields, const std::string& where) {
  if (!j.is_object()) misfit(where, shown(j) + " is no object with the field '" + name + "'");
  const auto i = j.find(name);
  if (i == j.end()) misfit(where, "the field '" + name + "' is missing");
  if (j.size() > fields)
    misfit(where, "there are " + std::to_string(j.size()) + " fields, not " + std::to_string(fields));
  return *i;
}

void put(const schema& s, const json& j, byte_writer& out, const std::string& where) {
  const auto& t = s.type;
  const auto in = [&](const std::string& name) { return where.empty() ? name : where + "." + name; };
  const auto time = is_time(t);
  if (auto writer = plain_put(time ? unit_and_representation(t).second : std::string_view{t}))
    return writer(j, out, where, t);
  if (t == "bool") {
    if (!j.is_boolean()) misfit(where, shown(j) + " is no bool");
    return out.fixed<std::uint8_t>(j.get<bool>() ? 1 : 0);
  }
  if (t == "string") {
    if (!j.is_string()) misfit(where, shown(j) + " is no string");
    return out.text(j.get_ref<const std::string&>());
  }
  if (const auto n = count_in(t, "bytes")) {
    const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
    const auto text = j.is_string() ? j.get<std::string>() : std::string{};
    std::string bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
      const auto high = digit(text[i]), low = digit(text[i + 1]);
      if (high < 0 || low < 0) break;
      bytes.push_back(static_cast<char>(high * 16 + low));
    }
    if (text.size() != *n * 2 || bytes.size() != *n)
      misfit(where, shown(j) + " is no text of " + std::to_string(*n * 2) + " hexadecimal digits");
    return out.raw(bytes.data(), bytes.size());
  }
  if (t == "optional") {
    out.fixed<std::uint8_t>(j.is_null() ? 0 : 1);
    if (!j.is_null()) put(s.fields[0].shape, j, out, where);
    return;
  }
  if (t == "variant") {
    const auto& index = field_of(j, "alternative", 2, where);
    if (!index.is_number_unsigned() || index.get<std::uint64_t>() >= s.fields.size())
      misfit(in("alternative"), shown(index) + " is none of " + std::to_string(s.fields.size()) + " alternatives");
    out.varint(index.get<std::uint64_t>());
    return put(s.fields[index.get<std::size_t>()].shape, field_of(j, "value", 2, where), out, in("value"));
  }
  if (t == "list" || t == "set" || t == "map" || count_in(t, "array")) {
    if (!j.is_array()) misfit(where, shown(j) + " is no array");
    if (const auto n = count_in(t, "array"); !n)
      out.varint(j.size());
    else if (*n != j.size())
      misfit(where, "there are " + std::to_string(j.size()) + " elements, not " + std::to_string(*n));
    for (std::size_t i = 0; i < j.size(); ++i) {
      const auto at = where + "[" + std::to_string(i) + "]";
      if (t != "map") {
        put(s.fields[0].shape, j[i], out, at);
        continue;
      }
      put(s.fields[0].shape, field_of(j[i], "key", 2, at), out, at + ".key");
      put(s.fields[1].shape, field_of(j[i], "value", 2, at), out, at + ".value");
    }
    return;
  }
  if (j.is_object())
    for (auto& [name, value] : j.items()) {
      const auto& f = s.fields;
      if (std::none_of(f.begin(), f.end(), [&, n = &name](auto& known_field) { return known_field.name == *n; }))
        misfit(where, "there is no field '" + name + "' in " + to_string(s));
    }
  for (auto& f : s.fields)
    put(f.shape, field_of(j, f.name, s.fields.size(), where), out, in(f.name));
}

json parsed(std::string_view text) {
  try {
    return json::parse(text);
  } catch (const json::exception& e) {
    throw error{errc::malformed_record, "no JSON: " + std::string{e.what()}};
  }
}

std::string dumped(const json& j) {
  return j.dump(-1, ' ', false, json::error_handler_t::replace); // texts need not be UTF-8
}

/// Takes `what` off the end or the front of a text.
bool strip_end(std::string_view& text, std::string_view what) {
  if (text.size() < what.size() || text.substr(text.size() - what.size()) != what) return false;
  text.remove_suffix(what.size());
  return true;
}
bool strip_front(std::string_view& text, std::string_view what) {
  if (text.substr(0, what.size()) != what) return false;
  text.remove_prefix(what.size());
  return true;
}

} // namespace

std::string json_of(const schema& shape, byte_reader& in) {
  if (!known(shape)) detail::fail_decode("no reader for " + to_string(shape));
  return dumped(read(shape, in));
}

void bytes_of_json(const schema& shape, std::string_view text, byte_writer& out) {
  if (!known(shape)) throw error{errc::malformed_record, "no writer for " + to_string(shape)};
  put(shape, parsed(text), out, {});
}

struct state_decoder::body {
  enum class form : std::uint8_t { opaque, value, embedded, list, map, item };
  state_info info;
  form what = form::opaque;
  bool stamped = false;
  schema key, value, mapped;

  /// "key -> value", "key -> list of element", "key -> map of key to value", each perhaps ", with time to live"; or
  /// "key in value", when only the value is stored.
  void understand() {
    std::string_view text = info.schema;
    const auto shape = [](std::string_view of, schema& into) {
      auto s = parse_schema(of);
      if (!s || !known(*s)) return false;
      into = std::move(*s);
      return true;
    };
    if (info.kind != state_kind::keyed) {
      if (shape(text, value)) what = form::item;
      return;
    }
    stamped = strip_end(text, ", with time to live");
    if (const auto in = text.find(" in "); in != std::string_view::npos) {
      if (shape(text.substr(0, in), key) && shape(text.substr(in + 4), value)) what = form::embedded;
      return;
    }
    const auto arrow = text.find(" -> ");
    if (arrow == std::string_view::npos || !shape(text.substr(0, arrow), key)) return;
    text.remove_prefix(arrow + 4);
    if (strip_front(text, "list of ")) {
      if (shape(text, value)) what = form::list;
    } else if (strip_front(text, "map of ")) {
      for (auto at = text.find(" to "); at != std::string_view::npos; at = text.find(" to ", at + 1))
        if (shape(text.substr(0, at), mapped) && shape(text.substr(at + 4), value)) {
          what = form::map;
          return;
        }
    } else if (shape(text, value)) {
      what = form::value;
    }
  }

  json content(byte_reader& in) const {
    if (what == form::value || what == form::embedded) {
      if (stamped) in.fixed<std::int64_t>();
      return read(value, in);
    }
    auto out = json::array();
    const auto n = in.length();
    for (std::size_t i = 0; i < n; ++i) {
      if (stamped) in.fixed<std::int64_t>();
      if (what == form::map) {
        auto k = read(mapped, in);
        out.push_back({{"key", std::move(k)}, {"value", read(value, in)}});
      } else {
        out.push_back(read(value, in));
      }
    }
    return out;
  }

  /// `used`: the times of last use that the entry had; a new element gets the latest.
  void put_content(const json& j, std::int64_t used, byte_writer& out) const {
    if (what == form::value || what == form::embedded || what == form::item) {
      if (stamped) out.fixed(used);
      return put(value, j, out, {});
    }
    if (!j.is_array()) misfit({}, shown(j) + " is no array");
    out.varint(j.size());
    for (std::size_t i = 0; i < j.size(); ++i) {
      const auto at = "[" + std::to_string(i) + "]";
      if (stamped) out.fixed(used);
      if (what == form::map) {
        put(mapped, field_of(j[i], "key", 2, at), out, at + ".key");
        put(value, field_of(j[i], "value", 2, at), out, at + ".value");
      } else {
        put(value, j[i], out, at);
      }
    }
  }
  std::int64_t last_used(byte_reader in) const {
    if (!stamped) return 0;
    if (what == form::value || what == form::embedded) return in.fixed<std::int64_t>();
    auto last = std::numeric_limits<std::int64_t>::min();
    for (auto n = in.length(); n > 0; --n) {
      last = std::max(last, in.fixed<std::int64_t>());
      if (what == form::map) read(mapped, in);
      read(value, in);
    }
    return last;
  }
};

state_decoder::state_decoder(const state_info& info) : body_(std::make_unique<body>()) {
  body_->info = info;
  body_->understand();
}
state_decoder::~state_decoder() = default;

bool state_decoder::readable() const noexcept { return body_->what != body::form::opaque; }

std::string state_decoder::with_value(std::string_view stored, std::string_view value) const {
  using form = body::form;
  byte_reader in{stored};
  if (body_->what != form::item && body_->what != form::embedded) read(body_->key, in);
  const auto key = stored.substr(0, stored.size() - in.remaining());
  const auto content = stored.substr(key.size());
  byte_reader was{content};
  const auto wanted = parsed(value);
  // Times of last use, and texts that are not UTF-8, are not in the JSON: what is the same stays as it is.
  if (parsed(dumped(body_->what == form::item ? read(body_->value, was) : body_->content(was))) == wanted)
    return std::string{stored};
  byte_writer out;
  out.raw(key.data(), key.size());
  body_->put_content(wanted, body_->last_used(byte_reader{content}), out);
  return out.take();
}

void state_decoder::add_stored_row(std::string_view key, std::string_view value, byte_writer& part) const {
  using form = body::form;
  if (body_->info.schema.starts_with("timers of ")) { // see time_index.hpp and stored_timers.hpp
    byte_reader in{key};
    part.fixed(__builtin_bswap64(in.fixed<std::uint64_t>()) ^ std::uint64_t{1} << 63);
    in.fixed<std::uint64_t>();
    const auto rest = in.raw(in.remaining());
    return part.raw(rest.data(), rest.size());
  }
  if (body_->what != form::embedded) part.raw(key.data(), key.size());
  if (body_->what != form::list && body_->what != form::map) return part.raw(value.data(), value.size());
  std::uint64_t count = 0;
  byte_writer entries; // in the database each has its length in front
  for (byte_reader in{value}; !in.at_end(); ++count) {
    const auto entry = in.text();
    entries.raw(entry.data(), entry.size());
  }
  part.varint(count);
  part.raw(entries.buffer().data(), entries.size());
}

void state_decoder::entries(const state_part& part, const std::function<void(state_entry&&)>& visit) const {
  if (!readable()) {
    visit({part.key_group, {}, dumped(json(hex_text(part.bytes))), part.bytes.size()});
    return;
  }
  byte_reader in{part.bytes};
  const bool keyed = body_->what != body::form::item;
  do {
    state_entry entry;
    entry.key_group = part.key_group;
    const auto before = in.remaining();
    try {
      if (keyed && body_->what != body::form::embedded) entry.key = dumped(read(body_->key, in));
      entry.value = dumped(keyed ? body_->content(in) : read(body_->value, in));
      if (!keyed && !in.at_end()) detail::fail_decode("bytes behind an item");
    } catch (const error& e) {
      throw error{errc::corrupt_state,
                  "state '" + body_->info.name + "' does not decode as " + body_->info.schema + ": " + e.cause(),
                  "if a codec of the job's own wrote it, only the job can read it"};
    }
    entry.bytes = before - in.remaining();
    visit(std::move(entry));
  } while (keyed && !in.at_end());
}

} // namespace dataflow
