#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace dataflow {

error file_error(int error_number, std::string_view doing, std::string_view path) {
  auto code = errc::io_failed;
  std::string advice;
  switch (error_number) {
  case ENOENT:
  case ENOTDIR:
    code = errc::file_not_found;
    advice = "check the path; relative paths start at the working directory of the process";
    break;
  case EACCES:
  case EPERM:
  case EROFS:
    code = errc::permission_denied;
    advice = "check the owner and mode of the file and of the directories above it";
    break;
  case EISDIR:
    code = errc::not_a_file;
    advice = "a file is expected here; name a file in the directory";
    break;
  case ENOSPC:
  case EDQUOT:
  case EFBIG:
    code = errc::disk_full;
    advice = "free some space or write to another disk, then run the job again";
    break;
  default:
    break;
  }
  return {code,
          "cannot " + std::string{doing} + " '" + std::string{path} +
              "': " + std::generic_category().message(error_number),
          std::move(advice)};
}

std::string_view file_name(std::string_view path) {
  auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string parent_directory(std::string_view path) {
  auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string{slash == 0 ? "/" : path.substr(0, slash)};
}

std::string join_path(std::string_view directory, std::string_view name) {
  std::string path{directory};
  if (!path.empty() && path.back() != '/') path += '/';
  return path.append(name);
}

std::optional<file_status> file_system::find(const std::string& path) {
  try {
    return status(path);
  } catch (const error& e) {
    if (e.code() != errc::file_not_found) throw;
    return std::nullopt;
  }
}

std::string file_system::read_file(const std::string& path) {
  auto file = open_read(path);
  std::string bytes(static_cast<std::size_t>(file->size()), '\0');
  bytes.resize(file->read_at(bytes.data(), bytes.size(), 0));
  return bytes;
}

void file_system::write_file(const std::string& path, std::string_view bytes) {
  auto file = open_write(path, write_mode::truncate);
  file->append(bytes);
  file->close();
}

bool file_system::put_if_absent(const std::string& path, std::string_view bytes) {
  auto directory = parent_directory(path);
  auto temporary = temporary_name(directory, ".put-");
  struct cleaner {
    file_system& files;
    const std::string& name;
    ~cleaner() {
      try {
        files.remove(name);
      } catch (...) { // the published file counts; a left-over temporary one harms nobody
      }
    }
  } clean{*this, temporary};
  auto file = open_write(temporary, write_mode::create_new);
  file->append(bytes);
  file->sync();
  file->close();
  if (!link(temporary, path)) return false;
  sync_directory(directory);
  return true;
}

void file_system::remove_all(const std::string& path) {
  if (!is_link(path)) {
    auto found = find(path);
    if (found && found->kind == file_kind::directory)
      for (auto& entry : list(path))
        remove_all(join_path(path, entry.name));
  }
  remove(path);
}

namespace {

using identity = std::pair<std::uint64_t, std::uint64_t>;

void walk(file_system& files, const std::string& path, const file_status& status, std::vector<identity>& above,
          std::vector<found_file>& found) {
  const identity self{status.device, status.inode};
  if (std::find(above.begin(), above.end(), self) != above.end()) return; // a link to a directory that we are in
  above.push_back(self);
  for (auto& entry : files.list(path)) {
    if (entry.name.front() == '.' || entry.name.front() == '_') continue;
    auto child = join_path(path, entry.name);
    if (entry.status.kind == file_kind::directory)
      walk(files, child, entry.status, above, found);
    else if (entry.status.kind == file_kind::regular)
      found.push_back({std::move(child), entry.status.size});
    else if (entry.status.kind == file_kind::dangling_link)
      throw error{errc::file_not_found, "the link '" + child + "' leads nowhere", "remove it, or restore its target"};
  }
  above.pop_back();
}

} // namespace

std::vector<found_file> find_files(file_system& files, const std::string& path) {
  auto status = files.status(path);
  std::vector<found_file> found;
  if (status.kind == file_kind::regular) {
    found.push_back({path, status.size});
  } else if (status.kind == file_kind::directory) {
    std::vector<identity> above;
    walk(files, path, status, above, found);
    std::sort(found.begin(), found.end(), [](auto& a, auto& b) { return a.path < b.path; });
  } else {
    throw error{errc::not_a_file, "'" + path + "' is neither a regular file nor a directory",
                "name a regular file, or copy the data into one"};
  }
  return found;
}

} // namespace dataflow
