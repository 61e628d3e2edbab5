// The operating system's files, over POSIX calls.
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace dataflow {

namespace {

file_status status_of(const struct stat& s) {
  file_status out;
  out.kind = S_ISREG(s.st_mode) ? file_kind::regular : S_ISDIR(s.st_mode) ? file_kind::directory : file_kind::other;
  out.size = static_cast<std::uint64_t>(s.st_size);
  out.modified = std::int64_t{s.st_mtim.tv_sec} * 1000 + s.st_mtim.tv_nsec / 1'000'000;
  out.device = s.st_dev;
  out.inode = s.st_ino;
  return out;
}

class descriptor {
public:
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  descriptor(const descriptor&) = delete;
  ~descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

private:
  int fd_;
};

class os_readable_file final : public readable_file {
public:
  os_readable_file(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  std::size_t read_at(char* to, std::size_t size, std::uint64_t offset) override {
    std::size_t got = 0;
    while (got < size) {
      auto n = ::pread(fd_.get(), to + got, size - got, static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw file_error(errno, "read", path_);
      if (n == 0) break;
      got += static_cast<std::size_t>(n);
    }
    return got;
  }
  std::uint64_t size() override {
    struct stat s {};
    if (::fstat(fd_.get(), &s) != 0) throw file_error(errno, "look at", path_);
    return static_cast<std::uint64_t>(s.st_size);
  }

private:
  descriptor fd_;
  std::string path_;
};

class os_writable_file final : public writable_file {
public:
  os_writable_file(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  void append(std::string_view bytes) override {
    while (!bytes.empty()) {
      auto n = ::write(fd_.get(), bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw file_error(errno, "write to", path_);
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void sync() override {
    if (::fsync(fd_.get()) != 0) throw file_error(errno, "sync", path_);
  }
  void close() override {
    auto fd = fd_.release();
    if (fd >= 0 && ::close(fd) != 0 && errno != EINTR) throw file_error(errno, "close", path_);
  }

private:
  descriptor fd_;
  std::string path_;
};

class os_file_lock final : public file_lock {
public:
  explicit os_file_lock(int fd) noexcept : fd_(fd) {}

private:
  descriptor fd_; // closing it gives the lock up
};

class os_file_system final : public file_system {
public:
  std::unique_ptr<readable_file> open_read(const std::string& path) override {
    // Not blocking: opening a pipe that nobody writes must not hang before we see that it is one.
    descriptor fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (fd.get() < 0) throw file_error(errno, "open", path);
    struct stat s {};
    if (::fstat(fd.get(), &s) != 0) throw file_error(errno, "look at", path);
    if (S_ISDIR(s.st_mode)) throw file_error(EISDIR, "read", path);
    if (!S_ISREG(s.st_mode))
      throw error{errc::not_a_file, "cannot read '" + path + "': not a regular file", "copy the data into a file"};
    return std::make_unique<os_readable_file>(fd.release(), path);
  }
  std::unique_ptr<writable_file> open_write(const std::string& path, write_mode mode) override {
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC;
    if (mode == write_mode::truncate) flags |= O_TRUNC;
    if (mode == write_mode::append) flags |= O_APPEND;
    if (mode == write_mode::create_new) flags |= O_EXCL;
    descriptor fd{::open(path.c_str(), flags, 0666)};
    if (fd.get() < 0) throw file_error(errno, "write to", path);
    return std::make_unique<os_writable_file>(fd.release(), path);
  }
  file_status status(const std::string& path) override {
    struct stat s {};
    if (::stat(path.c_str(), &s) != 0) throw file_error(errno, "find", path);
    return status_of(s);
  }
  std::vector<directory_entry> list(const std::string& path) override {
    auto* directory = ::opendir(path.c_str());
    if (directory == nullptr) throw file_error(errno, "list", path);
    std::unique_ptr<DIR, int (*)(DIR*)> closer{directory, ::closedir};
    std::vector<directory_entry> entries;
    for (;;) {
      errno = 0;
      auto* entry = ::readdir(directory);
      if (entry == nullptr) {
        if (errno != 0) throw file_error(errno, "list", path);
        break;
      }
      std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat s {};
      auto child = join_path(path, name);
      if (::fstatat(::dirfd(directory), name.c_str(), &s, 0) != 0) {
        auto number = errno;
        struct stat link {};
        if (::fstatat(::dirfd(directory), name.c_str(), &link, AT_SYMLINK_NOFOLLOW) != 0) {
          if (errno == ENOENT) continue; // removed since we read its name
          throw file_error(errno, "look at", child);
        }
        if (number != ENOENT && number != ELOOP) throw file_error(number, "look at", child);
        entries.push_back({std::move(name), {file_kind::dangling_link, 0, 0, 0, 0}});
        continue;
      }
      entries.push_back({std::move(name), status_of(s)});
    }
    std::sort(entries.begin(), entries.end(), [](auto& a, auto& b) { return a.name < b.name; });
    return entries;
  }
  void create_directories(const std::string& path) override {
    if (path.empty() || ::mkdir(path.c_str(), 0777) == 0) return;
    auto number = errno;
    if (number == ENOENT && path != "/") {
      create_directories(parent_directory(path));
      if (::mkdir(path.c_str(), 0777) == 0) return;
      number = errno;
    }
    if (number == EEXIST) {
      if (status(path).kind == file_kind::directory) return;
      throw error{errc::not_a_file, "cannot make the directory '" + path + "': a file of that name exists",
                  "name another directory, or move the file away"};
    }
    throw file_error(number, "make the directory", path);
  }
  void remove(const std::string& path) override {
    if (::remove(path.c_str()) != 0 && errno != ENOENT) throw file_error(errno, "remove", path);
  }
  void truncate(const std::string& path, std::uint64_t size) override {
    if (status(path).size < size) throw file_error(EINVAL, "cut", path);
    while (::truncate(path.c_str(), static_cast<off_t>(size)) != 0)
      if (errno != EINTR) throw file_error(errno, "cut", path);
  }
  bool link(const std::string& from, const std::string& to) override {
    if (::link(from.c_str(), to.c_str()) == 0) return true;
    if (errno == EEXIST) return false;
    throw file_error(errno, "make the name", to);
  }
  void sync_directory(const std::string& path) override {
    descriptor fd{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (fd.get() < 0) throw file_error(errno, "open", path);
    if (::fsync(fd.get()) != 0) throw file_error(errno, "sync", path);
  }
  std::unique_ptr<file_lock> lock(const std::string& path) override {
    descriptor fd{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)};
    if (fd.get() < 0) throw file_error(errno, "open", path);
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) { // of the open file: also against ourselves
      if (errno == EWOULDBLOCK) return nullptr;
      if (errno != EINTR) throw file_error(errno, "lock", path);
    }
    return std::make_unique<os_file_lock>(fd.release());
  }
  std::string temporary_name(const std::string& directory, std::string_view prefix) override {
    auto place = directory;
    if (place.empty()) {
      auto* set = std::getenv("TMPDIR");
      place = set != nullptr && *set != '\0' ? set : "/tmp";
    }
    for (;;) {
      auto name = std::string{prefix} + std::to_string(::getpid()) + "-" + std::to_string(next_++);
      auto path = join_path(place, name);
      struct stat s {};
      if (::lstat(path.c_str(), &s) != 0) return path; // a leftover of an earlier process with our id is passed over
    }
  }

protected:
  bool is_link(const std::string& path) override {
    struct stat s {};
    return ::lstat(path.c_str(), &s) == 0 && S_ISLNK(s.st_mode);
  }

private:
  std::atomic<std::uint64_t> next_{0};
};

} // namespace

file_system& system_files() {
  static os_file_system instance;
  return instance;
}

} // namespace dataflow
