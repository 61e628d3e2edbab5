/// Where a user's function puts its results.
///
/// Threading: the task's own. Ownership: belongs to the operator that calls the function; do not keep references.
#pragma once

#include <dataflow/operators/operator.hpp>
#include <dataflow/operators/record_size.hpp>
#include <dataflow/record/record_type.hpp>

#include <type_traits>
#include <vector>

namespace dataflow {

template <class T>
class collector {
public:
  using value_type = T;

  /// One more result. Never blocks; what is more than a batch waits in the operator until there is room downstream.
  /// Throws error{errc::record_too_large} for a record above the configured limit.
  void collect(T record) {
    if (room_ == 0) [[unlikely]]
      roll();
    [[maybe_unused]] std::size_t size = 0;
    if constexpr (!std::is_trivially_copyable_v<T>) {
      size = codec<T>::size_of(record);
      check_record_size(record, size, limits_.record_bytes);
    }
    --room_;
    if constexpr (!std::is_trivially_copyable_v<T>) {
      bytes_ += size;
      if (bytes_ >= limits_.bytes) [[unlikely]]
        room_ = 0;
    }
    current().records.unchecked_emplace_back(std::move(record));
    if (stamped_) current_->timestamps.push_back(time_);
  }

  // What follows is the engine's side.

  struct mark {
    std::size_t sealed, records;
  };
  collector(operator_context& context, operator_output& output)
      : output_(output), pool_(context.pool(record_type_of<T>())), limits_(limits_of(context)) {}
  /// Following results carry this timestamp.
  void set_timestamp(timestamp t) noexcept {
    time_ = t;
    stamped_ = true;
  }
  /// Following results carry none.
  void clear_timestamp() noexcept { stamped_ = false; }
  /// A batch is full: the operator should return after this record.
  bool has_full_batch() const noexcept { return !sealed_.empty() || (room_ == 0 && current_); }
  mark position() const noexcept { return {sealed_.size(), current_ ? current_.template as<T>().records.size() : 0}; }
  /// Takes back what was collected since `m`.
  void rollback(mark m) {
    if (sealed_.size() > m.sealed) {
      current_ = std::move(sealed_[m.sealed]);
      sealed_.resize(m.sealed);
    }
    if (!current_) return;
    current_->truncate(m.records);
    current().records.reserve(limits_.records);
    room_ = limits_.records - m.records;
  }
  /// Emits everything.
  void flush() {
    for (auto& b : sealed_)
      output_.emit(std::move(b));
    sealed_.clear();
    if (current_ && current_->size() > 0) output_.emit(std::move(current_));
    current_.reset();
    room_ = 0;
    bytes_ = 0;
  }

private:
  static batch_limits limits_of(operator_context& context) {
    if constexpr (std::is_trivially_copyable_v<T>)
      return context.limits().of_records(sizeof(T));
    else
      return context.limits();
  }
  batch<T>& current() noexcept { return current_.template as<T>(); }
  void roll() {
    if (current_ && current_->size() > 0) sealed_.push_back(std::move(current_));
    current_ = pool_->get();
    current().records.reserve(limits_.records);
    room_ = limits_.records;
    bytes_ = 0;
  }

  operator_output& output_;
  batch_pool::handle pool_;
  batch_limits limits_;
  batch_ptr current_;
  std::size_t room_ = 0, bytes_ = 0;
  timestamp time_{};
  bool stamped_ = false;
  std::vector<batch_ptr> sealed_;
};

} // namespace dataflow
