/// Sources that compute their records from an index: sequences of numbers, and generators with a function of the user.
///
/// A count is cut into one contiguous range of indices per reader (Flink's NumberSequenceSource); without a count,
/// reader i of p takes the indices i, i + p, i + 2p ... The position is part of the split, so that reading goes on
/// where it stopped, also at another parallelism.
/// Rate: the readers share it evenly. Record k of a reader is due k / rate after its first one; a reader that was held
/// up catches up. Nothing sleeps: the reader says when it wants to be polled again.
#pragma once

#include <dataflow/connectors/list_enumerator.hpp>
#include <dataflow/connectors/split_reader.hpp>
#include <dataflow/operators/record_loop.hpp>
#include <dataflow/util/platform.hpp>

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace dataflow {

struct generator_options {
  std::optional<std::uint64_t> count; ///< unset: unbounded
  double records_per_second = 0;      ///< of all readers together; 0: as fast as possible
};

namespace detail {

/// The indices next, next + step, next + 2 step ...: `left` of them.
struct index_split {
  std::string id;
  std::int64_t next = 0;
  std::uint64_t left = 0;
  std::uint64_t step = 1;
  std::string encode() const;
  std::string describe() const { return "index " + std::to_string(next); }
  static index_split decode(const source_split& split);
};

/// Which indices there are. The last one is included: all 2^64 numbers are one more than a 64-bit count can say.
struct index_range {
  enum class kind : std::uint8_t { empty, bounded, endless };
  kind what = kind::empty;
  std::int64_t first = 0, last = 0;
};
std::unique_ptr<split_enumerator> index_enumerator(index_range range, const std::string* snapshot);

/// When which record is due.
class rate_schedule {
public:
  /// REQUIRES: rate >= 0; 0 means no limit.
  void start(double rate, steady_time now) noexcept {
    rate_ = rate;
    start_ = now;
    emitted_ = 0;
  }
  bool limited() const noexcept { return rate_ > 0; }
  /// How many records may go out now.
  std::uint64_t due(steady_time now) const noexcept {
    auto total = static_cast<std::uint64_t>(static_cast<double>((now - start_).count()) * rate_ / 1e9) + 1;
    while (total > emitted_ && at(total - 1) > now) // rounding must not let a record out before its time
      --total;
    return total > emitted_ ? total - emitted_ : 0;
  }
  steady_time next() const noexcept { return at(emitted_); }
  steady_time at(std::uint64_t k) const noexcept {
    return start_ + steady_time{static_cast<std::int64_t>(static_cast<double>(k) * 1e9 / rate_)};
  }
  std::uint64_t emitted() const noexcept { return emitted_; }
  void add(std::uint64_t n) noexcept { emitted_ += n; }

private:
  double rate_ = 0;
  steady_time start_{0};
  std::uint64_t emitted_ = 0;
};

/// Throws errc::invalid_argument.
void check_options(const generator_options& options);

template <class F>
struct generated {
  static constexpr bool timed = std::is_invocable_v<F&, std::int64_t, steady_time>;
  static_assert(timed || std::is_invocable_v<F&, std::int64_t>,
                "a generator needs a function of the index: f(std::int64_t) or f(std::int64_t, steady_time due)");
  static auto call(F& f, std::int64_t i) {
    if constexpr (timed)
      return f(i, steady_time{});
    else
      return f(i);
  }
  using type = std::decay_t<decltype(call(std::declval<F&>(), 0))>;
};

template <class T, class F>
class generator_reader final : public split_reader<T, index_split> {
public:
  generator_reader(F f, const generator_options& options) : f_(std::move(f)), options_(options) {}
  void close() noexcept override { close_function(f_); }

private:
  void opened() override {
    open_function(f_, this->context().runtime());
    clock_ = this->context().platform().clock;
  }
  bool interleaved() const noexcept override { return !options_.count; }

  poll_result read(index_split& split, source_output<T>& out) override {
    if (split.left == 0) return poll_result::end();
    auto n = static_cast<std::size_t>(std::min<std::uint64_t>(out.room(), split.left));
    if (options_.records_per_second > 0) {
      const auto now = clock_->now();
      if (!schedule_.limited())
        schedule_.start(options_.records_per_second / this->context().runtime().parallelism(), now);
      const auto due = schedule_.due(now);
      if (due == 0) return poll_result::wait_until(schedule_.next());
      n = static_cast<std::size_t>(std::min<std::uint64_t>(n, due));
    }
    n = fill(split, out, n);
    schedule_.add(n);
    // Unsigned: behind the last number there may be none.
    split.next = static_cast<std::int64_t>(static_cast<std::uint64_t>(split.next) + n * split.step);
    split.left -= n;
    return split.left == 0 ? poll_result::end() : poll_result::more();
  }

  /// The records of n indices from the split's next one; fewer when the batch is full before. Returns how many.
  std::size_t fill(const index_split& split, source_output<T>& out, std::size_t n) {
    auto index = static_cast<std::uint64_t>(split.next);
    if constexpr (std::is_trivially_copyable_v<T>) {
      auto& column = out.records();
      column.reserve(column.size() + n);
      auto* to = column.data() + column.size();
      if (split.step == 1)
        for (std::size_t k = 0; k < n; ++k)
          std::construct_at(to + k, call(index + k, k));
      else
        for (std::size_t k = 0; k < n; ++k, index += split.step)
          std::construct_at(to + k, call(index, k));
      column.set_size(column.size() + n);
      return n;
    } else {
      std::size_t k = 0;
      for (; k < n && !out.full(); ++k, index += split.step)
        out.emplace(call(index, k));
      return k;
    }
  }

  T call(std::uint64_t index, [[maybe_unused]] std::size_t k) {
    if constexpr (generated<F>::timed)
      return f_(static_cast<std::int64_t>(index),
                schedule_.limited() ? schedule_.at(schedule_.emitted() + k) : clock_->now());
    else
      return f_(static_cast<std::int64_t>(index));
  }

  F f_;
  generator_options options_;
  const dataflow::clock* clock_ = nullptr;
  rate_schedule schedule_;
};

} // namespace detail

/// f(index), index from 0; f(index, due) also gets the time at which the record was due (of the platform's clock).
/// f may have open(runtime_context&) and close().
template <class F, class T = typename detail::generated<F>::type>
class generator_source final : public source<T> {
public:
  explicit generator_source(F f, generator_options options = {}) : f_(std::move(f)), options_(options) {
    detail::check_options(options_);
  }
  boundedness bounds() const noexcept override {
    return options_.count ? boundedness::bounded : boundedness::unbounded;
  }
  std::unique_ptr<source_reader<T>> make_reader() const override {
    return std::make_unique<detail::generator_reader<T, F>>(f_, options_);
  }
  std::unique_ptr<split_enumerator> make_enumerator() const override { return enumerator(nullptr); }
  std::unique_ptr<split_enumerator> restore_enumerator(const std::string& snapshot) const override {
    return enumerator(&snapshot);
  }

private:
  std::unique_ptr<split_enumerator> enumerator(const std::string* snapshot) const {
    using kind = detail::index_range::kind;
    detail::index_range range{kind::endless, 0, 0};
    if (options_.count) {
      range.what = *options_.count == 0 ? kind::empty : kind::bounded;
      range.last = static_cast<std::int64_t>(*options_.count - 1);
    }
    return detail::index_enumerator(range, snapshot);
  }
  F f_;
  generator_options options_;
};

/// The numbers from `from` to `to`, both included. Flink: fromSequence.
class sequence_source final : public source<std::int64_t> {
public:
  /// Throws errc::invalid_argument when from > to.
  sequence_source(std::int64_t from, std::int64_t to, double records_per_second = 0);
  boundedness bounds() const noexcept override { return boundedness::bounded; }
  std::unique_ptr<source_reader<std::int64_t>> make_reader() const override;
  std::unique_ptr<split_enumerator> make_enumerator() const override;
  std::unique_ptr<split_enumerator> restore_enumerator(const std::string& snapshot) const override;

private:
  std::int64_t from_, to_;
  double rate_;
};

} // namespace dataflow
