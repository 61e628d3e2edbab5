#include <dataflow/operations/node_probe.hpp>
#include <dataflow/util/version.hpp>

#include <gnu/libc-version.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

namespace dataflow {

namespace {

class os_probe final : public node_probe {
public:
  limit open_files() const override {
    rlimit l{};
    ::getrlimit(RLIMIT_NOFILE, &l);
    return {l.rlim_cur, l.rlim_max};
  }
  std::optional<space> disk_space(const std::string& directory) const override {
    struct statvfs s {};
    if (::statvfs(directory.c_str(), &s) != 0) return std::nullopt;
    return space{std::uint64_t{s.f_bavail} * s.f_frsize, std::uint64_t{s.f_blocks} * s.f_frsize};
  }
  std::vector<std::pair<std::string, std::string>> versions() const override {
    utsname system{};
    ::uname(&system);
    return {{"dataflow", std::string{library_version} + ", ABI " + std::to_string(abi_version)},
            {"compiler", __VERSION__},
            {"libc", ::gnu_get_libc_version()},
            {"kernel", std::string{system.sysname} + " " + system.release + " " + system.machine}};
  }
  std::string engine_version() const override { return library_version; }
};

} // namespace

const node_probe& system_probe() {
  static const os_probe instance;
  return instance;
}

} // namespace dataflow
