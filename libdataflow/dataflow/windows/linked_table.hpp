/// A hash table whose entries never move, can be removed, and are walked in the order of their insertion.
///
/// An index of (hash, position) cells with linear probing over nodes that are cut from blocks; removed nodes are used
/// again. The order of the walk is a list through the nodes, so no hash decides an order that anybody sees. freeze()
/// holds the table as it is; while is_held(), save() comes before a node is changed or erased.
/// Threading: not shared, but for what freeze() gives. Ownership: owns keys and values.
#pragma once

#include <dataflow/record/key_groups.hpp>
#include <dataflow/state/held_entries.hpp>

#include <cstdint>
#include <memory>
#include <optional>
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
    if (position / block == block_count_) add_block();
    if (is_held()) save(position);
    auto* n = std::construct_at(at(position), node{K(key), hash, V{}, last_, nullptr, position});
    is_used(position) = true;
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
    unlink(n);
    destroy(n);
  }

  // In two steps, for nodes that a snapshot still reads: not found and not walked any more; gone.

  void unlink(node* n) noexcept {
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
  }
  void drop_unlinked(node* n) {
    free_.push_back(n->position);
    destroy(n);
  }
  /// What nodes lie in.
  std::shared_ptr<const void> memory_of_nodes() const noexcept { return memory_; }

  /// All nodes as they are now, until the result has been read. write(const node&, byte_writer&) is called on any
  /// thread, also when the table is gone; `of_snapshot` counts what is held.
  template <class Write>
  std::shared_ptr<held_entries> freeze(const state_registry& states, std::shared_ptr<held_memory> of_snapshot,
                                       Write write) {
    auto held = std::make_shared<held_entries>(
        std::make_unique<nodes_now<Write>>(memory_, states.max_parallelism(), std::move(write)), used_,
        states.key_groups(), std::move(of_snapshot));
    held_.add(held);
    return held;
  }
  bool is_held() noexcept { return held_.any(); }
  void save(const node& n) { save(n.position); }
  /// See held_memory.
  bool holds_more_than(std::size_t bytes, const std::function<void()>& wake) {
    return held_.hold_more_than(bytes, wake);
  }

private:
  struct cell {
    std::uint32_t position_plus_one = 0; // 0: empty
    std::uint32_t tag = 0;               // the low bits of the hash
  };
  static constexpr std::uint32_t block = 256;
  struct node_block {
    struct place {
      alignas(node) std::byte bytes[sizeof(node)];
    };
    place places[block];
    bool used[block] = {};
    node* at(std::uint32_t i) noexcept { return reinterpret_cast<node*>(places[i].bytes); }
  };
  /// What a snapshot may keep longer than the table does.
  struct memory {
    memory() = default;
    memory(const memory&) = delete;
    ~memory() {
      for (auto& b : blocks)
        for (std::uint32_t i = 0; i < block; ++i)
          if (b->used[i]) std::destroy_at(b->at(i));
    }
    std::vector<std::unique_ptr<node_block>> blocks;
  };
  template <class Write>
  class nodes_now final : public held_entries::source {
  public:
    nodes_now(std::shared_ptr<const memory> m, std::uint32_t max_parallelism, Write write)
        : memory_(std::move(m)), max_parallelism_(max_parallelism), write_(std::move(write)) {
      for (auto& b : memory_->blocks)
        blocks_.push_back(b.get());
    }
    std::optional<std::uint32_t> key_group_at(std::size_t position) const override {
      auto& b = *blocks_[position / block];
      if (!b.used[position % block]) return {};
      return key_group_of(b.at(position % block)->hash, max_parallelism_);
    }
    void encode(std::size_t position, byte_writer& out) const override {
      write_(std::as_const(*blocks_[position / block]->at(position % block)), out);
    }

  private:
    std::shared_ptr<const memory> memory_;
    std::vector<node_block*> blocks_; // as many as there were
    std::uint32_t max_parallelism_;
    [[no_unique_address]] Write write_;
  };

  node* at(std::uint32_t position) const noexcept { return blocks_[position / block]->at(position % block); }
  bool& is_used(std::uint32_t position) noexcept { return blocks_[position / block]->used[position % block]; }
  [[gnu::noinline]] void save(std::uint32_t position) { held_.save(position); }
  void add_block() {
    memory_->blocks.push_back(std::make_unique_for_overwrite<node_block>());
    blocks_ = memory_->blocks.data();
    ++block_count_;
  }
  void destroy(node* n) noexcept {
    is_used(n->position) = false;
    std::destroy_at(n);
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
  std::shared_ptr<memory> memory_ = std::make_shared<memory>();
  const std::unique_ptr<node_block>* blocks_ = nullptr; // in memory_
  std::size_t block_count_ = 0;
  std::vector<std::uint32_t> free_;
  std::uint32_t used_ = 0; // positions ever taken
  std::size_t size_ = 0;
  node *first_ = nullptr, *last_ = nullptr;
  snapshots_in_progress<held_entries> held_;
};

} // namespace dataflow::detail
