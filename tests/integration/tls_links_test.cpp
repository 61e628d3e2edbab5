// Links over mutual TLS, with certificates as tools/make-certificates makes them.
#include <dataflow/config/configuration.hpp>
#include <dataflow/util/log.hpp>

#include <tests/actors/linked_nodes.hpp>
#include <tests/integration/program.hpp>
#include <tests/support/error_of.hpp>
#include <tests/support/tcp_proxy.hpp>
#include <tests/support/tree_paths.hpp>

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

std::string bytes_of(const std::string& path) {
  auto file = system_files().open_read(path);
  std::string bytes(static_cast<std::size_t>(file->size()), '\0');
  file->read_at(bytes.data(), bytes.size(), 0);
  return bytes;
}

struct certificates {
  ::test::scratch directory;
  void make(const std::string& where, const std::vector<std::string>& nodes) {
    std::vector<std::string> command{source_path("tools/make-certificates"), directory.path(where)};
    command.insert(command.end(), nodes.begin(), nodes.end());
    const auto outcome = ::test::program{command}.wait();
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
  }
  actors::tls_files of(const std::string& where, const std::string& node) const {
    const auto base = directory.path(where) + "/";
    return {base + node + ".pem", base + node + ".key", base + "authority.pem"};
  }
};

error error_of_check(const actors::tls_files& tls) {
  return error_of([&] { actors::check(tls, system_files()); });
}

} // namespace

TEST_CASE("a job runs across two task managers over mutual TLS") {
  log_capture log;
  certificates certs;
  certs.make("ours", {"a", "b"});
  for (auto node : {"a", "b"})
    CHECK_FALSE(error_of_check(certs.of("ours", node)));
  linked_node a{"a", linked_node::quick(), certs.of("ours", "a")}, b{"b", linked_node::quick(), certs.of("ours", "b")};
  auto control = std::make_shared<job_control>();
  control->may_end = true;
  linked_job job{paced_job(control), {&a, &b}};
  job.start(0);
  CHECK(eventually([&] { return job.all(0, task_status::finished); }));
  CHECK(control->consumed == 100);
}

TEST_CASE("whoever has no certificate of the authority does not get a link") {
  log_capture log;
  certificates certs;
  certs.make("ours", {"b"});
  certs.make("theirs", {"a"});
  auto settings = linked_node::quick();
  settings.links.patience = 300ms;
  linked_node b{"b", settings, certs.of("ours", "b")};
  for (const auto& stranger : {certs.of("theirs", "a"), actors::tls_files{}}) {
    linked_node a{"a", settings, stranger};
    auto control = std::make_shared<job_control>();
    linked_job job{paced_job(control), {&a, &b}};
    job.start(stranger.enabled() ? 0 : 1);
    CHECK(eventually([&] { return job.all(stranger.enabled() ? 0 : 1, task_status::failed); }));
    CHECK(control->consumed == 0);
    CHECK(b.links->statistics().connections == 0);
  }
}

TEST_CASE("whoever speaks TLS and shows no certificate at all is refused, and hears nothing") {
  log_capture log;
  certificates certs;
  certs.make("ours", {"b"});
  linked_node b{"b", linked_node::quick(), certs.of("ours", "b")};
  const auto refused = ::test::program{
      {"/usr/bin/env", "timeout", "20", "openssl", "s_client", "-connect",
       "127.0.0.1:" + std::to_string(b.links->port()), "-CAfile", certs.of("ours", "b").authority, "-quiet",
       "-ign_eof"}}.wait();
  CHECK(refused.code == 1); // it was ended by the other side; 124: nobody has
  CHECK(refused.out == "");
  CHECK_MESSAGE(refused.err.find("certificate required") != std::string::npos, refused.err);
}

TEST_CASE("a certificate is renewed while the nodes run, and new connections use it") {
  log_capture log;
  certificates certs;
  certs.make("ours", {"a", "b"});
  linked_node a{"a", linked_node::quick(), certs.of("ours", "a")}, b{"b", linked_node::quick(), certs.of("ours", "b")};
  tcp_proxy proxy{b.links->port()};
  auto to_proxy = b.address;
  to_proxy.data_port = proxy.port();
  auto control = std::make_shared<job_control>();
  linked_job job{paced_job(control), {&a, &b}};
  job.start(0, {a.address, to_proxy});
  REQUIRE(eventually([&] { return control->consumed > 100; }));
  const auto tls = certs.of("ours", "b");
  const auto before = bytes_of(tls.certificate), key = bytes_of(tls.key);
  certs.make("ours", {"b"});
  CHECK(bytes_of(tls.certificate) != before);
  CHECK(bytes_of(tls.key) == key);
  proxy.cut();
  REQUIRE(eventually([&] { return job.all(0, task_status::failed); }));
  control->may_end = true;
  job.start(1, {a.address, to_proxy});
  CHECK(eventually([&] { return job.all(1, task_status::finished); }));
  CHECK(b.links->statistics().connections == 2);
}

TEST_CASE("TLS files that are missing, broken or do not belong together are refused, and named") {
  certificates certs;
  certs.make("ours", {"a", "b"});
  certs.make("theirs", {"a"});
  const auto good = certs.of("ours", "a");
  auto refused = [&](auto change, errc code, const std::string& named, const std::string& why) {
    auto tls = good;
    change(tls);
    const auto failure = error_of_check(tls);
    CHECK(failure.code() == code);
    CHECK(failure.cause().find(named) != std::string::npos);
    CHECK(failure.cause().find(why) != std::string::npos);
  };
  const auto garbage = certs.directory.file("garbage.pem", "not a certificate");
  const auto empty = certs.directory.file("empty.pem", "");
  auto cut = bytes_of(good.certificate);
  cut.resize(cut.size() / 2);
  const auto half = certs.directory.file("half.pem", cut);
  const auto half_behind = certs.directory.file("half_behind.pem", bytes_of(good.certificate) + cut);
  for (auto member : {&actors::tls_files::certificate, &actors::tls_files::key, &actors::tls_files::authority}) {
    refused([&](auto& t) { t.*member = certs.directory.path("none.pem"); }, errc::file_not_found, "none.pem", "");
    for (auto& bad : {garbage, empty, half})
      refused([&](auto& t) { t.*member = bad; }, errc::unsafe_configuration, bad, "can be read (PEM");
  }
  refused([&](auto& t) { t.certificate = half_behind; }, errc::unsafe_configuration, half_behind, "can be read (PEM");
  refused([&](auto& t) { t.key = certs.of("ours", "b").key; }, errc::unsafe_configuration, certs.of("ours", "b").key,
          "is not the key of the certificate");
  refused([&](auto& t) { t.authority = certs.of("theirs", "a").authority; }, errc::unsafe_configuration,
          good.certificate, "is not accepted by the authority");
}

TEST_CASE("TLS that is enabled without its files, and listening beyond the machine without TLS, are refused") {
  configuration c;
  CHECK_FALSE(actors::tls_files::from(c, system_files()).enabled());
  c.set("security.ssl.internal.enabled", "true");
  const auto failure = error_of([&] { actors::tls_files::from(c, system_files()); });
  CHECK(failure.code() == errc::invalid_option);
  CHECK(failure.cause().find("security.ssl.internal.certificate") != std::string::npos);

  for (const char* own : {"localhost", "127.0.0.1", "127.1.2.3", "::1"})
    CHECK_FALSE(error_of([&] { actors::check_listener(own, "a.bind-host", {}); }));
  for (const char* others : {"0.0.0.0", "10.0.0.1", "12.7.0.1", "192.168.0.1", "::", "a.example"})
    CHECK(error_of([&] { actors::check_listener(others, "a.bind-host", {}); }).code() == errc::unsafe_configuration);

  configuration open;
  open.set("taskmanager.bind-host", "0.0.0.0");
  const auto unsafe = error_of([&] { actors::data_links_settings_of(open, {}, 1); });
  CHECK(unsafe.code() == errc::unsafe_configuration);
  CHECK(unsafe.cause().find("taskmanager.bind-host") != std::string::npos);
  CHECK(actors::data_links_settings_of(open, {"a", "b", "c"}, 1).bind == "0.0.0.0");
}

TEST_CASE("the settings of links are those of the configuration") {
  configuration c;
  c.set("taskmanager.data.port", "4711");
  c.set("taskmanager.network.connect-timeout", "3 s");
  c.set("taskmanager.network.backoff.initial", "7 ms");
  c.set("taskmanager.network.backoff.max", "9 ms");
  c.set("taskmanager.network.compression.codec", "zstd");
  const auto s = actors::data_links_settings_of(c, {}, 1);
  CHECK(s.port == 4711);
  CHECK(s.bind == "127.0.0.1");
  CHECK(s.links.patience == 3s);
  CHECK(s.links.first_delay == 7ms);
  CHECK(s.links.longest_delay == 9ms);
  CHECK(s.compress == compression::zstd);
}

TEST_CASE("make-certificates refuses what cannot be a node's name") {
  ::test::scratch directory;
  for (auto name : {"../x", "-x", "a/b", "authority", "", "a b"}) {
    const auto outcome = ::test::program{{source_path("tools/make-certificates"), directory.path("d"), name}}.wait();
    CHECK(outcome.code == 1);
    CHECK(outcome.err.find("cannot be a node's name") != std::string::npos);
  }
}
