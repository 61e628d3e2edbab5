/// Frames: what the two ends of a link between task managers send each other.
///
/// A link carries elements of channels and credit, for tasks of both ends. The writer packs them into frames of at most
/// 256 KiB: small ones share a frame, a large one spans several. The reader gives back what was packed, in order.
/// Frames of a connection are numbered, and carry its epoch and a checksum: a frame that is missing, repeated, changed
/// or cut short is an error that names the link, and the connection is then of no more use. A frame of another epoch
/// was on the way when its connection broke, and is not read.
/// Format: frame_header, items. An item is a tag, a task's address (8 bytes; not of further parts) and its numbers
/// (varints), an element's also its bytes, or a part of them. Little-endian. Change `link_version` with it.
/// Threading: not shared. Ownership: large payloads are not copied but shared, also by what the reader gives back.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dataflow {

/// Both ends of a link must have the same.
inline constexpr std::uint32_t link_version = 2;
/// Of a frame as a whole. The layers below have no way to send a heartbeat in the middle of a message.
inline constexpr std::size_t largest_frame = 256 << 10;

/// Bytes within a buffer that several hold.
struct shared_bytes {
  std::shared_ptr<const void> owner;
  std::string_view bytes;

  shared_bytes() = default;
  /// A large one is used again behind the last who holds it: see frame_buffers.hpp.
  explicit shared_bytes(std::string whole);
  shared_bytes(std::shared_ptr<const void> holder, std::string_view part) : owner(std::move(holder)), bytes(part) {}
};

/// What the address of a task is on the links of its cluster.
std::uint64_t link_address(std::string_view job, std::uint32_t task, std::uint32_t attempt) noexcept;

/// The next element of a channel; the numbers are those of its consumer.
struct link_element {
  std::uint64_t to = 0; ///< link_address of the consumer
  std::uint32_t attempt = 0, channel = 0;
  std::uint64_t sequence = 0;
  std::uint64_t credit = 0; ///< bytes that it counts against the channel's credit
  shared_bytes payload;     ///< see element_codec.hpp
};
/// Credit for a channel; the numbers are those of its producer.
struct link_credit {
  std::uint64_t to = 0; ///< link_address of the producer
  std::uint32_t attempt = 0, gate = 0, channel = 0, batches = 0;
  std::uint64_t bytes = 0;
};

/// One message: `head`, then `tail`.
struct link_frame_parts {
  std::string head;
  shared_bytes tail;
  std::size_t size() const noexcept { return head.size() + tail.bytes.size(); }
  /// The frame as it arrives.
  std::string joined() const;
};

class frame_writer {
public:
  /// `link` names it in errors. REQUIRES: largest >= least_frame.
  explicit frame_writer(std::string link, std::size_t largest = largest_frame);
  static constexpr std::size_t least_frame = 256;

  /// A connection begins, with an epoch that no other one has had. What was pending stays pending.
  void begin(std::uint64_t epoch);
  /// What is pending is of no more use.
  void clear();
  /// Throws error{errc::record_too_large}.
  void add(const link_element& e);
  void add(const link_credit& c);
  /// Closes the frame that is being filled.
  void flush();
  bool has_pending() const noexcept { return !ready_.empty() || open_; }
  /// Frames that are complete, numbered in the order of these calls. REQUIRES: begin() was called.
  std::vector<link_frame_parts> take();

private:
  void open();
  void close(shared_bytes tail = {});
  std::size_t room() const noexcept;

  std::string link_;
  std::size_t largest_;
  std::uint64_t epoch_ = 0, next_ = 0;
  bool open_ = false;
  std::string head_;
  std::vector<link_frame_parts> ready_;
};

class frame_reader {
public:
  explicit frame_reader(std::string link, std::size_t largest = largest_frame);

  void begin(std::uint64_t epoch);
  /// No connection: every frame is a stale one.
  void end();
  struct items {
    std::vector<link_element> elements; ///< in order
    std::vector<link_credit> credits;
  };
  /// False: it is of another epoch. Throws error{errc::connection_failed} naming the link when it is not the next frame
  /// of this epoch, as it was sent.
  bool receive(const shared_bytes& frame, items& out);
  std::uint64_t epoch() const noexcept { return epoch_; } ///< 0: no connection
  /// Of the last frame for which receive() said false.
  std::uint64_t stale_epoch() const noexcept { return stale_epoch_; }

private:
  bool read(const shared_bytes& frame, items& out);
  [[noreturn]] void fail(std::string why) const;

  std::string link_;
  std::size_t largest_;
  std::uint64_t epoch_ = 0, stale_epoch_ = 0, next_ = 0;
  bool partial_ = false;    // an element has begun
  link_element element_;    // whose parts are being collected
  std::string bytes_;       // of it so far
  std::uint64_t total_ = 0; // bytes that it will have
  std::uint32_t part_ = 0;  // the next one
};

} // namespace dataflow
