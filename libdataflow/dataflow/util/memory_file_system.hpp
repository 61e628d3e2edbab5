/// Files in memory: for tests and simulations. No links to directories, no permissions but "unreadable".
///
/// Threading: safe from any thread. Ownership: open files keep their content alive, as on a real disk. Removing or
/// re-making a file does not touch what is open.
#pragma once

#include <dataflow/util/file_system.hpp>

#include <map>
#include <mutex>
#include <set>

namespace dataflow {

class memory_file_system final : public file_system {
public:
  memory_file_system();
  ~memory_file_system() override;
  std::unique_ptr<readable_file> open_read(const std::string& path) override;
  std::unique_ptr<writable_file> open_write(const std::string& path, write_mode mode) override;
  file_status status(const std::string& path) override;
  std::vector<directory_entry> list(const std::string& path) override;
  void create_directories(const std::string& path) override;
  void remove(const std::string& path) override;
  void truncate(const std::string& path, std::uint64_t size) override;
  bool link(const std::string& from, const std::string& to) override;
  void sync_directory(const std::string& path) override;
  std::unique_ptr<file_lock> lock(const std::string& path) override;
  std::string temporary_name(const std::string& directory, std::string_view prefix) override;

  /// Opening this path for reading is errc::permission_denied from now on.
  void make_unreadable(const std::string& path);
  /// From now on it is remembered what a power failure would leave: what is here now, and what is synchronised later,
  /// of files their bytes, of directories their names.
  void remember_synced();
  /// The power fails: everything is as it was last synchronised. REQUIRES: remember_synced().
  void lose_power();
  /// The paths of all files, sorted.
  std::vector<std::string> paths() const;
  struct content;

private:
  struct node {
    std::shared_ptr<content> data; ///< null: a directory
    std::uint64_t inode = 0;
  };
  void note_names(const std::string& directory);
  const node& at(const std::string& path, std::string_view doing) const;

  struct locks;
  class memory_lock;

  const std::shared_ptr<locks> locks_; // outlives whoever holds one
  mutable std::mutex mutex_;           // guards all below and the contents
  std::map<std::string, node> nodes_;
  std::optional<std::map<std::string, node>> synced_; // the names that a power failure leaves
  std::set<std::string> unreadable_;
  std::uint64_t next_inode_ = 1;
  std::uint64_t next_name_ = 0;
};

} // namespace dataflow
