#include <dataflow/util/compression.hpp>
#include <dataflow/util/error.hpp>

#include <lz4.h>
#include <memory>
#include <zstd.h>

namespace dataflow {

namespace {

constexpr int zstd_level = 1; // checkpoints are written more often than read: speed counts

[[noreturn]] void fail_expand(compression how) {
  throw error{errc::corrupt_state, "bytes compressed with " + std::string{to_string(how)} + " do not expand",
              "restore from another checkpoint"};
}

std::size_t bound(compression how, std::size_t size) {
  return how == compression::lz4 ? static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(size)))
                                 : ZSTD_compressBound(size);
}

} // namespace

std::string_view to_string(compression c) noexcept {
  switch (c) {
  case compression::none:
    return "none";
  case compression::lz4:
    return "lz4";
  case compression::zstd:
    return "zstd";
  }
  return "unknown";
}

void compress(compression how, std::string_view bytes, std::string& out) {
  if (how == compression::none) {
    out.append(bytes);
    return;
  }
  const auto before = out.size();
  const auto most = bound(how, bytes.size());
  out.resize(before + most);
  std::size_t size = 0;
  if (how == compression::lz4) {
    size = static_cast<std::size_t>(LZ4_compress_default(bytes.data(), out.data() + before,
                                                         static_cast<int>(bytes.size()), static_cast<int>(most)));
  } else {
    static thread_local const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context{ZSTD_createCCtx(),
                                                                                           ZSTD_freeCCtx};
    size = ZSTD_compressCCtx(context.get(), out.data() + before, most, bytes.data(), bytes.size(), zstd_level);
    if (ZSTD_isError(size)) size = 0;
  }
  if (size == 0)
    throw error{errc::internal,
                "cannot compress " + std::to_string(bytes.size()) + " bytes with " + std::string{to_string(how)}};
  out.resize(before + size);
}

std::string expand(compression how, std::string_view bytes, std::size_t size) {
  std::string out;
  switch (how) {
  case compression::none:
    if (bytes.size() != size) fail_expand(how);
    return std::string{bytes};
  case compression::lz4:
    // A byte expands to 255 at most: a size that cannot be is refused before memory is asked for.
    if (size / 255 > bytes.size() || size > largest_compressed_input || bytes.size() > LZ4_MAX_INPUT_SIZE)
      fail_expand(how);
    out.resize(size);
    if (LZ4_decompress_safe(bytes.data(), out.data(), static_cast<int>(bytes.size()), static_cast<int>(size)) !=
        static_cast<int>(size))
      fail_expand(how);
    return out;
  case compression::zstd:
    // The frame says its size; asking for another one is refused before memory is asked for.
    if (ZSTD_getFrameContentSize(bytes.data(), bytes.size()) != size) fail_expand(how);
    out.resize(size);
    if (ZSTD_decompress(out.data(), size, bytes.data(), bytes.size()) != size) fail_expand(how);
    return out;
  }
  fail_expand(how);
}

} // namespace dataflow
