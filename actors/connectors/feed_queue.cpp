#include <dataflow/actors/connectors/feed_queue.hpp>

#include <utility>

namespace dataflow::actors {

namespace {
void call_all(const std::vector<std::function<void()>>& functions) {
  for (auto& f : functions)
    f();
}
} // namespace

std::vector<std::function<void()>> feed_queue::waiting() {
  std::vector<std::function<void()>> all;
  for (auto& [number, r] : readers_)
    if (std::exchange(r.waiting, false)) all.push_back(r.wake);
  return all;
}

void feed_queue::push(fed_batch b) {
  std::vector<std::function<void()>> wake;
  {
    std::lock_guard lock{mutex_};
    batches_.push_back(std::move(b));
    wake = waiting();
  }
  call_all(wake);
}

void feed_queue::close() {
  std::vector<std::function<void()>> wake;
  {
    std::lock_guard lock{mutex_};
    closed_ = true;
    wake = waiting();
  }
  call_all(wake);
}

void feed_queue::fail(error why) {
  std::vector<std::function<void()>> wake;
  {
    std::lock_guard lock{mutex_};
    failure_ = std::move(why);
    wake = waiting();
  }
  call_all(wake);
}

void feed_queue::bind(const std::string& job, const std::string& job_name) {
  std::lock_guard lock{mutex_};
  if (!job_.empty())
    throw error{errc::invalid_graph,
                "actor source \"" + source_ + "\" belongs to job \"" + job_name_ + "\" (" + job_ + ")",
                "a feed serves one job: call actor_source once for each job"};
  job_ = job;
  job_name_ = job_name;
}

void feed_queue::end() {
  std::deque<fed_batch> dropped; // its records may be slow to destroy
  std::lock_guard lock{mutex_};
  dropped.swap(batches_);
  closed_ = true;
}

std::uint64_t feed_queue::enter(std::function<void()> wake) {
  std::lock_guard lock{mutex_};
  readers_[++last_reader_] = {std::move(wake), false};
  return last_reader_;
}

void feed_queue::leave(std::uint64_t reader, fed_batch rest) {
  std::vector<std::function<void()>> wake;
  {
    std::lock_guard lock{mutex_};
    readers_.erase(reader);
    if (rest.records) batches_.push_front(std::move(rest));
    if (!batches_.empty()) wake = waiting();
  }
  call_all(wake);
}

feed_queue::found feed_queue::take(std::uint64_t reader, fed_batch& into) {
  std::lock_guard lock{mutex_};
  if (failure_) throw failure_;
  if (!batches_.empty()) {
    into = std::move(batches_.front());
    batches_.pop_front();
    return found::batch;
  }
  if (closed_) return found::end;
  readers_[reader].waiting = true;
  return found::nothing;
}

void feed_queue::report(std::vector<std::uint64_t> numbers) {
  if (!numbers.empty() && taken_) taken_(std::move(numbers));
}

} // namespace dataflow::actors
