/// Key selectors: how a record says its key, and the partitioners built on them.
///
/// A selector is a member pointer or a callable; several become one with a tuple as its key.
/// Threading: a partitioner belongs to one edge of one subtask. Errors: what a user's function throws comes out as an
/// error that says which function it was; the task fails with it.
#pragma once

#include <dataflow/exchange/partitioner.hpp>
#include <dataflow/record/hash.hpp>
#include <dataflow/record/key_groups.hpp>

#include <functional>
#include <optional>
#include <tuple>

namespace dataflow {

/// In the place of a key selector where there is no key.
struct no_key {};

namespace detail {
template <class K>
struct owned_key {
  using type = K;
};
template <>
struct owned_key<std::string_view> {
  using type = std::string;
};
/// The error in flight, named. REQUIRES: inside a catch block.
[[noreturn]] void rethrow_within(const char* what);
[[noreturn]] void bad_custom_target(std::uint64_t target, std::uint32_t channels);
} // namespace detail

/// The type of the keys that a selector gives for records of type T: a value that owns its text.
template <class Key, class T>
using selected_key = typename detail::owned_key<std::remove_cvref_t<std::invoke_result_t<Key&, const T&>>>::type;

/// Several selectors: the key is the tuple of their values.
template <class... Selectors>
struct composite_selector {
  std::tuple<Selectors...> selectors;
  template <class T>
  auto operator()(const T& record) {
    return std::apply(
        [&](auto&... s) {
          return std::tuple<selected_key<Selectors, T>...>{selected_key<Selectors, T>(std::invoke(s, record))...};
        },
        selectors);
  }
};

/// By key group: computes the hash that travels along, and the channel from it.
template <class T, class Key>
class hash_partitioner final : public partitioner {
public:
  explicit hash_partitioner(Key key) : key_(std::move(key)) {}
  bool provides_hashes() const noexcept override { return true; }
  void select(const batch_base& b, std::size_t begin, std::size_t end, std::uint32_t channels,
              std::uint32_t max_parallelism, std::uint32_t* targets, std::uint64_t* hashes) override {
    const auto* records = static_cast<const batch<T>&>(b).records.data() + begin;
    const auto n = end - begin;
    try {
      for (std::size_t i = 0; i < n; ++i)
        hashes[i] = key_hash(std::invoke(key_, records[i]));
    } catch (...) {
      detail::rethrow_within("the key function of key_by");
    }
    if (!router_ || router_->parallelism() != channels || router_->max_parallelism() != max_parallelism)
      router_.emplace(channels, max_parallelism);
    router_->route(hashes, n, targets);
  }

private:
  Key key_;
  std::optional<key_group_router> router_;
};

/// partition_custom: choose(key, number of channels) -> channel.
template <class T, class Key, class Choose>
class custom_partitioner final : public partitioner {
public:
  custom_partitioner(Choose choose, Key key) : choose_(std::move(choose)), key_(std::move(key)) {}
  void select(const batch_base& b, std::size_t begin, std::size_t end, std::uint32_t channels, std::uint32_t,
              std::uint32_t* targets, std::uint64_t*) override {
    const auto* records = static_cast<const batch<T>&>(b).records.data() + begin;
    for (std::size_t i = 0; i < end - begin; ++i) {
      std::uint64_t target = 0;
      try {
        target = static_cast<std::uint64_t>(choose_(std::invoke(key_, records[i]), channels));
      } catch (...) {
        detail::rethrow_within("the function of partition_custom");
      }
      if (target >= channels) detail::bad_custom_target(target, channels);
      targets[i] = static_cast<std::uint32_t>(target);
    }
  }

private:
  Choose choose_;
  Key key_;
};

} // namespace dataflow
