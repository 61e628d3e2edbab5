#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <map>
#include <poll.h>
#include <sstream>
#include <sys/syscall.h>
#include <tests/integration/program.hpp>
#include <tests/support/tree_paths.hpp>
#include <unistd.h>

using dataflow::test::dataflow_command;
using dataflow::test::outcome;
using dataflow::test::scratch;

namespace {

outcome run(std::vector<std::string> arguments) { return dataflow::test::dataflow(std::move(arguments)); }

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string library(const std::string& name) {
  return dataflow::test::build_path("tests/job_libraries/lib") + name + ".so";
}

void add_words(const std::string& text, std::map<std::string, std::int64_t>& counts) {
  std::string word;
  for (const char c : text + "\n") {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '_')
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    else if (!word.empty())
      ++counts[std::exchange(word, {})];
  }
}

/// As the example prints them.
std::string top_lines(const std::map<std::string, std::int64_t>& counts, std::size_t top) {
  std::vector<std::pair<std::string, std::int64_t>> all(counts.begin(), counts.end());
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string out;
  for (std::size_t i = 0; i < std::min(top, all.size()); ++i) {
    const auto count = std::to_string(all[i].second);
    out += std::string(10 - std::min<std::size_t>(10, count.size()), ' ') + count + "  " + all[i].first + "\n";
  }
  return out;
}

} // namespace

TEST_CASE("word_count prints the top words of the files that are named") {
  const scratch dir;
  const auto a = dir.file("a.txt", "To be, or not to be: that is the question.\n");
  const auto b = dir.file("b.txt", "be_1 BE\xff"
                                   "be\n");
  const auto r = run({"run", "-q", "-p", "2", "word_count", "--input", a, "--input", b, "--top", "3"});
  CHECK(r.code == 0);
  CHECK(r.out == "         4  be\n         2  to\n         1  be_1\n");
  CHECK(r.err.empty());
}

TEST_CASE("word_count over a directory counts what a plain loop counts, at any parallelism, with or without chaining") {
  std::map<std::string, std::int64_t> counts;
  auto& files = dataflow::system_files();
  const std::string directory = dataflow::test::source_path("docs");
  for (const auto& f : dataflow::find_files(files, directory))
    add_words(files.read_file(f.path), counts);
  const auto expected = top_lines(counts, 15);
  for (const auto* p : {"1", "3"}) {
    const auto r = run({"run", "-q", "word_count", "-p", p, "--input", directory, "--top", "15"});
    CHECK(r.code == 0);
    CHECK(r.out == expected);
  }
  const auto unchained = run(
      {"run", "-q", "-Dpipeline.operator-chaining.enabled=false", "word_count", "--input", directory, "--top", "15"});
  CHECK(unchained.out == expected);
}

TEST_CASE("a run that is not quiet says what was submitted and how it ended") {
  const scratch dir;
  const auto r = run({"run", "word_count", "--input", dir.file("a", "x\n")});
  CHECK(r.code == 0);
  CHECK(r.out == "         1  x\n");
  CHECK(contains(r.err, "Job has been submitted with JobID "));
  CHECK(contains(r.err, " has finished.\nJob Runtime: "));
  CHECK(!contains(r.err, "\x1b[")); // no terminal, no control sequences
}

TEST_CASE("with --json standard output is one object per line, the last one the result") {
  const scratch dir;
  const auto r = run({"run", "--json", "word_count", "--input", dir.file("a", "x y x\n")});
  CHECK(r.code == 0);
  std::istringstream lines{r.out};
  nlohmann::json last;
  for (std::string line; std::getline(lines, line);) {
    last = nlohmann::json::parse(line);
    CHECK(last.contains("type"));
  }
  CHECK(last["type"] == "result");
  CHECK(last["status"] == "FINISHED");
  std::int64_t counted = 0;
  for (const auto& group : last["metrics"])
    if (group["scope"].value("operator", "") == "Count")
      counted += group["metrics"]["numRecordsIn"].get<std::int64_t>();
  CHECK(counted == 3);
  CHECK(contains(r.err, "2  x")); // what the job prints
  const auto bad = run({"run", "--json", "no_such_job"});
  CHECK(nlohmann::json::parse(bad.out)["code"] == "job_not_found");
}

TEST_CASE("--metrics shows at the end what job, tasks and operators have counted, also when the job is quiet") {
  const scratch dir;
  const auto r = run({"run", "-q", "--metrics", "-p", "2", "word_count", "--input", dir.file("a", "x y x\n")});
  CHECK(r.code == 0);
  CHECK(r.err.starts_with("Metrics:\njob\n  numRestarts: 0\n"));
  CHECK(contains(r.err, " (2 subtasks)\n  numRecordsIn: "));
  CHECK(contains(r.err, "  Count\n    numRecordsIn: 3\n"));
}

TEST_CASE("mistyped commands, flags, keys, parameters and jobs are refused with the near one") {
  struct {
    std::vector<std::string> arguments;
    int code;
    std::string advice;
  } const cases[] = {
      {{"rnu", "word_count"}, 2, "did you mean run?"},
      {{"run", "--paralelism", "2", "word_count"}, 2, "did you mean --parallelism?"},
      {{"run", "--quite", "word_count"}, 2, "did you mean --quiet?"},
      {{"run", "-Dparallelism.defualt=2", "word_count"}, 2, "did you mean parallelism.default?"},
      {{"run", "word_count", "--inptu", "x"}, 2, "did you mean --input?"},
      {{"run", "word_count", "--paralelism", "2"}, 2, "did you mean --parallelism, a flag of the command line?"},
      {{"run", "word_cuont"}, 3, "did you mean word_count?"},
      {{"info", "--fromat", "json", "word_count"}, 2, "did you mean --format?"},
      {{"options", "--yml"}, 2, "did you mean --yaml?"},
  };
  for (const auto& c : cases) {
    const auto r = run(c.arguments);
    CAPTURE(c.arguments.back());
    CHECK(r.code == c.code);
    CHECK_MESSAGE(contains(r.err, c.advice), r.err);
    CHECK(r.out.empty());
  }
}

TEST_CASE("values that do not fit are refused before anything runs") {
  const scratch dir;
  CHECK(run({"run", "-p", "0", "word_count"}).code == 2);
  CHECK(run({"run", "-p", "many", "word_count"}).code == 2);
  CHECK(run({"run", "-p", "40000", "word_count"}).code == 2);
  CHECK(run({"run", "-Dnothing", "word_count"}).code == 2);
  CHECK(run({"run", "word_count", "--top", "ten"}).code == 2);
  CHECK(run({"run", "word_count", "stray"}).code == 2);
  CHECK(run({"run"}).code == 2);
  CHECK(run({"info", "--format", "xml", "word_count"}).code == 2);
  const auto conf = dir.file("c.yaml", "\nexecution.buffer-timeout: soon\n");
  const auto r = run({"run", "--config", conf, "word_count"});
  CHECK(r.code == 2);
  CHECK(contains(r.err, conf + ":2: execution.buffer-timeout: \"soon\" is no valid value"));
  CHECK(run({"run", "--config", dir.path("missing.yaml"), "word_count"}).code == 3);
  CHECK(run({"run", "--config", "/tmp", "word_count"}).code == 3);
  for (const std::string flag : {"--stop-after=1s", "--stop-with-savepoint=/savepoints"}) {
    const auto left_to_others = run({"run", "-d", "-m", "127.0.0.1:1", flag, "word_count"});
    CHECK(left_to_others.code == 2);
    CHECK(contains(left_to_others.err, flag.substr(0, flag.find('=')) + " is for jobs that this process waits for"));
  }
}

TEST_CASE("input that is missing fails the job and names the file") {
  const auto r = run({"run", "-q", "word_count", "--input", "/nonexistent/book.txt"});
  CHECK(r.code == 1);
  CHECK(contains(r.err, "/nonexistent/book.txt"));
  CHECK(r.out.empty());
}

TEST_CASE("empty input is no error") {
  const scratch dir;
  const auto r = run({"run", "-q", "word_count", "--input", dir.file("empty", "")});
  CHECK(r.code == 0);
  CHECK(r.out.empty());
}

TEST_CASE("job libraries that cannot run are refused with the reason") {
  CHECK(run({"run", library("test_no_job")}).code == 3);
  CHECK(contains(run({"run", library("test_wrong_version")}).err, "was built for dataflow 99.1.0"));
  CHECK(contains(run({"run", dataflow::test::source_path("README.md")}).err, "is no job library"));
  const auto several = run({"run", library("test_jobs")});
  CHECK(several.code == 3);
  CHECK(contains(several.err, "name one of asks, crashes_once, finds_a_bug, never_ends, prints_one, requires_input, "));
  const auto thrown = run({"run", library("test_jobs"), "-c", "throws"});
  CHECK(thrown.code == 3);
  CHECK(contains(thrown.err, "job throws failed while it built its graph: std::runtime_error: no graph today"));
  CHECK(contains(run({"run", library("test_jobs"), "-c", "throws_strangely"}).err, "not a std::exception"));
  const auto missing = run({"run", library("test_jobs"), "-c", "requires_input"});
  CHECK(missing.code == 2);
  CHECK(contains(missing.err, "job requires_input: the job needs the parameter --input"));
  CHECK(run({"run", library("test_jobs"), "-c", "asks"}).code == 3); // a job without a sink
}

TEST_CASE("a broken invariant has an exit code of its own, in the foreground and detached") {
  const std::vector<std::string> job{library("test_jobs"), "-c", "finds_a_bug"};
  for (const auto* how : {"-q", "-d"}) {
    std::vector<std::string> arguments{"run", how};
    arguments.insert(arguments.end(), job.begin(), job.end());
    const auto r = run(arguments);
    CAPTURE(how);
    CHECK(r.code == 70);
    CHECK_MESSAGE(contains(r.err, "internal"), r.err);
    CHECK_MESSAGE(contains(r.err, "job finds_a_bug: two ends of an edge disagree"), r.err);
  }
}

TEST_CASE("a detached job whose process dies before it has started tells its signal") {
  const scratch dir;
  const auto r =
      run({"run", "-d", "-Dio.tmp.dirs=" + dir.path(""), library("test_jobs"), "-c", "takes_the_process_along"});
  CHECK(r.code == 128 + SIGKILL);
  CHECK(r.out.empty());
  CHECK_MESSAGE(contains(r.err, "signal 9"), r.err);
  CHECK_MESSAGE(contains(r.err, dir.path("dataflow-job-")), r.err);
}

TEST_CASE("--explain says what holds event time back: operator, channel, split") {
  auto explained = [](const std::string& job, const std::string& until) {
    dataflow::test::program p{dataflow_command(
        {"run", "-q", "--explain", "-Dmetrics.fetcher.update-interval=10 ms", library("test_silent"), "-c", job})};
    CHECK(p.wait_for_error(until));
    p.signal(SIGINT);
    const auto r = p.wait();
    CHECK(r.code == 130);
    return r.err;
  };
  const auto split = explained("silent_split", "No record has come from there");
  CHECK_MESSAGE(contains(split, "event time: Sink: Discard (1/1) is held back by "), split);
  CHECK_MESSAGE(
      contains(split, "is held back by Source: silent (1/1), split \"0\", on channel Source: silent (1/1) -> "), split);
  CHECK_MESSAGE(contains(split, "with_idleness()"), split);
  const auto bare = explained("no_strategy", "has no watermark strategy");
  CHECK_MESSAGE(contains(bare, "is held back by Source: bare (1/1), split \"0\", on channel Source: bare (1/1) -> "),
                bare);
  CHECK_MESSAGE(contains(bare, "assign_timestamps_and_watermarks()"), bare);

  dataflow::test::program silent{dataflow_command(
      {"run", "-Dmetrics.fetcher.update-interval=10 ms", library("test_silent"), "-c", "no_strategy"})};
  REQUIRE(silent.wait_for_error("busy "));
  silent.signal(SIGINT);
  CHECK(!contains(silent.wait().err, "event time: "));
}

TEST_CASE("info shows the plan as text, JSON and Graphviz, without running anything") {
  const auto text = run({"info", "word_count", "-p", "2", "--input", "/nonexistent"});
  CHECK(text.code == 0);
  CHECK(contains(text.out, "Split"));
  const auto json = run({"info", "--json", "word_count"});
  CHECK(nlohmann::json::parse(json.out).contains("nodes"));
  const auto dot = run({"info", "--format", "dot", "word_count"});
  CHECK(dot.out.starts_with("digraph"));
}

TEST_CASE("examples, options, help and version") {
  const auto examples = run({"examples"});
  CHECK(examples.code == 0);
  CHECK(contains(examples.out, "word_count "));
  CHECK(contains(run({"options"}).out, "parallelism.default: 1"));
  CHECK(contains(run({"options", "--yaml"}).out, "parallelism.default: 1\n"));
  CHECK(run({"--version"}).out.starts_with("dataflow 0."));
  CHECK(contains(run({"--help"}).out, "run"));
  CHECK(run({"run", "--help"}).code == 0);
  CHECK(run({}).code == 0);
}

TEST_CASE("every example has a description and runs") {
  std::istringstream lines{run({"examples"}).out};
  for (std::string line; std::getline(lines, line) && !line.empty();)
    CHECK_MESSAGE(line.size() > 25, line);
  CHECK(run({"run", "-q", "running_sum", "--records", "100000", "-p", "2"}).code == 0);
  const auto loop = run({"run", "-q", "collatz", "--numbers", "1"});
  CHECK(loop.code == 0);
  CHECK(loop.out == "1 takes 0 steps\n");
}

TEST_CASE("Ctrl-C cancels the job, and says so in the exit code") {
  dataflow::test::program p{dataflow_command({"run", "running_sum", "--records", "1000000000000"})};
  REQUIRE(p.wait_for_error("Job has been submitted"));
  p.signal(SIGINT);
  const auto r = p.wait();
  CHECK(r.code == 130);
  CHECK(contains(r.err, "Cancelling the job; once more aborts."));
  CHECK(contains(r.err, "was cancelled."));
}

TEST_CASE("a second Ctrl-C aborts at once, also a job that cannot be cancelled") {
  dataflow::test::program p{dataflow_command({"run", library("test_jobs"), "-c", "never_ends"})};
  REQUIRE(p.wait_for_error("Job has been submitted"));
  p.signal(SIGINT);
  REQUIRE(p.wait_for_error("once more aborts"));
  p.signal(SIGINT);
  const auto r = p.wait();
  CHECK(r.code == 130);
  CHECK(contains(r.err, "aborted"));
}

TEST_CASE("a line that is longer than the configured limit fails the job and names the file") {
  const scratch dir;
  const auto input = dir.file("long", std::string(3000, 'x') + "\n");
  const auto r = run({"run", "-q", "-Dtaskmanager.record.max-bytes=1kb", "word_count", "--input", input});
  CHECK(r.code == 1);
  CHECK(contains(r.err, input));
  CHECK(run({"run", "-q", "word_count", "--input", input}).code == 0);
}

TEST_CASE("progress is shown as plain lines when nobody watches on a terminal") {
  dataflow::test::program p{dataflow_command(
      {"run", "running_sum", "--records", "1000000000000", "-Dmetrics.fetcher.update-interval=10 ms"})};
  REQUIRE(p.wait_for_error("RUNNING | Source: "));
  p.signal(SIGTERM);
  const auto r = p.wait();
  CHECK(r.code == 143);
  CHECK(contains(r.err, "/s, busy "));
}

TEST_CASE("on a terminal progress is a block that is drawn again in its place, and gone at the end") {
  dataflow::test::program p{
      dataflow_command({"run", "running_sum", "--records", "1000000000000", "-Dmetrics.fetcher.update-interval=10 ms"}),
      dataflow::test::program::error_stream::terminal};
  REQUIRE(p.wait_for_error("Source: "));
  p.signal(SIGINT);
  const auto r = p.wait();
  CHECK(r.code == 130);
  const std::string taken_away = "A\x1b[J"; // so many lines up, and clear to the end
  const auto end = r.err.find(taken_away, r.err.find("Source: "));
  REQUIRE_MESSAGE(end != std::string::npos, r.err);
  const auto begin = r.err.rfind("running_sum  ", end);
  REQUIRE_MESSAGE(begin != std::string::npos, r.err);
  const auto block = r.err.substr(begin, end - begin);
  for (const auto* part : {"in/s", "out/s", "records", "busy", "back-pressure", "Source: "})
    CHECK_MESSAGE(contains(block, part), block);
  const auto lines = std::to_string(std::count(block.begin(), block.end(), '\n'));
  CHECK_MESSAGE(block.ends_with("\x1b[" + lines), block);
  const auto rest = r.err.substr(r.err.rfind(taken_away));
  CHECK_MESSAGE(contains(rest, "was cancelled."), rest);
  CHECK_MESSAGE(!contains(rest, "in/s"), rest);
}

TEST_CASE("a detached job goes on in a process of its own") {
  const scratch dir;
  const auto r = run({"run", "-d", "-Dio.tmp.dirs=" + dir.path(""), "word_count", "--input", dir.file("a", "x\n")});
  CHECK(r.code == 0);
  CHECK(contains(r.out, "Job has been submitted with JobID "));
  CHECK(contains(r.out, "It runs in process "));
  CHECK(run({"run", "-d", "no_such_job"}).code == 3);
}

namespace {

/// A job that was started with -d.
struct detached_job {
  explicit detached_job(const scratch& dir, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"run", "-d", "-Dio.tmp.dirs=" + dir.path("")});
    start = run(std::move(arguments));
    const std::string before_pid = "It runs in process ", before_log = "and writes to ";
    const auto at_pid = start.out.find(before_pid), at_log = start.out.find(before_log);
    REQUIRE(at_pid != std::string::npos);
    REQUIRE(at_log != std::string::npos);
    pid = std::stoi(start.out.substr(at_pid + before_pid.size()));
    log = start.out.substr(at_log + before_log.size());
    log.pop_back();                                                // the end of the line
    process = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); // fails when it is gone already
  }
  ~detached_job() {
    if (process >= 0) {
      ::syscall(SYS_pidfd_send_signal, process, SIGKILL, nullptr, 0);
      ::close(process);
    }
  }
  /// What it has written when it has ended.
  std::string output() const {
    pollfd ended{process, POLLIN, 0};
    while (process >= 0 && ::poll(&ended, 1, -1) < 0 && errno == EINTR) {
    }
    return dataflow::system_files().read_file(log);
  }
  outcome start;
  pid_t pid = -1;
  std::string log;
  int process = -1;
};

} // namespace

TEST_CASE("a detached job runs to its end when nobody waits; its output and its end are in the file that was named") {
  const scratch dir;
  const detached_job job{dir, {"word_count", "--metrics", "--input", dir.file("a", "x y x\n")}};
  const auto text = job.output();
  CHECK_MESSAGE(contains(text, "2  x\n"), text);
  CHECK_MESSAGE(contains(text, " has finished.\nJob Runtime: "), text);
  CHECK_MESSAGE(contains(text, "Metrics:\njob\n"), text);
  CHECK(!contains(text, "\x1b[")); // no terminal, no control sequences
}

TEST_CASE("a detached job goes on without its shell, and is cancelled by a signal to its process") {
  const scratch dir;
  const detached_job job{dir, {"running_sum", "--records", "1000000000000"}};
  ::kill(job.pid, SIGHUP); // what a terminal sends that goes away
  ::kill(job.pid, SIGTERM);
  const auto text = job.output();
  CHECK_MESSAGE(contains(text, "was cancelled."), text);
}

TEST_CASE("a detached job reads the configuration of its log again at SIGHUP") {
  const scratch dir;
  auto& files = dataflow::system_files();
  const auto config = dir.file("conf.yaml", "log.level: error\n"), log = dir.path("logs/job.log");
  const detached_job job{dir,
                         {"running_sum", "--config", config, "-Dlog.file.path=" + log, "--records", "1000000000000"}};
  const auto wait_for_line = [&](const std::string& line) {
    while (!contains(files.read_file(log), line))
      ::poll(nullptr, 0, 5);
  };
  files.write_file(config, "log.level: loud\n");
  ::kill(job.pid, SIGHUP);
  wait_for_line("SIGHUP: the log goes on as before: invalid_option: ");
  CHECK(!contains(files.read_file(log), " info "));
  files.write_file(config, "log.level: info\nlog.format: json\n");
  ::kill(job.pid, SIGHUP);
  wait_for_line("SIGHUP: the configuration of the log was read again; its level is info");
  ::kill(job.pid, SIGTERM);
  job.output();
  const auto text = files.read_file(log);
  CHECK_MESSAGE(contains(text, "\"level\":\"info\",\"logger\":\"job master\",\"job\":\""), text);
}

TEST_CASE("a detached job that fails says why in the file that was named") {
  const scratch dir;
  const detached_job job{dir, {"word_count", "--input", "/nonexistent/book.txt"}};
  const auto text = job.output();
  CHECK_MESSAGE(contains(text, "/nonexistent/book.txt"), text);
}

TEST_CASE("new writes a project, and refuses names and places that do not do") {
  const scratch dir;
  const auto r = run({"new", "my_job", dir.path("project")});
  CHECK(r.code == 0);
  auto& files = dataflow::system_files();
  CHECK(contains(files.read_file(dir.path("project/my_job.cpp")), "DATAFLOW_JOB(my_job)"));
  CHECK(contains(files.read_file(dir.path("project/CMakeLists.txt")), "dataflow_add_job(my_job my_job.cpp)"));
  CHECK(!contains(files.read_file(dir.path("project/README.md")), "@name@"));
  CHECK(run({"new", "my_job", dir.path("project")}).code == 2); // not empty
  CHECK(run({"new", "my-job", dir.path("other")}).code == 2);
  CHECK(run({"new", "1job", dir.path("other")}).code == 2);
  CHECK(run({"new", "job", dir.file("a_file", "")}).code == 2);
}

TEST_CASE("the example with asynchronous look-ups asks SQLite and an HTTP server") {
  const auto r = run({"run", "-q", "lookups", "--orders", "8"});
  CHECK(r.code == 0);
  std::istringstream text{r.out};
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);)
    lines.push_back(line);
  std::sort(lines.begin(), lines.end()); // answers come in any order
  CHECK(lines == std::vector<std::string>{
                     "order 1: Grace pays 320 cents for coffee",
                     "order 2: Edsger pays 410 cents for cake",
                     "order 3: invalid_argument: the shop has no soup",
                     "order 4: Grace pays 250 cents for tea",
                     "order 5: Edsger pays 320 cents for coffee",
                     "order 6: Ada pays 410 cents for cake",
                     "order 7: invalid_argument: the shop has no soup",
                     "order 8: Edsger pays 250 cents for tea",
                 });
}
