/// A file system that fails on request, in front of another one: for tests and fault plans.
///
/// Threading: safe from any thread. Ownership: borrows the file system behind it; opened files borrow this one.
#pragma once

#include <dataflow/util/file_system.hpp>

#include <functional>
#include <mutex>
#include <set>

namespace dataflow {

class faulty_file_system final : public file_system {
public:
  /// The calls that count for fail_call.
  enum class call : std::uint8_t { open_read, open_write, read, append, sync, status, list, remove, link, truncate };
  static constexpr std::size_t call_kinds = 10;

  explicit faulty_file_system(file_system& behind) noexcept : behind_(behind) {}

  /// The disk has room for so many more bytes; the append that exceeds it writes what fits and is errc::disk_full.
  void disk_full_after(std::uint64_t bytes);
  /// The k-th call of that kind from now on (1 is the next one) fails with EIO, once.
  void fail_call(call which, std::uint64_t k);
  /// The k-th call of whatever kind from now on (1 is the next one) fails with EIO, once; may be asked for several
  /// times.
  void fail_any(std::uint64_t k);
  /// The k-th call of whatever kind from now on (1 is the next one) and all after it fail with EIO until heal(): for
  /// the disk, whoever uses it has died there. `then` is called at the first of them.
  void fail_from(std::uint64_t k, std::function<void()> then = {});
  /// Only calls for paths that begin with this count and fail; empty: all.
  void only_below(std::string prefix);
  /// How many calls there were so far, and how many of them failed on request.
  std::uint64_t calls() const;
  std::uint64_t failures() const;
  /// No more faults.
  void heal();

  std::unique_ptr<readable_file> open_read(const std::string& path) override;
  std::unique_ptr<writable_file> open_write(const std::string& path, write_mode mode) override;
  file_status status(const std::string& path) override;
  std::vector<directory_entry> list(const std::string& path) override;
  void truncate(const std::string& path, std::uint64_t size) override;
  void create_directories(const std::string& path) override { behind_.create_directories(path); }
  void remove(const std::string& path) override;
  bool link(const std::string& from, const std::string& to) override;
  void sync_directory(const std::string& path) override;
  std::unique_ptr<file_lock> lock(const std::string& path) override { return behind_.lock(path); }
  std::string temporary_name(const std::string& directory, std::string_view prefix) override {
    return behind_.temporary_name(directory, prefix);
  }

  /// Used by the files it opened.
  void on(call which, std::string_view doing, const std::string& path);
  std::size_t room_for(std::size_t bytes);

private:
  file_system& behind_;
  mutable std::mutex mutex_; // guards all below
  std::optional<std::uint64_t> room_;
  std::uint64_t countdown_[call_kinds] = {};
  std::set<std::uint64_t> fail_at_; // numbers of calls, of any kind
  std::uint64_t fail_from_ = 0;     // number of the first call of those that all fail; 0: none
  std::function<void()> when_failing_;
  std::string prefix_;
  std::uint64_t calls_ = 0, failures_ = 0;
};

} // namespace dataflow
