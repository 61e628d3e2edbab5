#include <dataflow/high_availability/zookeeper_client.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/log.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <utility>
#include <zookeeper/zookeeper.h>

namespace dataflow {

namespace {

constexpr std::size_t largest_node = 1 << 20; // ZooKeeper's own limit
const log_fields here{"zookeeper", {}, {}};

extern "C" void log_line(const char* text) { log_debug(here, text); }

} // namespace

struct zookeeper_client::state {
  zookeeper_client::settings settings;
  std::optional<identity> known;
  std::mutex calls; // one at a time; guards handle and incarnation
  zhandle_t* handle = nullptr;
  std::uint64_t incarnation = 0;
  mutable std::mutex mutex; // guards all below; the library's thread takes it, too
  std::condition_variable changed;
  bool connected = false, dead = false;
  std::chrono::milliseconds granted{0};
  identity session;

  static void watch(zhandle_t* zh, int type, int what, const char*, void* context) {
    if (type != ZOO_SESSION_EVENT) return;
    auto& s = *static_cast<state*>(context);
    const std::lock_guard guard{s.mutex};
    s.connected = what == ZOO_CONNECTED_STATE;
    if (what == ZOO_EXPIRED_SESSION_STATE || what == ZOO_AUTH_FAILED_STATE) s.dead = true;
    if (s.connected) {
      s.granted = std::chrono::milliseconds{zoo_recv_timeout(zh)};
      const auto* id = zoo_client_id(zh);
      s.session = {id->client_id, std::string{id->passwd, sizeof id->passwd}};
    }
    s.changed.notify_all();
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw error{errc::connection_failed, "ZooKeeper at " + settings.quorum + ": " + what,
                "check high-availability.zookeeper.quorum, and that most of its servers run"};
  }

  void close() {
    if (handle) zookeeper_close(std::exchange(handle, nullptr));
  }

  void connect() {
    {
      const std::lock_guard guard{mutex};
      if (handle && !dead) return;
    }
    close();
    {
      const std::lock_guard guard{mutex};
      connected = dead = false;
    }
    ++incarnation;
    clientid_t id{};
    if (known) {
      id.client_id = known->id;
      std::memcpy(id.passwd, known->password.data(), std::min(known->password.size(), sizeof id.passwd));
    }
    zoo_set_debug_level(ZOO_LOG_LEVEL_WARN);
    handle = zookeeper_init2(settings.quorum.c_str(), watch, static_cast<int>(settings.session_timeout.count()),
                             known ? &id : nullptr, this, 0, log_line);
    known.reset();
    if (!handle) fail(std::string{"cannot begin a session: "} + std::strerror(errno));
  }

  /// `f` with a handle that is connected. Returns ZooKeeper's code when it is about the nodes.
  template <class F>
  int call(F&& f) {
    const std::lock_guard one_call{calls};
    connect();
    {
      std::unique_lock lock{mutex};
      // Who has a session must notice in time that it loses it.
      const auto patience =
          granted.count() > 0 ? std::min(settings.connection_timeout, granted / 4) : settings.connection_timeout;
      changed.wait_for(lock, patience, [&] { return connected || dead; });
      if (dead) fail("the session has expired");
      if (!connected) fail("no connection");
    }
    const int code = f(handle);
    switch (code) {
    case ZSESSIONEXPIRED:
    case ZINVALIDSTATE:
    case ZCLOSING: {
      const std::lock_guard guard{mutex};
      dead = true;
      break;
    }
    case ZOK:
    case ZNONODE:
    case ZNODEEXISTS:
    case ZBADVERSION:
      return code;
    case ZNOAUTH:
      throw error{errc::permission_denied, "ZooKeeper at " + settings.quorum + " refuses access",
                  "check the access control lists below high-availability.zookeeper.path.root"};
    default:
      break;
    }
    fail(zerror(code));
  }
};

zookeeper_client::zookeeper_client(settings s, std::optional<identity> known) : state_(std::make_unique<state>()) {
  state_->settings = std::move(s);
  state_->known = std::move(known);
}

zookeeper_client::~zookeeper_client() { state_->close(); }

std::optional<zookeeper_client::node> zookeeper_client::get(const std::string& path) {
  node out;
  const int code = state_->call([&](zhandle_t* zh) {
    out.data.resize(4096);
    for (;;) {
      Stat stat{};
      int size = static_cast<int>(out.data.size());
      const int result = zoo_get(zh, path.c_str(), 0, out.data.data(), &size, &stat);
      if (result != ZOK) return result;
      if (stat.dataLength > static_cast<int>(out.data.size())) {
        out.data.resize(static_cast<std::size_t>(stat.dataLength));
        continue;
      }
      out.data.resize(static_cast<std::size_t>(std::max(size, 0))); // -1: a node without data
      out.version = stat.version;
      out.created = stat.czxid;
      out.ephemeral = stat.ephemeralOwner != 0;
      return result;
    }
  });
  if (code == ZNONODE) return std::nullopt;
  return out;
}

std::vector<std::string> zookeeper_client::children(const std::string& path) {
  std::vector<std::string> out;
  state_->call([&](zhandle_t* zh) {
    String_vector names{};
    const int code = zoo_get_children(zh, path.c_str(), 0, &names);
    if (code != ZOK) return code;
    for (int i = 0; i < names.count; ++i)
      out.emplace_back(names.data[i]);
    deallocate_String_vector(&names);
    return code;
  });
  std::sort(out.begin(), out.end());
  return out;
}

void zookeeper_client::make_path(const std::string& path) {
  for (std::size_t at = 1; at <= path.size(); ++at) {
    at = std::min(path.find('/', at), path.size());
    state_->call([&](zhandle_t* zh) {
      return zoo_create(zh, path.substr(0, at).c_str(), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, nullptr, 0);
    });
  }
}

std::string zookeeper_client::create_ephemeral_sequential(const std::string& path, std::string_view data) {
  std::string made(path.size() + 64, '\0');
  const int code = state_->call([&](zhandle_t* zh) {
    return zoo_create(zh, path.c_str(), data.data(), static_cast<int>(data.size()), &ZOO_OPEN_ACL_UNSAFE,
                      ZOO_EPHEMERAL_SEQUENTIAL, made.data(), static_cast<int>(made.size()));
  });
  if (code != ZOK) state_->fail("cannot make '" + path + "': " + zerror(code));
  made.resize(std::strlen(made.c_str()));
  return made;
}

void zookeeper_client::remove(const std::string& path) {
  state_->call([&](zhandle_t* zh) { return zoo_delete(zh, path.c_str(), -1); });
}

zookeeper_client::result zookeeper_client::change_all(const std::vector<change>& changes) {
  std::vector<zoo_op_t> ops(changes.size());
  std::vector<zoo_op_result_t> results(changes.size());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto& c = changes[i];
    if (c.data.size() >= largest_node)
      throw error{errc::invalid_argument, "'" + c.path + "' would hold " + std::to_string(c.data.size()) + " bytes",
                  "ZooKeeper's nodes hold less than 1 MiB"};
    const auto size = static_cast<int>(c.data.size());
    switch (c.what) {
    case change::kind::check:
      zoo_check_op_init(&ops[i], c.path.c_str(), c.version);
      break;
    case change::kind::create:
      zoo_create_op_init(&ops[i], c.path.c_str(), c.data.data(), size, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, nullptr,
                         0);
      break;
    case change::kind::set:
      zoo_set_op_init(&ops[i], c.path.c_str(), c.data.data(), size, c.version, nullptr);
      break;
    case change::kind::remove:
      zoo_delete_op_init(&ops[i], c.path.c_str(), c.version);
      break;
    }
  }
  const int code = state_->call(
      [&](zhandle_t* zh) { return zoo_multi(zh, static_cast<int>(ops.size()), ops.data(), results.data()); });
  if (code == ZOK) return {};
  result out;
  out.what = code == ZBADVERSION ? outcome::other_version : code == ZNONODE ? outcome::no_node : outcome::node_exists;
  while (out.at + 1 < results.size() && results[out.at].err == ZOK) // those before the one that failed say so
    ++out.at;
  return out;
}

std::uint64_t zookeeper_client::incarnation() const {
  const std::lock_guard guard{state_->calls};
  return state_->incarnation;
}

std::chrono::milliseconds zookeeper_client::session_timeout() const {
  const std::lock_guard guard{state_->mutex};
  return state_->granted;
}

zookeeper_client::identity zookeeper_client::session() const {
  const std::lock_guard guard{state_->mutex};
  return state_->session;
}

} // namespace dataflow
