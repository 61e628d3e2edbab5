#include <dataflow/network/frame_buffers.hpp>

#include <mutex>
#include <utility>
#include <vector>

namespace dataflow {

namespace {

struct kept_buffers {
  std::mutex mutex; // guards what follows
  std::vector<std::string> all;
  std::size_t bytes = 0;
};
/// Never destroyed: frames may outlive the statics of the program.
kept_buffers& kept() {
  static auto& k = *new kept_buffers;
  return k;
}

/// The address sanitizer is to see what is used after it was given back.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool keeps = false;
#else
constexpr bool keeps = true;
#endif

} // namespace

std::string take_buffer(std::size_t room) {
  std::string buffer;
  if (keeps && room >= least_kept_buffer) {
    auto& k = kept();
    std::lock_guard lock{k.mutex};
    if (!k.all.empty()) { // the last one is the likeliest to be in a cache
      buffer = std::move(k.all.back());
      k.all.pop_back();
      k.bytes -= buffer.capacity();
    }
  }
  if (buffer.capacity() < room) {
    buffer.clear(); // nothing to be copied
    buffer.reserve(room);
  }
  return buffer;
}

void give_back_buffer(std::string buffer) noexcept {
  const auto size = buffer.capacity();
  if (!keeps || size < least_kept_buffer) return;
  auto& k = kept();
  try {
    std::lock_guard lock{k.mutex};
    if (k.bytes + size > most_kept_buffers) return;
    k.all.push_back(std::move(buffer));
    k.bytes += size;
  } catch (...) { // no memory to remember it
  }
}

} // namespace dataflow
