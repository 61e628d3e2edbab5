#include <dataflow/network/element_codec.hpp>
#include <dataflow/network/frame_buffers.hpp>
#include <dataflow/network/link_frames.hpp>
#include <dataflow/util/bytes.hpp>
#include <dataflow/util/error.hpp>

#include <xxhash.h>
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h> // the same sums with the widest registers that there are
#endif

#include <algorithm>
#include <cstring>

namespace dataflow {

namespace {

struct frame_header {
  std::uint32_t magic;
  std::uint32_t tail; // bytes of the frame that its head does not count
  std::uint64_t epoch, number;
  std::uint64_t checksum; // of everything else
};
static_assert(sizeof(frame_header) == 32);
constexpr std::uint32_t frame_magic = 0x314C4644; // "DFL1"

enum class item_tag : std::uint8_t { element = 1, first_part = 2, part = 3, credit = 4 };

constexpr std::size_t most_item_header = 1 + 6 * 10; // a tag and six varints
constexpr std::size_t copied_payload = 2048;         // up to here a payload is copied into the head
constexpr std::size_t least_part = 64;               // a part must be worth its header

std::uint64_t checksum_of(frame_header header, std::string_view items, std::string_view tail) noexcept {
  header.checksum = 0;
  auto sum = XXH3_64bits(&header, sizeof header);
  sum = XXH3_64bits_withSeed(items.data(), items.size(), sum);
  return XXH3_64bits_withSeed(tail.data(), tail.size(), sum);
}

void write_element_header(item_tag tag, const link_element& e, byte_writer& out) {
  out.fixed(tag);
  out.fixed(e.to);
  out.varint(e.attempt);
  out.varint(e.channel);
  out.varint(e.sequence);
  out.varint(e.credit);
}

std::uint32_t read_number(byte_reader& in) {
  const auto value = in.varint();
  if (value > 0xffffffffu) throw error{errc::malformed_record, "a number above 32 bits"};
  return static_cast<std::uint32_t>(value);
}

link_element read_element_header(byte_reader& in) {
  link_element e;
  e.to = in.fixed<std::uint64_t>();
  e.attempt = read_number(in);
  e.channel = read_number(in);
  e.sequence = in.varint();
  e.credit = in.varint();
  return e;
}

/// Gives its memory back.
struct used_buffer {
  std::string bytes;
  explicit used_buffer(std::string b) noexcept : bytes(std::move(b)) {}
  used_buffer(const used_buffer&) = delete;
  ~used_buffer() { give_back_buffer(std::move(bytes)); }
};

} // namespace

shared_bytes::shared_bytes(std::string whole) {
  auto held = std::make_shared<const used_buffer>(std::move(whole));
  bytes = held->bytes;
  owner = std::move(held);
}

std::uint64_t link_address(std::string_view job, std::uint32_t task, std::uint32_t attempt) noexcept {
  return XXH3_64bits_withSeed(job.data(), job.size(), std::uint64_t{task} << 32 | attempt);
}

std::string link_frame_parts::joined() const {
  auto all = head;
  all.append(tail.bytes);
  return all;
}

frame_writer::frame_writer(std::string link, std::size_t largest)
    : link_(std::move(link)), largest_(std::max(largest, least_frame)) {}

void frame_writer::begin(std::uint64_t epoch) {
  epoch_ = epoch;
  next_ = 0;
}

void frame_writer::clear() {
  open_ = false;
  head_.clear();
  ready_.clear();
}

void frame_writer::open() {
  if (open_) return;
  open_ = true;
  head_.assign(sizeof(frame_header), '\0');
}

std::size_t frame_writer::room() const noexcept {
  return open_ ? largest_ - std::min(largest_, head_.size()) : largest_ - sizeof(frame_header);
}

void frame_writer::close(shared_bytes tail) {
  if (!open_) return;
  open_ = false;
  ready_.push_back({std::move(head_), std::move(tail)});
  head_ = {};
}

void frame_writer::flush() { close(); }

void frame_writer::add(const link_credit& c) {
  if (room() < most_item_header) close();
  open();
  byte_writer out;
  out.fixed(item_tag::credit);
  out.fixed(c.to);
  out.varint(c.attempt);
  out.varint(c.gate);
  out.varint(c.channel);
  out.varint(c.batches);
  out.varint(c.bytes);
  head_.append(out.buffer());
}

void frame_writer::add(const link_element& e) {
  auto rest = e.payload.bytes;
  if (rest.size() > largest_element)
    throw error{errc::record_too_large,
                link_ + ": an element of " + std::to_string(rest.size()) + " bytes; it takes " +
                    std::to_string(largest_element),
                "lower taskmanager.batch.records or taskmanager.record.max-bytes"};
  byte_writer out;
  if (rest.size() <= std::min(copied_payload, largest_ - sizeof(frame_header) - most_item_header)) {
    if (room() < most_item_header + rest.size()) close();
    open();
    write_element_header(item_tag::element, e, out);
    out.text(rest);
    head_.append(out.buffer());
    return;
  }
  // The bytes end the frame, so that they need not be copied.
  auto tail = [&](std::string_view bytes) {
    rest.remove_prefix(bytes.size());
    close({e.payload.owner, bytes});
  };
  if (room() < most_item_header + least_part) close();
  if (open_ && room() < most_item_header + rest.size() &&
      largest_ - sizeof(frame_header) >= most_item_header + rest.size())
    close(); // better whole in a frame of its own than in parts
  open();
  if (room() >= most_item_header + rest.size()) {
    write_element_header(item_tag::element, e, out);
    out.varint(rest.size());
    head_.append(out.buffer());
    return tail(rest);
  }
  write_element_header(item_tag::first_part, e, out);
  for (std::uint64_t part = 0; !rest.empty(); ++part) {
    open();
    const auto bytes = rest.substr(0, room() - most_item_header);
    if (part == 0) {
      out.varint(rest.size());
    } else {
      out.clear();
      out.fixed(item_tag::part);
      out.varint(part);
    }
    out.varint(bytes.size());
    head_.append(out.buffer());
    tail(bytes);
  }
}

std::vector<link_frame_parts> frame_writer::take() {
  for (auto& f : ready_) {
    frame_header header{frame_magic, static_cast<std::uint32_t>(f.tail.bytes.size()), epoch_, next_++, 0};
    header.checksum = checksum_of(header, std::string_view{f.head}.substr(sizeof header), f.tail.bytes);
    std::memcpy(f.head.data(), &header, sizeof header);
  }
  return std::exchange(ready_, {});
}

frame_reader::frame_reader(std::string link, std::size_t largest) : link_(std::move(link)), largest_(largest) {}

void frame_reader::begin(std::uint64_t epoch) {
  end();
  epoch_ = epoch;
}

void frame_reader::end() {
  epoch_ = 0;
  next_ = 0;
  partial_ = false;
  bytes_ = {};
}

void frame_reader::fail(std::string why) const {
  throw error{errc::connection_failed, link_ + ": " + why,
              "the connection is made anew, and the tasks that used it restart"};
}

bool frame_reader::receive(const shared_bytes& frame, items& out) {
  try {
    return read(frame, out);
  } catch (const error& e) {
    if (e.code() == errc::connection_failed) throw;
    fail("frame " + std::to_string(next_) + ": " + e.cause());
  }
}

bool frame_reader::read(const shared_bytes& frame, items& out) {
  const auto all = frame.bytes;
  byte_reader in{all};
  const auto header = in.fixed<frame_header>();
  if (header.magic != frame_magic) fail("what came is no frame");
  if (all.size() > largest_) fail("a frame of " + std::to_string(all.size()) + " bytes");
  if (header.tail > in.remaining()) fail("a frame is cut short");
  const auto items = all.substr(sizeof header, in.remaining() - header.tail);
  if (header.checksum != checksum_of(header, items, all.substr(all.size() - header.tail)))
    fail("frame " + std::to_string(next_) + " is not what was sent (its checksum differs)");
  if (epoch_ == 0 || header.epoch != epoch_) {
    stale_epoch_ = header.epoch;
    return false;
  }
  if (header.number != next_)
    fail("frame " + std::to_string(header.number) + " came where " + std::to_string(next_) + " was expected");
  while (!in.at_end()) {
    const auto tag = in.fixed<item_tag>();
    if (partial_ && tag != item_tag::part) fail("the rest of a large element is missing");
    switch (tag) {
    case item_tag::element: {
      auto e = read_element_header(in);
      e.payload = {frame.owner, in.text()};
      out.elements.push_back(std::move(e));
      break;
    }
    case item_tag::first_part:
      element_ = read_element_header(in);
      total_ = in.varint();
      if (total_ > largest_element) fail("an element of " + std::to_string(total_) + " bytes");
      bytes_ = take_buffer(least_kept_buffer);
      bytes_.assign(in.text());
      if (bytes_.empty() || bytes_.size() >= total_) fail("the first part of an element is as long as the whole");
      partial_ = true;
      part_ = 1;
      break;
    case item_tag::part: {
      const auto number = in.varint();
      const auto bytes = in.text();
      if (!partial_ || number != part_) fail("part " + std::to_string(number) + " of an element came out of its turn");
      if (bytes.empty() || bytes.size() > total_ - bytes_.size()) fail("the parts of an element are too long");
      // What was promised is reserved when the first parts have come.
      if (part_++ == 1) bytes_.reserve(std::min<std::size_t>(total_, bytes_.size() * 4));
      bytes_.append(bytes);
      if (bytes_.size() < total_) break;
      element_.payload = shared_bytes{std::exchange(bytes_, {})};
      partial_ = false;
      out.elements.push_back(std::exchange(element_, {}));
      break;
    }
    case item_tag::credit: {
      link_credit c;
      c.to = in.fixed<std::uint64_t>();
      c.attempt = read_number(in);
      c.gate = read_number(in);
      c.channel = read_number(in);
      c.batches = read_number(in);
      c.bytes = in.varint();
      out.credits.push_back(c);
      break;
    }
    default:
      fail("an item of the unknown kind " + std::to_string(static_cast<unsigned>(tag)));
    }
  }
  ++next_;
  return true;
}

} // namespace dataflow
