#include <dataflow/task/blocking_source.hpp>
#include <dataflow/util/error.hpp>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

namespace dataflow {

namespace {

class blocking_source final : public source_driver, source_reader_base {
public:
  blocking_source(std::unique_ptr<source_driver> inner, batch_pool::handle pool, const batch_limits& limits,
                  platform& world)
      : inner_(std::move(inner)), pool_(std::move(pool)), limits_(limits), world_(world) {}
  ~blocking_source() override { close(); }

  source_reader_base& reader() noexcept override { return *this; }
  const record_type& type() const noexcept override { return inner_->type(); }

  poll_result poll(batch_base& into, const batch_limits&) override {
    std::lock_guard lock{mutex_};
    if (finished_.empty()) {
      if (failure_) throw *failure_;
      return ended_ ? poll_result::end() : poll_result::wait();
    }
    auto b = std::move(finished_.front());
    finished_.pop_front();
    changed_.notify_all();
    b->type().append(into, *b, 0, b->size(), true);
    return poll_result::more();
  }

  void open(reader_context& context) override {
    wake_ = context.wake_up();
    inner_->reader().open(context); // asks for splits; does not block
    thread_ = world_.threads->start("source reader", [this] { run(); });
  }
  void add_splits(std::vector<source_split> splits) override {
    command([this, splits = std::move(splits)]() mutable { inner_->reader().add_splits(std::move(splits)); });
  }
  void no_more_splits() override {
    command([this] { inner_->reader().no_more_splits(); });
  }
  std::vector<source_split> snapshot(std::uint64_t checkpoint) override {
    std::lock_guard lock{reading_};
    return inner_->reader().snapshot(checkpoint);
  }
  void close() noexcept override {
    {
      std::lock_guard lock{mutex_};
      if (closed_) return;
      closed_ = true;
      changed_.notify_all();
    }
    inner_->reader().interrupt();
    thread_.reset();
    inner_->reader().close();
    finished_.clear();
  }

private:
  static constexpr std::size_t batches_ahead = 4;

  void command(std::function<void()> f) {
    std::lock_guard lock{mutex_};
    commands_.push_back(std::move(f));
    changed_.notify_all();
  }

  void run() {
    auto result = poll_result::more();
    std::unique_lock lock{mutex_};
    while (!closed_) {
      if (!commands_.empty()) {
        auto f = std::move(commands_.front());
        commands_.pop_front();
        lock.unlock();
        {
          std::lock_guard reading{reading_};
          f();
        }
        lock.lock();
        result = poll_result::more();
        continue;
      }
      if (finished_.size() >= batches_ahead || result.what == poll_result::kind::wait ||
          result.what == poll_result::kind::end) {
        changed_.wait(lock);
        continue;
      }
      if (result.what == poll_result::kind::wait_until) {
        const auto left = result.time - world_.clock->now();
        if (left.count() > 0) {
          changed_.wait_for(lock, left);
          continue;
        }
      }
      lock.unlock();
      auto b = pool_->get();
      std::optional<error> failed;
      try {
        std::lock_guard reading{reading_};
        result = inner_->poll(*b, limits_);
      } catch (...) {
        failed = current_error();
      }
      lock.lock();
      if (b->size() > 0) finished_.push_back(std::move(b));
      if (failed) {
        failure_ = std::move(failed);
        result = poll_result::wait();
      }
      ended_ = ended_ || result.what == poll_result::kind::end;
      lock.unlock();
      wake_();
      lock.lock();
    }
  }

  std::unique_ptr<source_driver> inner_;
  batch_pool::handle pool_;
  batch_limits limits_;
  platform& world_;
  std::function<void()> wake_;
  std::mutex reading_; // held while the reader is used
  std::mutex mutex_;   // guards what follows
  std::condition_variable changed_;
  std::deque<std::function<void()>> commands_;
  std::deque<batch_ptr> finished_;
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
