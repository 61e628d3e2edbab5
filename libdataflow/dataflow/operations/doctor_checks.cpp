#include <dataflow/config/configuration.hpp>
#include <dataflow/config/log_options.hpp>
#include <dataflow/config/options.hpp>
#include <dataflow/config/units.hpp>
#include <dataflow/operations/doctor_checks.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/network.hpp>
#include <dataflow/util/platform.hpp>

#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <utility>

namespace dataflow::doctor_checks {

namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t few_open_files = 4096, too_few_open_files = 256;
constexpr std::uint64_t little_space = 1024 * mib, too_little_space = 64 * mib;
constexpr milliseconds first_wall{1'700'000'000'000}; // November 2023: before the engine was written
constexpr milliseconds last_wall{4'102'444'800'000};  // 2100
constexpr milliseconds largest_skew{5'000};

std::string value_of(const configuration& config, std::string_view key) { return config.lookup(key).value; }

struct host_port {
  std::string host;
  std::uint16_t port = 0;
};

std::optional<host_port> parse_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  host_port out;
  const auto digits = text.substr(colon + 1);
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
  if (failure != std::errc{} || end != digits.data() + digits.size() || out.port == 0) return std::nullopt;
  out.host = text.substr(0, colon);
  if (out.host.size() > 2 && out.host.front() == '[' && out.host.back() == ']')
    out.host = out.host.substr(1, out.host.size() - 2);
  return out;
}

std::vector<std::string> parts_of(std::string_view text, char separator) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find(separator, at), text.size());
    auto part = text.substr(at, end - at);
    while (!part.empty() && part.front() == ' ')
      part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ')
      part.remove_suffix(1);
    if (!part.empty()) out.emplace_back(part);
    at = end + 1;
  }
  return out;
}

/// What a directory must be able to do for what is kept there.
enum class use { scratch, checkpoints, locks };

struct directory_use {
  std::string_view key;
  use what;
};
constexpr directory_use directory_keys[] = {
    {"io.tmp.dirs", use::scratch},
    {"state.backend.rocksdb.localdir", use::scratch},
    {"blob.storage.directory", use::scratch},
    {"execution.checkpointing.dir", use::checkpoints},
    {"execution.checkpointing.savepoint-dir", use::checkpoints},
    {"high-availability.storageDir", use::locks},
};

/// Writes, reads, links and locks there as the engine will. Returns by how much the directory's clock is ahead of ours,
/// when its files have times.
std::optional<milliseconds> try_directory(const platform& world, const std::string& path, use what) {
  auto& files = *world.files;
  files.create_directories(path);
  const auto name = files.temporary_name(path, ".doctor-"), second = name + "-link", lock = name + "-lock";
  struct cleaner {
    file_system& files;
    std::vector<std::string> names;
    ~cleaner() {
      for (const auto& n : names) {
        try {
          files.remove(n);
        } catch (const error&) { // said already, or will be by whoever needs the directory
        }
      }
    }
  } clean{files, {name, second, lock}};
  const std::string text(4096, 'x');
  const auto file = files.open_write(name, write_mode::create_new);
  file->append(text);
  file->sync();
  file->close();
  if (files.read_file(name) != text)
    throw error{errc::io_failed, "what was written to '" + name + "' is not what is read", "check the disk"};
  const auto modified = files.status(name).modified;
  if (what != use::scratch) {
    if (!files.link(name, second) || files.link(name, second))
      throw error{errc::io_failed, "a second name of a file can be made twice in '" + path + "'",
                  "checkpoints need a file system with hard links"};
    files.sync_directory(path);
  }
  if (what == use::locks) {
    const auto held = files.lock(lock);
    if (!held || files.lock(lock))
      throw error{errc::io_failed, "two can hold one lock in '" + path + "'",
                  "leader election needs a file system with locks: a local one, or NFS 4"};
  }
  if (modified == 0) return std::nullopt;
  return milliseconds{modified} - world.clock->wall();
}

void add_space(const std::string& subject, const std::string& path, const node_probe& probe, findings& out) {
  const auto space = probe.disk_space(path);
  if (!space) return;
  const auto result = space->free < too_little_space ? health::fail
                      : space->free < little_space   ? health::warn
                                                     : health::ok;
  out.push_back({result, "disk space", subject,
                 format_memory_size(space->free / mib * mib) + " of " + format_memory_size(space->total / mib * mib) +
                     " free in '" + path + "'",
                 result == health::ok ? "" : "make room, or set " + subject + " to a directory on another disk"});
}

} // namespace

void versions(const node_probe& probe, const doctor_request& request, findings& out) {
  for (const auto& [name, version] : probe.versions())
    out.push_back({health::ok, "version", name, version, {}});
  const auto engine = probe.engine_version();
  if (!request.program_version.empty() && request.program_version != engine)
    out.push_back(
        {health::fail, "version", "libdataflow.so",
         "the program is of version " + request.program_version + ", the library that it found is of " + engine,
         "install both from one build; `ldd` shows where the library comes from"});
}

void clocks(const platform& world, findings& out) {
  const auto& clock = *world.clock;
  bool grows = true;
  for (auto [i, before] = std::pair{0, clock.now()}; i < 1000; ++i) {
    const auto now = clock.now();
    grows = grows && now >= before;
    before = now;
  }
  out.push_back({grows ? health::ok : health::fail, "clock", "monotonic",
                 grows ? "does not go back" : "went back while it was looked at",
                 grows ? "" : "time-outs and heartbeats will misfire: change the clock source of this machine"});
  const auto wall = clock.wall();
  const bool sane = wall >= first_wall && wall <= last_wall;
  const std::string shown = std::to_string(wall.count()) + " ms since 1970";
  out.push_back({sane ? health::ok : health::fail, "clock", "wall", shown + (sane ? "" : ": it is not set"),
                 sane ? "" : "start a time service (systemd-timesyncd, chrony)"});
}

void open_files(const node_probe& probe, findings& out) {
  const auto limit = probe.open_files();
  const auto shown = [](std::uint64_t n) {
    return n == std::numeric_limits<std::uint64_t>::max() ? std::string{"unlimited"} : std::to_string(n);
  };
  const auto result = limit.soft < too_few_open_files ? health::fail
                      : limit.soft < few_open_files   ? health::warn
                                                      : health::ok;
  out.push_back({result, "limit", "open files", shown(limit.soft) + " (at most " + shown(limit.hard) + ")",
                 result == health::ok ? ""
                                      : "`ulimit -n 65536` before the start, or LimitNOFILE=65536 in the systemd unit: "
                                        "state on disk and links between nodes need them"});
}

void directories(const configuration& config, const platform& world, const node_probe& probe, findings& out) {
  for (const auto& [key, what] : directory_keys) {
    if (find_option(key) == nullptr) continue;
    auto path = value_of(config, key);
    if (path.starts_with("file:")) path = path.substr(path.starts_with("file://") ? 7 : 5);
    const std::string subject{key};
    if (path.empty()) {
      if (key != "io.tmp.dirs") continue; // not in use, or as io.tmp.dirs
      path = parent_directory(world.files->temporary_name("", "doctor-"));
    }
    try {
      const auto skew = try_directory(world, path, what);
      out.push_back({health::ok,
                     "directory",
                     subject,
                     "'" + path + "' can be written" +
                         (what == use::locks         ? ", with hard links and locks"
                          : what == use::checkpoints ? ", with hard links"
                                                     : ""),
                     {}});
      if (skew && (*skew > largest_skew || *skew < -largest_skew))
        out.push_back({health::warn, "clock", subject,
                       "files in '" + path + "' get times that are " + std::to_string(skew->count()) +
                           " ms away from this node's clock",
                       "start a time service on this node and on the file server"});
    } catch (const error& e) {
      out.push_back({health::fail, "directory", subject, e.cause(),
                     e.advice().empty() ? "make it writable for this user, or set " + subject : e.advice()});
    }
    add_space(subject, path, probe, out);
  }
}

void log(const configuration& config, findings& out) {
  try {
    const auto settings = log_settings_of(config);
    out.push_back({health::ok,
                   "log",
                   "log.level",
                   std::string{to_string(settings.level)} + ", to " +
                       (settings.file.empty() ? "standard error" : "'" + settings.file + "'"),
                   {}});
  } catch (const error& e) {
    out.push_back({health::fail, "log", "log.levels", e.cause(), e.advice()});
  }
}

void ports(const configuration& config, const platform& world, findings& out) {
  std::map<std::uint16_t, std::string> by_number;
  for (const std::string_view key :
       {"jobmanager.rpc.port", "taskmanager.data.port", "taskmanager.rpc.port", "rest.port"}) {
    if (find_option(key) == nullptr) continue;
    const auto port = static_cast<std::uint16_t>(config.integer(key));
    const std::string subject{key};
    if (port == 0) {
      out.push_back({health::ok, "port", subject, "any free one", {}});
      continue;
    }
    const auto [earlier, fresh] = by_number.emplace(port, subject);
    if (!fresh) {
      out.push_back({health::fail, "port", subject, std::to_string(port) + " is " + earlier->second + ", too",
                     "give one of them another number"});
      continue;
    }
    try {
      world.sockets->listen(port);
      out.push_back({health::ok, "port", subject, std::to_string(port) + " is free", {}});
    } catch (const error& e) {
      out.push_back({health::warn, "port", subject, std::to_string(port) + " cannot be listened on: " + e.cause(),
                     "fine when this node's own process runs already (`ss -ltnp sport = :" + std::to_string(port) +
                         "` names it); else set " + subject + " to another one"});
    }
  }
}

void certificates(const configuration& config, const platform& world, findings& out) {
  if (find_option("security.ssl.internal.enabled") == nullptr || !config.boolean("security.ssl.internal.enabled"))
    return;
  for (const std::string_view key :
       {"security.ssl.internal.certificate", "security.ssl.internal.key", "security.ssl.internal.authority"}) {
    const std::string subject{key};
    const auto path = value_of(config, key);
    if (path.empty()) {
      out.push_back({health::fail, "certificate", subject, "is not set, and security.ssl.internal.enabled is true",
                     "name a PEM file"});
      continue;
    }
    try {
      const auto text = world.files->read_file(path);
      const bool key_wanted = key == "security.ssl.internal.key";
      const bool fits = text.find(key_wanted ? "PRIVATE KEY-----" : "-----BEGIN CERTIFICATE-----") != std::string::npos;
      out.push_back({fits ? health::ok : health::fail, "certificate", subject,
                     "'" + path + "' " + (fits ? "is there" : "is no PEM file of a ") +
                         (fits         ? ""
                          : key_wanted ? "private key"
                                       : "certificate"),
                     fits ? "" : "name the file that the authority's script wrote"});
    } catch (const error& e) {
      out.push_back({health::fail, "certificate", subject, e.cause(),
                     e.advice().empty() ? "make it readable for this user" : e.advice()});
    }
  }
}

void nodes(const configuration& config, const platform& world, const doctor_request& request, findings& out) {
  std::vector<std::string> names = request.nodes;
  if (find_option("high-availability.zookeeper.quorum") != nullptr)
    for (auto& server : parts_of(value_of(config, "high-availability.zookeeper.quorum"), ','))
      names.push_back(std::move(server));
  for (const auto& name : names) {
    const auto where = parse_host_port(name);
    if (!where) {
      out.push_back({health::fail, "node", name, "is no host:port", "write for example node-2:6123"});
      continue;
    }
    try {
      const auto socket = world.sockets->connect(where->host, where->port);
      if (socket->wait_connected(request.connect_timeout))
        out.push_back({health::ok, "node", name, "answers", {}});
      else
        out.push_back({health::fail, "node", name, "does not answer within " + format_duration(request.connect_timeout),
                       "check that the machine is up and that no firewall drops the packets"});
    } catch (const error& e) {
      out.push_back({health::fail, "node", name, e.cause(),
                     "check the name, that its process runs and on which address it listens"});
    }
  }
}

} // namespace dataflow::doctor_checks
