/// A hash table whose entries never move, can be removed, and are walked in the order of their insertion.
///
/// An index of (hash, position) cells with linear probing over nodes that are cut from blocks; removed nodes are used
/// again. The order of the walk is a list through the nodes, so no hash decides an order that anybody sees.
/// Threading: not shared. Ownership: owns keys and values.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace dataflow::detail {

template <class K, class V, class Equal>
class linked_table {
public:
  struct node {
    K key;
    std::uint64_t hash;
    V value;
    node *before = nullptr, *after = nullptr; // in the order of insertion
    std::uint32_t position = 0;
  };
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  linked_table() : index_(64), mask_(63) {}
  linked_table(const linked_table&) = delete;
  linked_table& operator=(const linked_table&) = delete;
  ~linked_table() {
    for (auto* n = first_; n;)
      std::destroy_at(std::exchange(n, n->after));
  }

  std::size_t size() const noexcept { return size_; }
  node* first() const noexcept { return first_; }

  /// Starts loading what a find for this hash will need.
  void prefetch_cell(std::uint64_t hash) const noexcept { __builtin_prefetch(&index_[hash & mask_]); }
  void prefetch_node(std::uint64_t hash) const noexcept {
    const auto c = index_[hash & mask_];
    if (c.position_plus_one != 0) __builtin_prefetch(at(c.position_plus_one - 1));
  }
  template <class Key>
  node* find(const Key& key, std::uint64_t hash) const noexcept {
    for (auto i = hash & mask_; index_[i].position_plus_one != 0; i = (i + 1) & mask_) {
      if (index_[i].tag != static_cast<std::uint32_t>(hash)) continue;
      auto* n = at(index_[i].position_plus_one - 1);
      if (n->hash == hash && Equal{}(n->key, key)) return n;
    }
    return nullptr;
  }
  template <class Key>
  node* find_or_insert(const Key& key, std::uint64_t hash) {
    if (auto* n = find(key, hash)) return n;
    if ((size_ + 1) * 2 > index_.size()) grow();
    const auto position = free_.empty() ? used_ : free_.back();
    if (position / block == blocks_.size()) blocks_.push_back(std::make_unique<storage[]>(block));
    auto* n = std::construct_at(at(position), node{K(key), hash, V{}, last_, nullptr, position});
    if (free_.empty())
      ++used_;
    else
      free_.pop_back();
    (last_ ? last_->after : first_) = n;
    last_ = n;
    ++size_;
    put({position + 1, static_cast<std::uint32_t>(hash)});
    return n;
  }
  void erase(node* n) {
    free_.push_back(n->position); // may throw, before anything has changed
    auto i = n->hash & mask_;
    while (index_[i].position_plus_one != n->position + 1)
      i = (i + 1) & mask_;
    for (auto next = i;;) { // pull back what probing would not find any more
      next = (next + 1) & mask_;
      if (index_[next].position_plus_one == 0) break;
      const auto home = index_[next].tag & mask_;
      if (((next - home) & mask_) < ((next - i) & mask_)) continue;
      index_[i] = index_[next];
      i = next;
    }
    index_[i] = {};
    (n->before ? n->before->after : first_) = n->after;
    (n->after ? n->after->before : last_) = n->before;
    --size_;
    std::destroy_at(n);
  }

private:
  struct cell {
    std::uint32_t position_plus_one = 0; // 0: empty
    std::uint32_t tag = 0;               // the low bits of the hash
  };
  struct storage {
    alignas(node) std::byte bytes[sizeof(node)];
  };
  static constexpr std::uint32_t block = 256;

  node* at(std::uint32_t position) const noexcept {
    return reinterpret_cast<node*>(blocks_[position / block][position % block].bytes);
  }
  void put(cell c) noexcept {
    auto i = c.tag & mask_;
    while (index_[i].position_plus_one != 0)
      i = (i + 1) & mask_;
    index_[i] = c;
  }
  void grow() {
    std::vector<cell> old(index_.size() * 2);
    old.swap(index_);
    mask_ = index_.size() - 1;
    for (auto& c : old)
      if (c.position_plus_one != 0) put(c);
  }

  std::vector<cell> index_; // a power of two, at most half full
  std::size_t mask_;
  std::vector<std::unique_ptr<storage[]>> blocks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t used_ = 0; // positions ever taken
  std::size_t size_ = 0;
  node *first_ = nullptr, *last_ = nullptr;
};

} // namespace dataflow::detail
