/// Batches: the unit that moves through the engine.
///
/// A batch holds a column of records of one type, and optionally a column of timestamps and a column of key hashes
/// (each either empty or as long as the records). It travels in a counted handle (batch_ptr); the last owner, on
/// whatever thread and for whatever reason, gives the buffer back to the pool that it came from.
/// Threading: a batch is written by its only owner; as soon as it is shared, it is read-only. A pool is shared by
/// all threads. Ownership: see batch_ptr.
#pragma once

#include <dataflow/record/column.hpp>
#include <dataflow/time/timestamp.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace dataflow {

class record_type;
struct record_origin;
class batch_pool;
class batch_ptr;

class batch_base {
public:
  virtual ~batch_base() = default;
  batch_base(const batch_base&) = delete;
  batch_base& operator=(const batch_base&) = delete;

  virtual std::size_t size() const noexcept = 0;
  /// Drops all columns, keeps their memory.
  virtual void clear() noexcept = 0;
  /// Drops the first n records, with their timestamps and hashes.
  virtual void erase_front(std::size_t n) = 0;
  /// Drops the records from position n on, with their timestamps and hashes.
  virtual void truncate(std::size_t n) noexcept = 0;
  const record_type& type() const noexcept { return *type_; }
  bool has_timestamps() const noexcept { return !timestamps.empty(); }
  bool has_hashes() const noexcept { return !hashes.empty(); }

  /// Event-time timestamps; empty, or one per record.
  column<timestamp> timestamps;
  /// Key hashes, computed once where the stream is keyed; empty, or one per record.
  column<std::uint64_t> hashes;
  /// What the records have come from, where the source traces them; null: nobody knows.
  std::shared_ptr<const record_origin> origin;

protected:
  explicit batch_base(const record_type& type) noexcept : type_(&type) {}

private:
  friend class batch_ptr;
  friend class batch_pool;
  const record_type* type_;
  std::atomic<std::uint32_t> references_{0};
  batch_pool* pool_ = nullptr; // counted by hand: a batch in use keeps its pool alive
};

template <class T>
class batch final : public batch_base {
public:
  using batch_base::batch_base;
  explicit batch(const record_type& type) noexcept : batch_base(type) {}
  std::size_t size() const noexcept override { return records.size(); }
  void clear() noexcept override {
    records.clear();
    timestamps.clear();
    hashes.clear();
  }
  void erase_front(std::size_t n) override {
    records.erase_front(n);
    if (has_timestamps()) timestamps.erase_front(n);
    if (has_hashes()) hashes.erase_front(n);
  }
  void truncate(std::size_t n) noexcept override {
    records.truncate(n);
    if (has_timestamps()) timestamps.truncate(n);
    if (has_hashes()) hashes.truncate(n);
  }

  column<T> records;
};

/// Counted handle of a batch. Copying shares it (read-only from then on); the last handle returns the buffer.
class batch_ptr {
public:
  batch_ptr() = default;
  /// Takes part in owning the batch.
  explicit batch_ptr(batch_base* b) noexcept : batch_(b) {
    if (batch_) batch_->references_.fetch_add(1, std::memory_order_relaxed);
  }
  batch_ptr(const batch_ptr& other) noexcept : batch_ptr(other.batch_) {}
  batch_ptr(batch_ptr&& other) noexcept : batch_(std::exchange(other.batch_, nullptr)) {}
  batch_ptr& operator=(batch_ptr other) noexcept {
    std::swap(batch_, other.batch_);
    return *this;
  }
  ~batch_ptr() {
    if (batch_) drop(batch_);
  }
  /// True when nobody else holds the batch: it may be changed in place or moved out of.
  bool unique() const noexcept { return batch_->references_.load(std::memory_order_acquire) == 1; }
  batch_base* get() const noexcept { return batch_; }
  batch_base& operator*() const noexcept { return *batch_; }
  batch_base* operator->() const noexcept { return batch_; }
  explicit operator bool() const noexcept { return batch_ != nullptr; }
  void reset() noexcept { *this = batch_ptr{}; }
  /// REQUIRES: the batch's records are of type T.
  template <class T>
  batch<T>& as() const noexcept {
    return static_cast<batch<T>&>(*batch_);
  }

private:
  static void drop(batch_base* b) noexcept;
  batch_base* batch_ = nullptr;
};

/// Buffers of one record type for reuse, last returned first (it is still in the cache).
/// Lives as long as the last handle on it or the last batch out of it.
class batch_pool {
public:
  class handle;
  /// Up to `kept` idle buffers are kept. `code` is held until the last buffer is destroyed: for record types that a
  /// job library defines, it is the library.
  static handle make(const record_type& type, std::size_t kept = 64, std::shared_ptr<const void> code = {});

  batch_ptr get();
  const record_type& type() const noexcept { return type_; }
  /// Buffers that are out now.
  std::size_t outstanding() const noexcept { return outstanding_.load(std::memory_order_relaxed); }

  class handle {
  public:
    handle() = default;
    handle(const handle& other) noexcept;
    handle(handle&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)) {}
    handle& operator=(handle other) noexcept {
      std::swap(pool_, other.pool_);
      return *this;
    }
    ~handle();
    batch_pool* operator->() const noexcept { return pool_; }
    batch_pool& operator*() const noexcept { return *pool_; }
    explicit operator bool() const noexcept { return pool_ != nullptr; }

  private:
    friend class batch_pool;
    explicit handle(batch_pool* p) noexcept;
    batch_pool* pool_ = nullptr;
  };

private:
  friend class batch_ptr;
  batch_pool(const record_type& type, std::size_t kept, std::shared_ptr<const void> code);
  ~batch_pool();
  void put(batch_base* b) noexcept;
  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept;

  const record_type& type_;
  const std::size_t kept_;
  const std::shared_ptr<const void> code_;
  std::atomic<std::size_t> references_{0};
  std::atomic<std::size_t> outstanding_{0};
  std::mutex mutex_; // guards idle_
  std::vector<batch_base*> idle_;
};

/// Pooled buffers of the whole process that are out now; tests check that it returns to where it was.
std::size_t batches_outstanding() noexcept;

} // namespace dataflow
