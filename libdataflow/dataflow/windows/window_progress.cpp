#include <dataflow/windows/window_progress.hpp>

#include <algorithm>

namespace dataflow::detail {

void window_progress::snapshot(state_writer& out) const {
  auto& bytes = out.part();
  bytes.fixed(watermark_);
  bytes.fixed(next_);
  bytes.fixed(number_);
}

void window_progress::restore(const state_part& part) {
  byte_reader in{part.bytes};
  const auto watermark = in.fixed<timestamp>();
  const auto next = in.fixed<wide>();
  const auto number = in.fixed<std::uint64_t>();
  watermark_ = restored_ ? std::min(watermark_, watermark) : watermark;
  next_ = restored_ ? std::min(next_, next) : next;
  number_ = std::max(number_, number);
  restored_ = true;
}

} // namespace dataflow::detail
