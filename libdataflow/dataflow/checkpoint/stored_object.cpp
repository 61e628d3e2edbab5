#include <dataflow/checkpoint/stored_object.hpp>
#include <dataflow/util/error.hpp>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace dataflow {

std::string_view to_string(object_scope scope) noexcept {
  switch (scope) {
  case object_scope::inlined:
    return "inlined";
  case object_scope::exclusive:
    return "exclusive";
  case object_scope::shared:
    return "shared";
  case object_scope::task_owned:
    return "task-owned";
  }
  return "unknown";
}

std::uint64_t stored_checksum(std::string_view bytes) noexcept { return XXH3_64bits(bytes.data(), bytes.size()); }

struct running_checksum::state {
  alignas(64) XXH3_state_t xxh; // the library asks for that alignment
};

running_checksum::running_checksum() : state_(std::make_unique<state>()) { XXH3_64bits_reset(&state_->xxh); }
running_checksum::~running_checksum() = default;
void running_checksum::add(std::string_view bytes) noexcept {
  XXH3_64bits_update(&state_->xxh, bytes.data(), bytes.size());
}
std::uint64_t running_checksum::value() const noexcept { return XXH3_64bits_digest(&state_->xxh); }

namespace {

class memory_object final : public readable_file {
public:
  explicit memory_object(std::string bytes) : bytes_(std::move(bytes)) {}
  std::size_t read_at(char* to, std::size_t size, std::uint64_t offset) override {
    if (offset >= bytes_.size()) return 0;
    return bytes_.copy(to, size, static_cast<std::size_t>(offset));
  }
  std::uint64_t size() override { return bytes_.size(); }

private:
  std::string bytes_;
};

} // namespace

std::unique_ptr<readable_file> open_inlined(const object_handle& object) {
  return std::make_unique<memory_object>(object.bytes);
}

object_handle inlined_object(std::string bytes) {
  object_handle object;
  object.size = bytes.size();
  object.checksum = stored_checksum(bytes);
  object.bytes = std::move(bytes);
  return object;
}

void write_handle(byte_writer& out, const object_handle& object) {
  out.fixed(object.scope);
  out.text(object.name);
  out.varint(object.size);
  out.fixed(object.checksum);
  out.text(object.bytes);
}

object_handle read_handle(byte_reader& in) {
  object_handle object;
  object.scope = in.fixed<object_scope>();
  object.name = in.text();
  object.size = in.varint();
  object.checksum = in.fixed<std::uint64_t>();
  object.bytes = in.text();
  const bool inlined = object.scope == object_scope::inlined;
  if (object.scope > object_scope::task_owned || inlined != object.name.empty() ||
      (inlined ? object.bytes.size() != object.size : !object.bytes.empty()) ||
      object.name.find('/') != std::string::npos || object.name == "." || object.name == "..")
    throw error{errc::corrupt_state, "a handle of an object that cannot be", "restore from another checkpoint"};
  return object;
}

} // namespace dataflow
