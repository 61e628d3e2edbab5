#include <dataflow/actors/network/wire.hpp>
#include <dataflow/actors/network/wire_fields.hpp>

#include <caf/all.hpp>
#include <doctest/doctest.h>

#include <limits>

using namespace dataflow;
using namespace dataflow::actors;

namespace {

/// Gives every field another value, whatever the struct: an archive like the two of the wire.
class filler {
public:
  explicit filler(caf::actor someone) : someone_(std::move(someone)) {}
  template <class... Ts>
  void operator()(Ts&... xs) {
    (put(xs), ...);
  }

private:
  template <class T>
  void put(T& x) {
    if constexpr (std::is_same_v<T, bool>)
      x = true;
    else if constexpr (std::is_enum_v<T>)
      x = static_cast<T>(1);
    else if constexpr (std::is_floating_point_v<T>)
      x = next_++ % 2 == 0 ? std::numeric_limits<T>::infinity() : -std::numeric_limits<T>::denorm_min();
    else if constexpr (std::is_arithmetic_v<T>)
      x = static_cast<T>(next_++);
    else
      fields(*this, x);
  }
  void put(std::string& x) { x = "text " + std::to_string(next_++); }
  void put(caf::actor& x) { x = someone_; }
  void put(error& x) { x = error{errc::io_failed, "cause " + std::to_string(next_++), "advice"}; }
  void put(configuration& x) { x.set("parallelism.default", std::to_string(++next_), config_layer::file, "a.yaml:1"); }
  template <class Rep, class Period>
  void put(std::chrono::duration<Rep, Period>& x) {
    x = std::chrono::duration<Rep, Period>{next_++};
  }
  template <class Clock, class Duration>
  void put(std::chrono::time_point<Clock, Duration>& x) {
    x = std::chrono::time_point<Clock, Duration>{Duration{next_++}};
  }
  template <class A, class B>
  void put(std::pair<A, B>& x) {
    (*this)(x.first, x.second);
  }
  template <class T>
  void put(std::optional<T>& x) {
    put(x.emplace());
  }
  template <class T>
  void put(std::shared_ptr<const T>& x) {
    auto made = std::make_shared<T>();
    put(*made);
    x = std::move(made);
  }
  template <class T>
  void put(std::vector<T>& x) {
    x.resize(2);
    for (auto& e : x)
      put(e);
  }
  template <class K, class V, class C>
  void put(std::map<K, V, C>& x) {
    for (int i = 0; i < 2; ++i) {
      std::pair<K, V> e;
      put(e);
      x.insert(std::move(e));
    }
  }
  caf::actor someone_;
  int next_ = 1;
};

struct wire {
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::actor someone = system.spawn([](caf::event_based_actor*) { return caf::behavior{[](int) {}}; });
  ~wire() { caf::anon_send_exit(someone, caf::exit_reason::kill); }

  template <class T>
  T sample() {
    T x;
    filler fill{someone};
    fill(x);
    return x;
  }
  /// Through CAF, as between processes.
  template <class T>
  std::vector<char> bytes_of(T& x) {
    std::vector<char> bytes;
    caf::binary_serializer to{system, bytes};
    REQUIRE_FALSE(to(x));
    return bytes;
  }
  template <class T>
  caf::error read(const std::vector<char>& bytes, T& x) {
    caf::binary_deserializer from{system, bytes};
    return from(x);
  }
};

/// Decoding ends with a value or with an error of ours: never out of bounds, never with another exception.
template <class T>
bool decodes(const std::string& bytes, const std::vector<caf::actor>& handles) {
  try {
    wire_reader in{bytes, handles};
    T x;
    in(x);
    in.finish();
    return true;
  } catch (const error&) {
    return false;
  }
}

template <class T>
void check(const char* name) {
  CAPTURE(name);
  wire w;
  auto sent = w.sample<T>();
  const auto bytes = w.bytes_of(sent);
  T received;
  REQUIRE_FALSE(w.read(bytes, received));
  CHECK(w.bytes_of(received) == bytes);

  wire_writer out;
  out(sent);
  const auto handles = out.handles();
  const auto plain = out.take();
  REQUIRE(decodes<T>(plain, handles));
  for (std::size_t n = 0; n < plain.size(); ++n)
    REQUIRE_FALSE(decodes<T>(plain.substr(0, n), handles));
  CHECK_FALSE(decodes<T>(plain + "x", handles));
  for (std::size_t at = 0; at < plain.size(); ++at)
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      auto damaged = plain;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      (void)decodes<T>(damaged, handles);
      (void)decodes<T>(damaged, {}); // handles that were not sent along
    }
}

} // namespace

TEST_CASE("every message between processes arrives as it was sent, and damaged bytes are an error") {
#define DATAFLOW_CHECK(name) check<name>(#name);
  DATAFLOW_CLUSTER_MESSAGES(DATAFLOW_CHECK)
  DATAFLOW_NETWORK_MESSAGES(DATAFLOW_CHECK)
#undef DATAFLOW_CHECK
  check<job_report>("job_report");
}

TEST_CASE("numbers that CAF's own encoding loses arrive") {
  wire w;
  tasks_queried sent;
  sent.metrics.groups.resize(1);
  const std::vector<double> values{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(),
                                   std::numeric_limits<double>::denorm_min(), -0.0, 1e300};
  for (auto v : values)
    sent.metrics.groups[0].metrics.push_back({"m", metric_kind::gauge, v});
  sent.metrics.groups[0].metrics.push_back({"nan", metric_kind::gauge, std::numeric_limits<double>::quiet_NaN()});
  tasks_queried received;
  REQUIRE_FALSE(w.read(w.bytes_of(sent), received));
  const auto& metrics = received.metrics.groups.at(0).metrics;
  REQUIRE(metrics.size() == values.size() + 1);
  for (std::size_t i = 0; i < values.size(); ++i) {
    CHECK(metrics[i].value == values[i]);
    CHECK(std::signbit(metrics[i].value) == std::signbit(values[i]));
  }
  CHECK(std::isnan(metrics.back().value));
}

TEST_CASE("a message that was cut short is an error to CAF, not an exception") {
  wire w;
  auto sent = w.sample<task_update>();
  auto bytes = w.bytes_of(sent);
  for (std::size_t n = 0; n < bytes.size(); n += 7) {
    task_update received;
    CHECK(w.read(std::vector<char>(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n)), received));
  }
}

TEST_CASE("a null handle stays null, and a job's description keeps its id only") {
  wire w;
  deploy_task sent;
  sent.key = {3, 1};
  auto job = std::make_shared<job_description>();
  job->id = "1f";
  job->name = "counts";
  job->tasks.seed = 7;
  sent.job = job;
  deploy_task received;
  received.job_master = w.someone;
  REQUIRE_FALSE(w.read(w.bytes_of(sent), received));
  CHECK_FALSE(received.job_master);
  REQUIRE(received.job);
  CHECK(received.job->id == "1f");
  CHECK(received.job->name == "counts");
  CHECK_FALSE(received.job->plan);
}

TEST_CASE("a job's origin with a configuration key of another version is refused by name") {
  wire_writer out;
  job_origin origin;
  out(origin.artifact, origin.library, origin.entry, origin.arguments, origin.files, origin.submit_time,
      origin.random_seed);
  std::map<std::string, configuration::entry> values{{"no.such.key", {"1", config_layer::file, "x"}}};
  out(values, origin.name, origin.fingerprint);
  try {
    decode_job_origin(out.take());
    FAIL("it was accepted");
  } catch (const error& e) {
    CHECK(e.code() == errc::unknown_option);
    CHECK(e.cause().find("no.such.key") != std::string::npos);
  }
}
