/// Objects: what a checkpoint consists of besides its metadata. Written once under a name that nobody else has, never
/// renamed, never changed.
///
/// Threading: handles are values; a writer belongs to one thread at a time. Ownership: whoever gets a handle is
/// responsible for the object until a checkpoint that was published names it.
/// Source: Flink's StreamStateHandle, CheckpointStreamFactory and CheckpointedStateScope.
#pragma once

#include <dataflow/util/bytes.hpp>
#include <dataflow/util/file_system.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace dataflow {

/// Where an object lies and who may remove it. "Do not change" the numbers: they are stored.
enum class object_scope : std::uint8_t {
  inlined = 0,    ///< small: its bytes stand in the metadata
  exclusive = 1,  ///< chk-N/: goes with its checkpoint
  shared = 2,     ///< shared/: goes with the last checkpoint that names it
  task_owned = 3, ///< taskowned/: never removed by the engine
};
std::string_view to_string(object_scope scope) noexcept;

struct object_handle {
  object_scope scope = object_scope::inlined;
  std::string name;           ///< within the directory of its scope; empty when inlined
  std::uint64_t size = 0;     ///< bytes
  std::uint64_t checksum = 0; ///< XXH3, 64 bits, of all bytes
  std::string bytes;          ///< of inlined ones
  friend bool operator==(const object_handle&, const object_handle&) = default;
};

/// Takes the bytes of a new object, in order. Destroyed without finish(): what was written is removed.
class object_writer {
public:
  virtual ~object_writer() = default;
  virtual void append(std::string_view bytes) = 0;
  virtual std::uint64_t size() const noexcept = 0; ///< bytes so far
  /// Returns when the bytes and the name are durable.
  virtual object_handle finish() = 0;
};

/// Opens an object of the checkpoint that is read.
using object_opener = std::function<std::unique_ptr<readable_file>(const object_handle&)>;

/// The checksum of stored bytes: XXH3, 64 bits, seed 0. "Do not change".
std::uint64_t stored_checksum(std::string_view bytes) noexcept;

/// The same, of bytes that come in pieces.
class running_checksum {
public:
  running_checksum();
  ~running_checksum();
  void add(std::string_view bytes) noexcept;
  std::uint64_t value() const noexcept;

private:
  struct state;
  std::unique_ptr<state> state_;
};

/// An inlined object, and its bytes as a file.
object_handle inlined_object(std::string bytes);
std::unique_ptr<readable_file> open_inlined(const object_handle& object);

/// How handles stand in indexes and metadata. "Do not change".
void write_handle(byte_writer& out, const object_handle& object);
object_handle read_handle(byte_reader& in);

} // namespace dataflow
