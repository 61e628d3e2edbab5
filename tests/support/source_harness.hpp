/// Runs a source without a cluster: its enumerator and as many readers as wanted, in one thread, in any order, with
/// snapshots, restores and readers that die.
#pragma once

#include <dataflow/connectors/source.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/random.hpp>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <tests/support/test_platform.hpp>
#include <vector>

namespace dataflow::test {

template <class T>
class source_harness final : enumerator_context {
public:
  /// A point to go on from: all positions, and what the readers had delivered.
  struct checkpoint {
    std::string enumerator;
    std::vector<std::vector<source_split>> splits; // per reader
    std::vector<T> records;
  };

  source_harness(const source<T>& what, std::uint32_t parallelism, dataflow::platform& world, batch_limits limits = {})
      : source_(what), world_(world), limits_(limits) {
    add_readers(parallelism);
    enumerator_ = what.make_enumerator();
    begin();
  }
  /// Goes on from a checkpoint, perhaps with another number of readers.
  source_harness(const source<T>& what, std::uint32_t parallelism, dataflow::platform& world, const checkpoint& from,
                 batch_limits limits = {})
      : source_(what), world_(world), limits_(limits), restored_(from.records) {
    add_readers(parallelism);
    for (std::size_t i = 0; i < from.splits.size(); ++i)
      for (auto& split : from.splits[i])
        readers_[i % parallelism]->kept.push_back(split);
    enumerator_ = what.restore_enumerator(from.enumerator);
    begin();
  }
  ~source_harness() override {
    for (auto& r : readers_)
      if (r->reader) r->reader->close();
    enumerator_->close();
  }

  /// Polls one reader. False: it has ended.
  bool poll(std::uint32_t subtask) {
    auto& r = *readers_[subtask];
    if (r.ended) return false;
    batch<T> b{record_type_of<T>()};
    source_output<T> out{b, limits_};
    const auto result = r.reader->poll(out);
    last_ = result;
    if (b.size() > limits_.records) throw std::logic_error{"a batch with more records than allowed"};
    largest_batch = std::max(largest_batch, b.size());
    for (auto& record : b.records)
      r.records.push_back(std::move(record));
    r.ended = result.what == poll_result::kind::end;
    return !r.ended;
  }
  /// Polls all readers in turn until all have ended; moves time on when they wait for it.
  void run() {
    for (int idle = 0; idle < 1000;) {
      bool all_ended = true, any_more = false;
      auto next = steady_time::max();
      for (std::uint32_t i = 0; i < readers_.size(); ++i) {
        const auto before = readers_[i]->records.size();
        if (!poll(i)) continue;
        all_ended = false;
        any_more = any_more || last_.what == poll_result::kind::more || readers_[i]->records.size() > before;
        if (last_.what == poll_result::kind::wait_until) next = std::min(next, last_.time);
      }
      if (all_ended) return;
      idle = any_more ? 0 : idle + 1;
      if (!any_more && next != steady_time::max()) static_cast<test_platform&>(world_).time.advance_to(next);
    }
    throw std::logic_error{"the source hangs: nobody reads and nobody ends"};
  }
  /// Polls readers in random order, so many times.
  void run_some(random_source& random, std::size_t polls) {
    for (; polls > 0; --polls)
      poll(static_cast<std::uint32_t>(random.below(readers_.size())));
  }

  checkpoint snapshot() {
    checkpoint c;
    c.records = records();
    for (auto& r : readers_) {
      r->kept = r->reader->snapshot(checkpoints_ + 1);
      r->kept_records = r->records.size();
      r->assigned.clear();
      c.splits.push_back(r->kept);
    }
    c.enumerator = enumerator_->snapshot(++checkpoints_);
    return c;
  }
  /// The reader dies and comes back: with its splits of the last snapshot; those it got since go back to the
  /// enumerator, and what it delivered since is taken back.
  void kill(std::uint32_t subtask) {
    auto& r = *readers_[subtask];
    r.reader->close();
    r.records.resize(r.kept_records);
    auto lost = std::move(r.assigned);
    r.assigned.clear();
    enumerator_->splits_returned(*this, subtask, std::move(lost));
    open(subtask);
  }

  /// Everything that was delivered: by the restored run, then by reader.
  std::vector<T> records() const {
    auto all = restored_;
    for (auto& r : readers_)
      all.insert(all.end(), r->records.begin(), r->records.end());
    return all;
  }
  const std::vector<T>& records_of(std::uint32_t subtask) const { return readers_[subtask]->records; }
  source_reader<T>& reader(std::uint32_t subtask) { return *readers_[subtask]->reader; }
  std::size_t splits_assigned() const noexcept { return splits_assigned_; }
  poll_result last() const noexcept { return last_; }
  int wake_ups() const noexcept { return *wake_ups_; }
  std::size_t largest_batch = 0;

private:
  struct entry final : reader_context {
    entry(source_harness& owner_, std::uint32_t subtask_, std::uint32_t parallelism)
        : owner(owner_), subtask(subtask_), context(owner_.world_, subtask_, parallelism) {}
    runtime_context& runtime() noexcept override { return context; }
    dataflow::platform& platform() noexcept override { return owner.world_; }
    void request_split() override { owner.enumerator_->split_requested(owner, subtask); }
    std::function<void()> wake_up() override {
      return [count = owner.wake_ups_] { ++*count; };
    }
    source_harness& owner;
    std::uint32_t subtask;
    test_runtime_context context;
    std::unique_ptr<source_reader<T>> reader;
    std::vector<T> records;
    std::vector<source_split> kept, assigned; // of the last snapshot; assigned since
    std::size_t kept_records = 0;
    bool ended = false;
  };

  std::uint32_t parallelism() const noexcept override { return static_cast<std::uint32_t>(readers_.size()); }
  dataflow::platform& platform() noexcept override { return world_; }
  void assign(std::uint32_t subtask, source_split split) override {
    auto& r = *readers_[subtask];
    ++splits_assigned_;
    r.assigned.push_back(split);
    r.reader->add_splits({std::move(split)});
  }
  void no_more_splits(std::uint32_t subtask) override { readers_[subtask]->reader->no_more_splits(); }

  void add_readers(std::uint32_t parallelism) {
    for (std::uint32_t i = 0; i < parallelism; ++i)
      readers_.push_back(std::make_unique<entry>(*this, i, parallelism));
  }
  void begin() {
    enumerator_->start(*this);
    for (std::uint32_t i = 0; i < readers_.size(); ++i)
      open(i);
  }
  void open(std::uint32_t subtask) {
    auto& r = *readers_[subtask];
    r.reader = source_.make_reader();
    r.ended = false;
    if (!r.kept.empty()) r.reader->add_splits(r.kept);
    enumerator_->reader_registered(*this, subtask);
    r.reader->open(r);
  }

  const source<T>& source_;
  dataflow::platform& world_;
  batch_limits limits_;
  std::vector<T> restored_;
  std::unique_ptr<split_enumerator> enumerator_;
  std::vector<std::unique_ptr<entry>> readers_;
  poll_result last_;
  std::uint64_t checkpoints_ = 0;
  std::size_t splits_assigned_ = 0;
  std::shared_ptr<int> wake_ups_ = std::make_shared<int>(0);
};

} // namespace dataflow::test
