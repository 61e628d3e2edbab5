#include <dataflow/util/error.hpp>
#include <dataflow/util/faulty_file_system.hpp>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace dataflow {

namespace {

using call = faulty_file_system::call;

class faulty_readable_file final : public readable_file {
public:
  faulty_readable_file(std::unique_ptr<readable_file> behind, faulty_file_system& owner, std::string path)
      : behind_(std::move(behind)), owner_(owner), path_(std::move(path)) {}
  std::size_t read_at(char* to, std::size_t size, std::uint64_t offset) override {
    owner_.on(call::read, "read", path_);
    return behind_->read_at(to, size, offset);
  }
  std::uint64_t size() override { return behind_->size(); }

private:
  std::unique_ptr<readable_file> behind_;
  faulty_file_system& owner_;
  std::string path_;
};

class faulty_writable_file final : public writable_file {
public:
  faulty_writable_file(std::unique_ptr<writable_file> behind, faulty_file_system& owner, std::string path)
      : behind_(std::move(behind)), owner_(owner), path_(std::move(path)) {}
  void append(std::string_view bytes) override {
    owner_.on(call::append, "write to", path_);
    auto fits = owner_.room_for(bytes.size());
    behind_->append(bytes.substr(0, fits));
    if (fits < bytes.size()) throw file_error(ENOSPC, "write to", path_);
  }
  void sync() override {
    owner_.on(call::sync, "sync", path_);
    behind_->sync();
  }
  void close() override { behind_->close(); }

private:
  std::unique_ptr<writable_file> behind_;
  faulty_file_system& owner_;
  std::string path_;
};

} // namespace

void faulty_file_system::disk_full_after(std::uint64_t bytes) {
  std::lock_guard lock{mutex_};
  room_ = bytes;
}

void faulty_file_system::fail_call(call which, std::uint64_t k) {
  std::lock_guard lock{mutex_};
  countdown_[static_cast<std::size_t>(which)] = k;
}

void faulty_file_system::fail_any(std::uint64_t k) {
  std::lock_guard lock{mutex_};
  fail_at_.insert(calls_ + k);
}

void faulty_file_system::fail_from(std::uint64_t k, std::function<void()> then) {
  std::lock_guard lock{mutex_};
  fail_from_ = calls_ + k;
  when_failing_ = std::move(then);
}

void faulty_file_system::only_below(std::string prefix) {
  std::lock_guard lock{mutex_};
  prefix_ = std::move(prefix);
}

std::uint64_t faulty_file_system::calls() const {
  std::lock_guard lock{mutex_};
  return calls_;
}

std::uint64_t faulty_file_system::failures() const {
  std::lock_guard lock{mutex_};
  return failures_;
}

void faulty_file_system::heal() {
  std::lock_guard lock{mutex_};
  fail_from_ = 0;
  when_failing_ = nullptr;
  fail_at_.clear();
  room_.reset();
  std::fill(std::begin(countdown_), std::end(countdown_), 0);
}

void faulty_file_system::on(call which, std::string_view doing, const std::string& path) {
  std::function<void()> then;
  {
    std::lock_guard lock{mutex_};
    if (path.compare(0, prefix_.size(), prefix_) != 0) return;
    auto& left = countdown_[static_cast<std::size_t>(which)];
    ++calls_;
    const bool from_now_on = fail_from_ != 0 && calls_ >= fail_from_;
    const bool fails = (left > 0 && --left == 0) || fail_at_.erase(calls_) > 0 || from_now_on;
    if (!fails) return;
    ++failures_;
    if (from_now_on) then = std::exchange(when_failing_, nullptr);
  }
  if (then) then();
  throw file_error(EIO, doing, path);
}

std::size_t faulty_file_system::room_for(std::size_t bytes) {
  std::lock_guard lock{mutex_};
  if (!room_) return bytes;
  auto fits = std::min<std::uint64_t>(bytes, *room_);
  *room_ -= fits;
  return static_cast<std::size_t>(fits);
}

std::unique_ptr<readable_file> faulty_file_system::open_read(const std::string& path) {
  on(call::open_read, "open", path);
  return std::make_unique<faulty_readable_file>(behind_.open_read(path), *this, path);
}

std::unique_ptr<writable_file> faulty_file_system::open_write(const std::string& path, write_mode mode) {
  on(call::open_write, "write to", path);
  return std::make_unique<faulty_writable_file>(behind_.open_write(path, mode), *this, path);
}

file_status faulty_file_system::status(const std::string& path) {
  on(call::status, "find", path);
  return behind_.status(path);
}

std::vector<directory_entry> faulty_file_system::list(const std::string& path) {
  on(call::list, "list", path);
  return behind_.list(path);
}

void faulty_file_system::remove(const std::string& path) {
  on(call::remove, "remove", path);
  behind_.remove(path);
}

void faulty_file_system::truncate(const std::string& path, std::uint64_t size) {
  on(call::truncate, "cut", path);
  behind_.truncate(path, size);
}

bool faulty_file_system::link(const std::string& from, const std::string& to) {
  on(call::link, "make the name", to);
  return behind_.link(from, to);
}

void faulty_file_system::sync_directory(const std::string& path) {
  on(call::sync, "sync", path);
  behind_.sync_directory(path);
}

} // namespace dataflow
