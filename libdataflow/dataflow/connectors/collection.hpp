/// A source of records that the program already has. Flink: fromCollection, fromElements (parallelism 1).
///
/// Order is kept: one reader reads all of it. The position in it is part of the split.
#pragma once

#include <dataflow/connectors/list_enumerator.hpp>
#include <dataflow/connectors/split_reader.hpp>

#include <memory>
#include <utility>

namespace dataflow {

namespace detail {

struct collection_split {
  std::string id;
  std::uint64_t next = 0;
  std::string encode() const;
  std::string describe() const { return "record " + std::to_string(next); }
  static collection_split decode(const source_split& split);
};
std::unique_ptr<split_enumerator> collection_enumerator(const std::string* snapshot);
[[noreturn]] void collection_changed(std::uint64_t next, std::size_t size);

template <class T>
class collection_reader final : public split_reader<T, collection_split> {
public:
  explicit collection_reader(std::shared_ptr<const std::vector<T>> records) : records_(std::move(records)) {}

private:
  poll_result read(collection_split& split, source_output<T>& out) override {
    if (split.next > records_->size()) collection_changed(split.next, records_->size());
    const T* from = records_->data() + split.next;
    const auto left = static_cast<std::size_t>(records_->size() - split.next);
    if constexpr (std::is_trivially_copyable_v<T>) {
      const auto n = std::min(left, out.room());
      out.records().append_copy(from, n);
      split.next += n;
    } else {
      for (std::size_t i = 0; i < left && !out.full(); ++i, ++split.next)
        out.emplace(from[i]);
    }
    return split.next == records_->size() ? poll_result::end() : poll_result::more();
  }

  std::shared_ptr<const std::vector<T>> records_;
};

} // namespace detail

template <class T>
class collection_source final : public source<T> {
public:
  explicit collection_source(std::vector<T> records)
      : records_(std::make_shared<const std::vector<T>>(std::move(records))) {}
  boundedness bounds() const noexcept override { return boundedness::bounded; }
  std::unique_ptr<source_reader<T>> make_reader() const override {
    return std::make_unique<detail::collection_reader<T>>(records_);
  }
  std::unique_ptr<split_enumerator> make_enumerator() const override { return detail::collection_enumerator(nullptr); }
  std::unique_ptr<split_enumerator> restore_enumerator(const std::string& snapshot) const override {
    return detail::collection_enumerator(&snapshot);
  }

private:
  std::shared_ptr<const std::vector<T>> records_;
};

} // namespace dataflow
