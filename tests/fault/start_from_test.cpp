// What a job can and cannot start from, and whose it is then. In the simulation.
#include <dataflow/util/log.hpp>

#include "tests/fault/savepoint_lab.hpp"
#include "tests/support/restarts.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

TEST_CASE("what a job cannot start from is refused at submission, saying why") {
  log_capture quiet;
  lab l;
  const auto path = stopped(l, [](environment& env) { totals(env); });
  auto refused = [&](const std::string& from, errc code, const std::string& text) {
    auto env = l.env();
    totals(env);
    env.start_from(from);
    const auto e = submit_error(env);
    CHECK_MESSAGE(e.code() == code, e.to_string());
    CHECK_MESSAGE(e.cause().find(text) != std::string::npos, e.to_string());
  };
  refused("/nowhere", errc::file_not_found, "there is no checkpoint or savepoint '/nowhere'");
  l.cluster->files().create_directories("/empty");
  refused("/empty", errc::file_not_found, "it is empty");
  l.cluster->files().write_file("/file", "x");
  refused("/file", errc::invalid_argument, "is not a checkpoint or savepoint");
  const auto metadata = l.cluster->files().read_file(path + "/_metadata");

  auto& files = l.cluster->files();
  files.create_directories("/half/chk-1");
  files.write_file("/half/chk-1/object", "x");
  refused("/half/chk-1", errc::file_not_found, "half");

  auto bytes = metadata.substr(0, metadata.size() - 8);
  bytes[8] = 99; // the version
  byte_writer sum;
  sum.fixed(stored_checksum(bytes)); // the frame is right
  files.create_directories("/newer");
  files.write_file("/newer/_metadata", bytes + sum.buffer());
  refused("/newer", errc::newer_format, "format version 99");

  files.create_directories("/torn");
  files.write_file("/torn/_metadata", metadata.substr(0, metadata.size() - 3));
  refused("/torn", errc::corrupt_state, "/torn");
}

TEST_CASE("a savepoint of which an object is gone is refused, not started from nothing") {
  log_capture quiet;
  lab l;
  auto build = [](environment& env) {
    env.configure("execution.checkpointing.data-inline-threshold", "0");
    totals(env);
  };
  const auto path = stopped(l, build);
  std::string object;
  for (auto& p : l.cluster->files().paths())
    if (p.find(path) == 0 && p.find("_metadata") == std::string::npos) object = p;
  REQUIRE_FALSE(object.empty());
  l.cluster->files().remove(object);
  auto env = l.env();
  build(env);
  env.start_from(path);
  const auto e = submit_error(env);
  CHECK(e.code() == errc::corrupt_state);
  CHECK(e.cause().find("is not there") != std::string::npos);
}

TEST_CASE("state that no operator takes is refused by name, and dropped when that is allowed") {
  log_capture quiet;
  lab l;
  const auto path = stopped(l, [](environment& env) { totals(env); });
  l.lines();
  auto fewer = [&](environment& env) {
    env.generate(
           [](std::int64_t i) {
             return numbered{i % keys, i};
           },
           {.count = all_numbers, .records_per_second = 3000})
        .uid("numbers")
        .map([](const numbered& n) { return n.second; })
        .print();
  };
  auto env = l.env();
  fewer(env);
  env.start_from(path);
  const auto e = submit_error(env);
  CHECK(e.code() == errc::unmatched_state);
  CHECK(e.cause().find("uid 'totals'") != std::string::npos);
  CHECK(e.advice().find("--allow-non-restored-state") != std::string::npos);

  auto allowed = l.env();
  fewer(allowed);
  allowed.start_from(path, claim_mode::no_claim, true);
  allowed.execute("job");
  const auto rest = l.lines();
  CHECK(rest.size() > 50);
  CHECK(rest.size() < all_numbers - 50); // the source went on from its position

  auto other = l.env();
  other.from_elements<std::int64_t>({1, 2, 3}).uid("elements").print();
  other.start_from(path);
  const auto of_another = submit_error(other);
  CHECK(of_another.code() == errc::unmatched_state);
  CHECK(of_another.cause().find("it is of job 'job'") != std::string::npos);
}

TEST_CASE("a state's name with another type is refused") {
  log_capture quiet;
  lab l;
  const auto path = stopped(l, [](environment& env) { totals(env); });
  auto env = l.env();
  env.generate(
         [](std::int64_t i) {
           return numbered{i % keys, i};
         },
         {.count = all_numbers, .records_per_second = 3000})
      .uid("numbers")
      .key_by([](const numbered& n) { return std::to_string(n.first); })
      .sum(&numbered::second)
      .uid("totals")
      .print()
      .uid("out");
  env.start_from(path);
  const auto e = submit_error(env);
  CHECK_MESSAGE(e.code() == errc::incompatible_state, e.to_string());
}

// ---- whose it is

TEST_CASE("NO_CLAIM leaves a checkpoint alone; the job restarts from it until it has one of its own") {
  log_capture quiet;
  lab l;
  const auto path = cancelled(l, [](environment& env) { totals(env); });
  l.lines();
  auto env = l.env();
  totals(env);
  env.enable_checkpointing(1h);
  env.configure("execution.checkpointing.dir", "/checkpoints");
  restart_at_fixed_delay(env, 10, "10 ms");
  env.start_from(path);
  auto job = env.execute_async("job");
  l.cluster->run_for(20ms);
  REQUIRE(l.cluster->kill(actor_kind::task));
  l.cluster->run_for(30ms);
  CHECK(job->report().checkpoints.restored == 2);
  const auto own = job->trigger_checkpoint();
  CHECK(own != path);
  CHECK(own.substr(own.rfind('-') + 1) > path.substr(path.rfind('-') + 1)); // numbers go on
  l.cluster->files().remove_all(path);                                      // nobody needs it any more
  REQUIRE(l.cluster->kill(actor_kind::task));
  CHECK(job->wait().status == job_status::finished);
  totals_by_key last;
  for (auto& line : l.lines()) {
    auto& t = last[std::stoll(line)];
    t = std::max(t, static_cast<std::int64_t>(std::stoll(line.substr(line.find(' ') + 1))));
  }
  CHECK(last == expected_totals());
}

TEST_CASE("CLAIM gives it to the job, which removes it like a checkpoint of its own") {
  log_capture quiet;
  for (const bool savepoint : {true, false}) {
    lab l;
    auto build = [](environment& env) { totals(env, {}, 1500); };
    const auto path = savepoint ? stopped(l, build) : cancelled(l, build);
    auto env = l.env();
    build(env);
    env.enable_checkpointing(1h);
    env.configure("execution.checkpointing.dir", "/checkpoints");
    env.start_from(path, claim_mode::claim);
    auto job = env.execute_async("job");
    l.cluster->run_for(20ms);
    job->trigger_checkpoint();
    CHECK(l.exists(path + "/_metadata")); // two are kept
    job->trigger_checkpoint();
    CHECK_FALSE(l.exists(path));
    CHECK(job->wait().status == job_status::finished);
  }
}

TEST_CASE("the checkpoint of a job that still runs cannot be claimed") {
  log_capture quiet;
  lab l{1, "15 ms"};
  auto env = l.env();
  totals(env);
  auto job = env.execute_async("job");
  l.cluster->run_for(60ms);
  const auto path = job->trigger_checkpoint();
  auto second = l.env();
  totals(second);
  second.start_from(path, claim_mode::claim);
  CHECK(submit_error(second).code() == errc::storage_locked);
  job->wait();
}

TEST_CASE("a job whose savepoint has vanished before its first checkpoint does not begin anew") {
  log_capture quiet;
  lab l;
  auto build = [](environment& env) {
    env.configure("execution.checkpointing.data-inline-threshold", "0");
    env.configure("restart-strategy.type", "fixed-delay");
    env.configure("restart-strategy.fixed-delay.delay", "10 ms");
    totals(env);
  };
  const auto path = stopped(l, build);
  auto env = l.env();
  build(env);
  env.start_from(path);
  auto job = env.execute_async("job");
  l.cluster->run_for(20ms);
  l.cluster->files().remove_all(path);
  REQUIRE(l.cluster->kill(actor_kind::task));
  const auto result = job->wait();
  CHECK(result.status == job_status::failed);
  CHECK(result.failure.cause().find(path) != std::string::npos);
}

TEST_CASE("savepoints and left checkpoints are disposed of") {
  log_capture quiet;
  lab l;
  auto build = [](environment& env) { totals(env); };
  const auto savepoint = stopped(l, build), checkpoint = cancelled(l, build);
  auto& files = l.cluster->files();
  CHECK(test::error_of([&] { dispose_savepoint(files, "/nowhere"); }).code() == errc::file_not_found);
  files.create_directories("/mine");
  files.write_file("/mine/letter", "x");
  CHECK(test::error_of([&] { dispose_savepoint(files, "/mine"); }).code() == errc::file_not_found);
  CHECK(files.exists("/mine/letter"));
  dispose_savepoint(files, savepoint + "/_metadata");
  CHECK_FALSE(files.exists(savepoint));
  CHECK(files.exists(checkpoint));
  dispose_savepoint(files, "file:" + checkpoint);
  CHECK_FALSE(files.exists(checkpoint));
}
