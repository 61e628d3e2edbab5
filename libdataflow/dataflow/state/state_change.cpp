#include <dataflow/record/schema_change.hpp>
#include <dataflow/state/state_change.hpp>
#include <dataflow/util/error.hpp>

#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace dataflow {

namespace {

/// One piece of an entry: so many bytes, a number, a value, or pieces that are repeated or left out.
struct piece {
  enum class kind : std::uint8_t { bytes, varint, key, value, key_in_value, repeated, optional };
  kind what;
  std::size_t size = 0;        // of bytes
  schema shape{};              // of keys and values; key_in_value takes no bytes of its own
  std::vector<piece> inside{}; // of the last two
};
using pieces = std::vector<piece>;

piece raw(std::size_t n) { return {piece::kind::bytes, n}; }
piece varint() { return {piece::kind::varint}; }
piece key(schema s) { return {piece::kind::key, 0, std::move(s)}; }
piece value(schema s) { return {piece::kind::value, 0, std::move(s)}; }
piece repeated(pieces p) { return {piece::kind::repeated, 0, {}, std::move(p)}; }
piece optional(pieces p) { return {piece::kind::optional, 0, {}, std::move(p)}; }

constexpr std::size_t stamp = sizeof(std::int64_t);

bool strip_end(std::string_view& text, std::string_view what) {
  if (!text.ends_with(what)) return false;
  text.remove_suffix(what.size());
  return true;
}
bool strip_front(std::string_view& text, std::string_view what) {
  if (!text.starts_with(what)) return false;
  text.remove_prefix(what.size());
  return true;
}

/// Cuts a text at `between` so that all parts are schemas.
std::optional<std::vector<schema>> schemas_of(std::string_view text, std::string_view between) {
  for (auto at = text.find(between); at != std::string_view::npos; at = text.find(between, at + 1)) {
    auto first = parse_schema(text.substr(0, at)), second = parse_schema(text.substr(at + between.size()));
    if (first && second) return std::vector{std::move(*first), std::move(*second)};
  }
  return std::nullopt;
}

/// What an entry looks like; empty: nobody knows.
std::optional<pieces> layout_of(const state_info& info) {
  std::string_view text = info.schema;
  if (info.kind == state_kind::broadcast) {
    if (!strip_front(text, "map of ")) return std::nullopt;
    auto types = schemas_of(text, " to ");
    if (!types) return std::nullopt;
    return pieces{repeated({key((*types)[0]), value((*types)[1])})};
  }
  if (info.kind != state_kind::keyed) {
    const bool request = strip_front(text, "requests of ");
    auto item = parse_schema(text);
    if (!item) return std::nullopt;
    if (request) return pieces{raw(1), raw(stamp), value(*item)};
    return pieces{value(*item)};
  }
  if (strip_front(text, "timers of ")) { // they have nothing but keys: whatever has changed is refused
    if (auto types = schemas_of(text, " in ")) return pieces{raw(stamp), key((*types)[0]), key((*types)[1])};
    auto k = parse_schema(text);
    if (!k) return std::nullopt;
    return pieces{raw(stamp), key(*k)};
  }
  if (strip_front(text, "windows of ")) {
    const auto in = text.find(" in "), arrow = text.find(" -> ");
    if (in == std::string_view::npos || arrow == std::string_view::npos || arrow < in) return std::nullopt;
    auto trigger = text.rfind(", trigger ");
    auto k = parse_schema(text.substr(0, in)), window = parse_schema(text.substr(in + 4, arrow - in - 4)),
         contents =
             parse_schema(text.substr(arrow + 4, trigger == std::string_view::npos ? trigger : trigger - arrow - 4));
    if (!k || !window || !contents) return std::nullopt;
    pieces one{key(*window), optional({value(*contents)})};
    if (trigger != std::string_view::npos) {
      auto t = parse_schema(text.substr(trigger + 10));
      if (!t) return std::nullopt;
      one.push_back(value(*t));
    }
    for (int domain = 0; domain < 2; ++domain)
      one.push_back(repeated({raw(stamp), varint()}));
    return pieces{key(*k), repeated(std::move(one))};
  }
  if (strip_front(text, "slices of ")) {
    auto types = schemas_of(text, " -> ");
    if (!types) return std::nullopt;
    return pieces{raw(1), raw(2 * stamp), varint(), key((*types)[0]), value((*types)[1])};
  }
  if (strip_front(text, "join buffers of ")) {
    const auto arrow = text.find(" -> ");
    if (arrow == std::string_view::npos) return std::nullopt;
    auto k = parse_schema(text.substr(0, arrow));
    auto sides = schemas_of(text.substr(arrow + 4), ", ");
    if (!k || !sides) return std::nullopt;
    return pieces{key(*k), repeated({raw(stamp), value((*sides)[0])}), repeated({raw(stamp), value((*sides)[1])})};
  }
  const bool stamped = strip_end(text, ", with time to live");
  const auto timed = [&](pieces p) {
    if (stamped) p.insert(p.begin(), raw(stamp));
    return p;
  };
  if (auto types = schemas_of(text, " in "))
    return timed({{piece::kind::key_in_value, 0, (*types)[0]}, value((*types)[1])});
  const auto arrow = text.find(" -> ");
  if (arrow == std::string_view::npos) return std::nullopt;
  auto k = parse_schema(text.substr(0, arrow));
  if (!k) return std::nullopt;
  text.remove_prefix(arrow + 4);
  pieces entry{key(*k)};
  if (strip_front(text, "list of ")) {
    auto element = parse_schema(text);
    if (!element) return std::nullopt;
    entry.push_back(repeated(timed({value(*element)})));
  } else if (strip_front(text, "map of ")) {
    auto types = schemas_of(text, " to ");
    if (!types) return std::nullopt;
    entry.push_back(repeated(timed({key((*types)[0]), value((*types)[1])})));
  } else {
    auto content = parse_schema(text);
    if (!content) return std::nullopt;
    for (auto& p : timed({value(*content)}))
      entry.push_back(std::move(p));
  }
  return entry;
}

/// A piece with what becomes of its value.
struct converter {
  piece::kind what;
  std::size_t size = 0;
  std::optional<schema_change> change{};
  std::vector<converter> inside{};
};

std::optional<std::vector<converter>> compare(const pieces& stored, const pieces& wanted) {
  if (stored.size() != wanted.size()) return std::nullopt;
  std::vector<converter> all;
  for (std::size_t i = 0; i < stored.size(); ++i) {
    auto &from = stored[i], &to = wanted[i];
    if (from.what != to.what || from.size != to.size) return std::nullopt;
    converter c{from.what, from.size};
    const bool is_key = from.what == piece::kind::key || from.what == piece::kind::key_in_value;
    if (is_key && !(from.shape == to.shape))
      throw error{errc::incompatible_state,
                  "its key was " + to_string(from.shape) + " and is " + to_string(to.shape) + ": keys cannot change"};
    if (from.what == piece::kind::key || from.what == piece::kind::value)
      c.change = schema_change::between(from.shape, to.shape);
    auto inside = compare(from.inside, to.inside);
    if (!inside) return std::nullopt;
    c.inside = std::move(*inside);
    all.push_back(std::move(c));
  }
  return all;
}

void convert(const std::vector<converter>& entry, byte_reader& in, byte_writer& out) {
  for (auto& c : entry)
    switch (c.what) {
    case piece::kind::bytes: {
      const auto bytes = in.raw(c.size);
      out.raw(bytes.data(), bytes.size());
      break;
    }
    case piece::kind::key_in_value:
      break;
    case piece::kind::varint:
      out.varint(in.varint());
      break;
    case piece::kind::key:
    case piece::kind::value:
      c.change->convert(in, out);
      break;
    case piece::kind::repeated: {
      auto n = in.length();
      out.varint(n);
      for (; n > 0; --n)
        convert(c.inside, in, out);
      break;
    }
    case piece::kind::optional: {
      const auto set = in.fixed<std::uint8_t>();
      out.fixed(set);
      if (set != 0) convert(c.inside, in, out);
    }
    }
}

} // namespace

struct state_change::body {
  std::string name;
  bool entries = false; // one behind the other; else a part is one
  std::vector<converter> entry;
};

state_change state_change::between(const state_info& stored, const state_info& wanted) {
  state_change change;
  if (stored.kind == wanted.kind && stored.schema == wanted.schema) return change;
  const auto refuse = [&](const std::string& why, const std::string& advice = {}) {
    throw error{errc::incompatible_state,
                "state \"" + wanted.name + "\" was stored as " + std::string{to_string(stored.kind)} + " state of " +
                    stored.schema + " and is declared as " + std::string{to_string(wanted.kind)} + " state of " +
                    wanted.schema + (why.empty() ? "" : ": " + why),
                advice.empty() ? "give the changed state a new name, or restore with the job that wrote it" : advice};
  };
  const auto before = layout_of(stored), now = layout_of(wanted);
  if (stored.kind != wanted.kind || !before || !now) refuse("");
  try {
    auto entry = compare(*before, *now);
    if (!entry) refuse("");
    auto b = std::make_shared<body>();
    b->name = wanted.name;
    b->entries = wanted.kind == state_kind::keyed;
    b->entry = std::move(*entry);
    change.body_ = std::move(b);
  } catch (const error& e) {
    if (e.cause().starts_with("state \"")) throw;
    refuse(e.cause(), e.advice());
  }
  return change;
}

state_part state_change::convert(const state_part& part) const {
  byte_reader in{part.bytes};
  byte_writer out;
  try {
    do
      dataflow::convert(body_->entry, in, out);
    while (body_->entries && !in.at_end());
    if (!in.at_end()) detail::fail_decode("bytes behind an item");
  } catch (const error& e) {
    throw error{errc::corrupt_state, "state '" + body_->name + "' does not decode as it was stored: " + e.cause(),
                "restore with the job that wrote it"};
  }
  return {part.key_group, out.take()};
}

} // namespace dataflow
