/// Record types that the tests of this folder share.
#pragma once

#include <dataflow/record/record_type.hpp>

#include <string>

namespace shop {
enum class color : std::uint8_t { red, green };
struct item {
  std::string name;
  std::uint32_t count = 0;
  friend bool operator==(const item&, const item&) = default;
};
struct order {
  std::int64_t id = 0;
  std::optional<std::string> note;
  std::vector<item> items;
  std::map<std::string, double> prices;
  std::variant<std::monostate, std::int32_t, std::string> extra;
  dataflow::timestamp at{};
  color paint = color::red;
  bool paid = false;
  friend bool operator==(const order&, const order&) = default;
};
class account {
public:
  account() = default;
  account(std::string owner, std::int64_t cents) : owner_(std::move(owner)), cents_(cents) {}
  friend bool operator==(const account&, const account&) = default;

private:
  std::string owner_;
  std::int64_t cents_ = 0;
  DATAFLOW_RECORD_MEMBERS(account, owner_, cents_)
};
} // namespace shop
DATAFLOW_RECORD(shop::item, name, count);
DATAFLOW_RECORD(shop::order, id, note, items, prices, extra, at, paint, paid);

struct dense_point {
  std::int64_t x = 0;
  std::int32_t y = 0, z = 0;
  friend bool operator==(const dense_point&, const dense_point&) = default;
};
DATAFLOW_RECORD(dense_point, x, y, z);

struct padded_point {
  std::int64_t x = 0;
  std::int32_t y = 0;
  bool set = false;
  friend bool operator==(const padded_point&, const padded_point&) = default;
};
DATAFLOW_RECORD(padded_point, x, y, set);

struct raw_point {
  double x = 0;
  char tag = 0;
};

inline shop::order some_order() {
  shop::order o;
  o.id = -2;
  o.note = "call";
  o.items = {{"tea", 2}, {"a name that does not fit into a small string", 1}};
  o.prices = {{"tea", 2.5}};
  o.extra = std::string{"x"};
  o.at = dataflow::timestamp{std::chrono::milliseconds{1000}};
  o.paint = shop::color::green;
  o.paid = true;
  return o;
}

template <class T>
std::string encoded(const T& value) {
  dataflow::byte_writer out;
  dataflow::codec<T>::encode(value, out);
  return out.take();
}
template <class T>
T decoded(std::string_view bytes) {
  dataflow::byte_reader in{bytes};
  T value{};
  dataflow::codec<T>::decode(value, in);
  if (!in.at_end()) throw dataflow::error{dataflow::errc::internal, "bytes left over"};
  return value;
}
inline std::string hex_text(std::string_view bytes) {
  std::string text;
  for (unsigned char b : bytes) {
    text += "0123456789abcdef"[b >> 4];
    text += "0123456789abcdef"[b & 15];
  }
  return text;
}
