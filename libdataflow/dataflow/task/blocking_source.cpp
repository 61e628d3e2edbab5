#include <dataflow/task/blocking_source.hpp>
#include <dataflow/util/error.hpp>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace dataflow {

namespace {

/// What the task's side and the reader's thread wait for. Shared with the wake-ups that were handed out, which may be
/// called when the source is gone.
struct signals {
  std::mutex mutex;
  std::condition_variable changed;
  bool woken = false;

  void wake() {
    std::lock_guard lock{mutex};
    woken = true;
    changed.notify_all();
  }
};

class blocking_source final : public source_driver, source_reader_base, reader_context {
public:
  blocking_source(std::unique_ptr<source_driver> inner, batch_pool::handle pool, const batch_limits& limits,
                  dataflow::platform& world)
      : inner_(std::move(inner)), pool_(std::move(pool)), limits_(limits), world_(world) {}
  ~blocking_source() override { close(); }

  source_reader_base& reader() noexcept override { return *this; }
  const record_type& type() const noexcept override { return inner_->type(); }

  poll_result poll(batch_base& into, const batch_limits&, split_marks* marks) override {
    std::lock_guard lock{signals_->mutex};
    if (finished_.empty()) {
      if (failure_) throw *failure_;
      return ended_ ? poll_result::end() : poll_result::wait();
    }
    auto next = std::move(finished_.front());
    finished_.pop_front();
    delivered_ = std::move(next.after);
    if (marks) *marks = std::move(next.marks);
    signals_->changed.notify_all();
    into.origin = next.records->origin;
    next.records->type().append(into, *next.records, 0, next.records->size(), true);
    return poll_result::more();
  }

  void open(reader_context& context) override {
    task_ = &context;
    wake_task_ = context.wake_up();
    inner_->reader().open(*this); // asks for splits; does not block
    thread_ = world_.threads->start("source reader", [this] { run(); });
  }
  void add_splits(std::vector<source_split> splits) override {
    {
      std::lock_guard lock{signals_->mutex};
      handed_over_.emplace_back(++handovers_, splits);
    }
    command([this, n = handovers_, splits = std::move(splits)]() mutable {
      inner_->reader().add_splits(std::move(splits));
      taken_ = n;
    });
  }
  void no_more_splits() override {
    command([this] { inner_->reader().no_more_splits(); });
  }
  /// Where the records that the task has got end: not what the reader has read ahead.
  std::vector<source_split> snapshot(std::uint64_t) override {
    std::lock_guard lock{signals_->mutex};
    while (!handed_over_.empty() && handed_over_.front().first <= delivered_.taken)
      handed_over_.pop_front();
    auto out = delivered_.splits;
    for (const auto& [number, splits] : handed_over_)
      out.insert(out.end(), splits.begin(), splits.end());
    return out;
  }
  void checkpoint_completed(std::uint64_t checkpoint) override {
    command([this, checkpoint] { inner_->reader().checkpoint_completed(checkpoint); });
  }
  void pause_split(const std::string& id, bool paused) override {
    command([this, id, paused] { inner_->reader().pause_split(id, paused); });
  }
  void close() noexcept override {
    {
      std::lock_guard lock{signals_->mutex};
      if (closed_) return;
      closed_ = true;
      signals_->changed.notify_all();
    }
    inner_->reader().interrupt();
    thread_.reset();
    inner_->reader().close();
    finished_.clear();
  }

private:
  static constexpr std::size_t batches_ahead = 4;

  /// The reader's positions after some poll, and how many handovers of splits they include.
  struct position {
    std::vector<source_split> splits;
    std::uint64_t taken = 0;
  };
  struct read_batch {
    batch_ptr records;
    position after;
    split_marks marks;
  };

  // reader_context of the inner reader: it is woken on its thread
  runtime_context& runtime() noexcept override { return task_->runtime(); }
  dataflow::platform& platform() noexcept override { return task_->platform(); }
  void request_split() override { task_->request_split(); }
  std::function<void()> wake_up() override {
    return [signals = signals_] { signals->wake(); };
  }

  void command(std::function<void()> f) {
    std::lock_guard lock{signals_->mutex};
    commands_.push_back(std::move(f));
    signals_->changed.notify_all();
  }

  void run() {
    auto& changed = signals_->changed;
    auto result = poll_result::more();
    std::unique_lock lock{signals_->mutex};
    while (!closed_) {
      if (failure_) { // nothing is left to do but to be closed
        changed.wait(lock);
        continue;
      }
      if (std::exchange(signals_->woken, false)) result = poll_result::more();
      std::function<void()> task;
      if (!commands_.empty()) {
        task = std::move(commands_.front());
        commands_.pop_front();
      } else if (ended_ || finished_.size() >= batches_ahead || result.what == poll_result::kind::wait) {
        changed.wait(lock);
        continue;
      } else if (result.what == poll_result::kind::wait_until && result.time > world_.clock->now()) {
        changed.wait_for(lock, result.time - world_.clock->now());
        continue;
      }
      lock.unlock();
      read_batch read{pool_->get(), {}, {}};
      std::optional<error> failed;
      try {
        if (task) {
          task();
          result = poll_result::more();
        } else {
          result = inner_->poll(*read.records, limits_, &read.marks);
          read.after = {inner_->reader().snapshot(0), taken_};
        }
      } catch (...) {
        failed = current_error();
      }
      lock.lock();
      auto& last = finished_.empty() ? delivered_ : finished_.back().after;
      if (failed) read.after = last; // where the reader stands is unknown
      if (read.records->size() > 0 || read.marks.any_finished())
        finished_.push_back(std::move(read));
      else if (!task) // a position may move without a record
        last = std::move(read.after);
      if (failed) failure_ = std::move(failed);
      ended_ = ended_ || (!task && result.what == poll_result::kind::end);
      if (task && !failure_) continue;
      lock.unlock();
      wake_task_();
      lock.lock();
    }
  }

  std::unique_ptr<source_driver> inner_;
  batch_pool::handle pool_;
  batch_limits limits_;
  dataflow::platform& world_;
  reader_context* task_ = nullptr;
  std::function<void()> wake_task_;
  std::uint64_t handovers_ = 0;                                          // of splits, by the task
  std::uint64_t taken_ = 0;                                              // of them, by the reader
  const std::shared_ptr<signals> signals_ = std::make_shared<signals>(); // its mutex guards what follows
  std::deque<std::function<void()>> commands_;
  std::deque<read_batch> finished_;
  position delivered_;
  std::deque<std::pair<std::uint64_t, std::vector<source_split>>> handed_over_;
  std::optional<error> failure_;
  bool ended_ = false, closed_ = false;
  std::unique_ptr<thread_factory::thread> thread_;
};

} // namespace

std::unique_ptr<source_driver> make_blocking_source(std::unique_ptr<source_driver> reader, batch_pool::handle pool,
                                                    const batch_limits& limits, platform& world) {
  return std::make_unique<blocking_source>(std::move(reader), std::move(pool), limits, world);
}

} // namespace dataflow
