/// Files as the engine sees them: nothing outside file_system.cpp calls the operating system for a file.
///
/// Threading: a file system is safe to use from any thread. A readable file too (every read names its offset); a
/// writable file belongs to one thread at a time. Ownership: files are owned by who opened them and close themselves.
/// Errors: every failure throws dataflow::error with the path in the cause: file_not_found, permission_denied,
/// not_a_file, disk_full, else io_failed with the system's words.
/// Paths are plain strings with '/', relative ones are taken from the working directory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

enum class file_kind : std::uint8_t {
  regular,
  directory,
  dangling_link, ///< a link that leads nowhere; only in lists
  other,         ///< devices, pipes, sockets
};

/// What a path leads to, links followed.
struct file_status {
  file_kind kind = file_kind::other;
  std::uint64_t size = 0;    ///< bytes
  std::int64_t modified = 0; ///< milliseconds since 1970 UTC
  std::uint64_t device = 0;  ///< with inode: the identity of what the path leads to
  std::uint64_t inode = 0;
};

struct directory_entry {
  std::string name;
  file_status status;
};

class readable_file {
public:
  virtual ~readable_file() = default;
  /// Reads up to `size` bytes from `offset`; fewer only at the end of the file.
  virtual std::size_t read_at(char* to, std::size_t size, std::uint64_t offset) = 0;
  /// The present size in bytes.
  virtual std::uint64_t size() = 0;
};

class writable_file {
public:
  virtual ~writable_file() = default;
  /// All bytes or an error; after an error an unknown part of them is in the file.
  virtual void append(std::string_view bytes) = 0;
  /// Returns when the bytes are on the disk (fsync).
  virtual void sync() = 0;
  /// Closes and reports what only closing shows. The destructor closes, too, but swallows errors.
  virtual void close() = 0;
};

/// A lock that is held as long as the object lives; the system gives it up when the process dies.
class file_lock {
public:
  virtual ~file_lock() = default;
};

enum class write_mode : std::uint8_t {
  truncate,   ///< make the file, or empty it
  append,     ///< make the file, or write behind what it has
  create_new, ///< make the file; one that exists is an error (io_failed)
};

class file_system {
public:
  virtual ~file_system() = default;
  /// Regular files only: a directory or device is errc::not_a_file.
  virtual std::unique_ptr<readable_file> open_read(const std::string& path) = 0;
  virtual std::unique_ptr<writable_file> open_write(const std::string& path, write_mode mode) = 0;
  virtual file_status status(const std::string& path) = 0;
  /// The entries of a directory, sorted by name (bytes), links followed.
  virtual std::vector<directory_entry> list(const std::string& path) = 0;
  /// Makes the directory and those above it; it may exist.
  virtual void create_directories(const std::string& path) = 0;
  /// Removes a file or an empty directory; one that does not exist is fine.
  virtual void remove(const std::string& path) = 0;
  /// Cuts a file down to its first `size` bytes; one that is shorter is io_failed.
  virtual void truncate(const std::string& path, std::uint64_t size) = 0;
  /// Gives the file a second name. False when that name is taken: exactly one of several callers wins.
  virtual bool link(const std::string& from, const std::string& to) = 0;
  /// Makes the names in a directory durable (fsync of the directory).
  virtual void sync_directory(const std::string& path) = 0;
  /// Locks a file, which is made if it does not exist. Null when somebody holds the lock, in this process or another.
  virtual std::unique_ptr<file_lock> lock(const std::string& path) = 0;
  /// A path in `directory` (empty: the place for temporary files) that nobody has used yet.
  virtual std::string temporary_name(const std::string& directory, std::string_view prefix) = 0;

  /// Nothing when the path leads nowhere.
  std::optional<file_status> find(const std::string& path);
  bool exists(const std::string& path) { return find(path).has_value(); }
  /// The whole content.
  std::string read_file(const std::string& path);
  /// Replaces the content; not atomic.
  void write_file(const std::string& path, std::string_view bytes);
  /// Publishes bytes under a name that must be new, durable and atomic: write, fsync, link, fsync of the directory.
  /// False when the name is taken.
  bool put_if_absent(const std::string& path, std::string_view bytes);
  /// Removes a directory with all that is in it (links are not followed into), or a file.
  void remove_all(const std::string& path);

protected:
  /// A path that is itself a link is removed, not followed.
  virtual bool is_link(const std::string& /*path*/) { return false; }
};

struct found_file {
  std::string path;
  std::uint64_t size = 0;
};

/// The regular files that a path leads to: the file itself, or all files below a directory, in the order of their
/// paths. Links are followed; a directory that contains itself is entered once; a link to nowhere is
/// errc::file_not_found. Names in a directory that begin with
/// '.' or '_' are left out (as Flink does), and so are devices and pipes. A device or pipe named directly is
/// errc::not_a_file.
std::vector<found_file> find_files(file_system& files, const std::string& path);

/// The last part of a path, the part before it ("." when there is none), and both put together.
std::string_view file_name(std::string_view path);
std::string parent_directory(std::string_view path);
std::string join_path(std::string_view directory, std::string_view name);

/// The operating system's.
file_system& system_files();

/// The error of a failed call: maps errno to errc. `doing` is a verb: "open", "write to".
class error;
error file_error(int error_number, std::string_view doing, std::string_view path);

} // namespace dataflow
