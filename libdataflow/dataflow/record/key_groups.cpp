#include <dataflow/record/key_groups.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>

namespace dataflow {

namespace {
/// Key groups for a number that is a power of two, shifted: with a shift, channels. Inlined into one function per
/// instruction set; the compiler vectorises it.
[[gnu::always_inline]] inline void masked_key_groups(const std::uint64_t* hashes, std::size_t n, std::uint32_t mask,
                                                     unsigned shift, std::uint32_t* out) noexcept {
  for (std::size_t i = 0; i < n; ++i)
    out[i] = (murmur_step(static_cast<std::uint32_t>(hashes[i] >> 32)) & mask) >> shift;
}
#if defined(__x86_64__) && defined(__GNUC__)
[[gnu::target("avx2")]] void masked_key_groups_avx2(const std::uint64_t* hashes, std::size_t n, std::uint32_t mask,
                                                    unsigned shift, std::uint32_t* out) noexcept {
  masked_key_groups(hashes, n, mask, shift, out);
}
#endif
void shifted_key_groups(const std::uint64_t* hashes, std::size_t n, std::uint32_t mask, unsigned shift,
                        std::uint32_t* out) noexcept {
#if defined(__x86_64__) && defined(__GNUC__)
  static const bool avx2 = __builtin_cpu_supports("avx2");
  if (avx2) return masked_key_groups_avx2(hashes, n, mask, shift, out);
#endif
  masked_key_groups(hashes, n, mask, shift, out);
}
} // namespace

void key_groups_of(const std::uint64_t* hashes, std::size_t n, std::uint32_t max_parallelism,
                   std::uint32_t* out) noexcept {
  if (std::has_single_bit(max_parallelism)) return shifted_key_groups(hashes, n, max_parallelism - 1, 0, out);
  // Lemire's exact remainder by multiplication (2019), for 32-bit numbers.
  __extension__ using wide = unsigned __int128;
  const auto inverse = ~std::uint64_t{0} / max_parallelism + 1;
  for (std::size_t i = 0; i < n; ++i) {
    auto fraction = inverse * murmur_step(static_cast<std::uint32_t>(hashes[i] >> 32));
    out[i] = static_cast<std::uint32_t>((wide{fraction} * max_parallelism) >> 64);
  }
}

key_group_router::key_group_router(std::uint32_t parallelism, std::uint32_t max_parallelism)
    : parallelism_(parallelism), max_parallelism_(max_parallelism) {
  if (parallelism == 0 || parallelism > max_parallelism || max_parallelism > upper_max_parallelism)
    throw error{errc::invalid_argument,
                "parallelism " + std::to_string(parallelism) + " with max parallelism " +
                    std::to_string(max_parallelism),
                "choose 0 < parallelism <= max parallelism <= " + std::to_string(upper_max_parallelism)};
  channel_.reserve(max_parallelism);
  for (std::uint32_t group = 0; group < max_parallelism; ++group)
    channel_.push_back(static_cast<std::uint16_t>(subtask_of(group, parallelism, max_parallelism)));
}

void key_group_router::route(const std::uint64_t* hashes, std::size_t n, std::uint32_t* channels) const noexcept {
  if (parallelism_ == 1) {
    std::fill_n(channels, n, 0u);
    return;
  }
  if (std::has_single_bit(max_parallelism_) && std::has_single_bit(parallelism_)) {
    const auto shift = std::countr_zero(max_parallelism_) - std::countr_zero(parallelism_);
    return shifted_key_groups(hashes, n, max_parallelism_ - 1, static_cast<unsigned>(shift), channels);
  }
  key_groups_of(hashes, n, max_parallelism_, channels);
  for (std::size_t i = 0; i < n; ++i)
    channels[i] = channel_[channels[i]];
}

} // namespace dataflow
