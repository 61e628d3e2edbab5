#include <dataflow/record/batch.hpp>
#include <dataflow/record/record_type.hpp>

namespace dataflow {

namespace {
std::atomic<std::size_t> all_outstanding{0};
}

std::size_t batches_outstanding() noexcept { return all_outstanding.load(std::memory_order_relaxed); }

void batch_ptr::drop(batch_base* b) noexcept {
  if (b->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (auto* pool = b->pool_)
    pool->put(b);
  else
    delete b;
}

batch_pool::handle batch_pool::make(const record_type& type, std::size_t kept, std::shared_ptr<const void> code) {
  return handle{new batch_pool{type, kept, std::move(code)}};
}

batch_pool::batch_pool(const record_type& type, std::size_t kept, std::shared_ptr<const void> code)
    : type_(type), kept_(kept), code_(std::move(code)) {
  idle_.reserve(kept_);
}

batch_pool::~batch_pool() {
  for (auto* b : idle_)
    delete b;
}

batch_ptr batch_pool::get() {
  batch_base* b = nullptr;
  {
    std::lock_guard lock{mutex_};
    if (!idle_.empty()) {
      b = idle_.back();
      idle_.pop_back();
    }
  }
  if (!b) {
    b = type_.create();
    b->pool_ = this;
  }
  retain();
  outstanding_.fetch_add(1, std::memory_order_relaxed);
  all_outstanding.fetch_add(1, std::memory_order_relaxed);
  return batch_ptr{b};
}

void batch_pool::put(batch_base* b) noexcept {
  b->clear();
  b->origin.reset();
  outstanding_.fetch_sub(1, std::memory_order_relaxed);
  all_outstanding.fetch_sub(1, std::memory_order_relaxed);
  {
    std::lock_guard lock{mutex_};
    if (idle_.size() < kept_) {
      idle_.push_back(b);
      b = nullptr;
    }
  }
  if (b) delete b;
  release();
}

void batch_pool::release() noexcept {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  auto code = code_; // the library outlives the destructors that it contains
  delete this;
}

batch_pool::handle::handle(batch_pool* p) noexcept : pool_(p) {
  if (pool_) pool_->retain();
}
batch_pool::handle::handle(const handle& other) noexcept : handle(other.pool_) {}
batch_pool::handle::~handle() {
  if (pool_) pool_->release();
}

} // namespace dataflow
