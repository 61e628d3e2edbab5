// `dataflow state` on the checkpoint that is kept for its format.
#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <sstream>
#include <tests/integration/program.hpp>
#include <tests/support/tree_paths.hpp>

namespace {

const std::string kept_checkpoint = dataflow::test::source_path("tests/golden/data/checkpoint-format-1/job/chk-7");

dataflow::test::outcome state_command(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "state");
  return dataflow::test::dataflow(std::move(arguments));
}

} // namespace

TEST_CASE("dataflow state lists, inspects and exports a checkpoint without its job") {
  auto r = state_command({"list", kept_checkpoint});
  CHECK(r.code == 0);
  CHECK(r.out.find("checkpoint 7 of job 'word count' (0123456789abcdef0123456789abcdef)") == 0);
  CHECK(r.out.find("counts/count     keyed      ") != std::string::npos);
  CHECK(r.out.find("string -> int64\n") != std::string::npos);
  r = state_command({"list", "--json", kept_checkpoint + "/_metadata"});
  CHECK(nlohmann::json::parse(r.out.substr(0, r.out.find('\n')))["state"] == "count");
  r = state_command({"inspect", kept_checkpoint, "counts/count", "--top", "1"});
  CHECK(r.out.find("16 entries, ") == 0);
  CHECK(r.out.find("16 key groups in use") != std::string::npos);
  r = state_command({"inspect", kept_checkpoint, "counts/count", "--json"});
  CHECK(nlohmann::json::parse(r.out)["entries"] == 16);

  r = state_command({"export", kept_checkpoint, "counts/count"});
  CHECK(r.code == 0);
  std::istringstream lines{r.out};
  int n = 0;
  for (std::string line; std::getline(lines, line); ++n) {
    const auto j = nlohmann::json::parse(line);
    CHECK(j["key"] == "group " + std::to_string(j["value"].get<int>()));
    CHECK(j["key_group"] == j["value"]);
  }
  CHECK(n == 16);
}

TEST_CASE("dataflow state finds the value of a key and compares two checkpoints") {
  CHECK(state_command({"get", kept_checkpoint, "counts/count", "group 73"}).out == "73\n");
  CHECK(state_command({"get", kept_checkpoint, "counts/count", "\"group 73\""}).out == "73\n");
  auto r = state_command({"get", kept_checkpoint, "counts/count", "group 74"});
  CHECK(r.code == 3);
  CHECK(r.err.find("has no key group 74") != std::string::npos);
  r = state_command({"diff", kept_checkpoint, kept_checkpoint, "counts/count"});
  CHECK(r.code == 0);
  CHECK(r.out.empty());
}

TEST_CASE("dataflow state explains what is wrong with what it is given") {
  CHECK(state_command({}).code == 2);
  CHECK(state_command({"lst", kept_checkpoint}).code == 2);
  CHECK(state_command({"inspect", kept_checkpoint}).code == 2);
  CHECK(state_command({"inspect", kept_checkpoint, "count"}).code == 2);
  CHECK(state_command({"--help"}).out.find("Look into a checkpoint") != std::string::npos);
  auto r = state_command({"list", kept_checkpoint + "/nowhere"});
  CHECK(r.code == 3);
  CHECK(r.err.find("there is no checkpoint or savepoint") != std::string::npos);
  r = state_command({"inspect", kept_checkpoint, "counts/cont"});
  CHECK(r.code == 3);
  CHECK(r.err.find("there are: counts/count, counts/rules, lines/positions") != std::string::npos);
}

TEST_CASE("dataflow state rewrite writes a savepoint with what a command makes of the entries") {
  const dataflow::test::scratch dir;
  auto r = state_command({"rewrite", kept_checkpoint, "counts/count", "--with",
                          "grep -v 'group 73' | sed 's/\"value\":9,/\"value\":9000,/'", "--to", dir.path("new")});
  CHECK_MESSAGE(r.code == 0, r.err);
  CHECK(r.out.find("State 'counts/count': 15 entries, 1 left out.\nSavepoint written. Path: file:") == 0);
  CHECK(state_command({"list", dir.path("new")}).out.find("savepoint 7 of job 'word count'") == 0);
  CHECK(state_command({"get", dir.path("new"), "counts/count", "group 9"}).out == "9000\n");
  CHECK(state_command({"get", dir.path("new"), "counts/count", "group 73"}).code == 3);
  r = state_command({"diff", kept_checkpoint, dir.path("new"), "counts/count"});
  CHECK(r.out == "- \"group 9\" -> 9\n+ \"group 9\" -> 9000\n- \"group 73\" -> 73\n");

  r = state_command({"rewrite", kept_checkpoint, "counts/count", "--with", "cat", "--to", dir.path("new")});
  CHECK(r.code == 3);
  CHECK(r.err.find("is not empty") != std::string::npos);
  r = state_command({"rewrite", kept_checkpoint, "counts/count", "--with", "exit 7", "--to", dir.path("no")});
  CHECK(r.code == 3);
  CHECK(r.err.find("the command `exit 7` ended with 7") != std::string::npos);
  r = state_command({"rewrite", kept_checkpoint, "counts/count", "--with", "sed 's/\"value\":9,/\"value\":[],/'",
                     "--to", dir.path("no")});
  CHECK(r.code == 3);
  CHECK(r.err.find("(key \"group 9\"): the value: [] is no int64") != std::string::npos);
  r = state_command({"rewrite", kept_checkpoint, "counts/count", "--with",
                     "rm \"$(readlink /proc/self/fd/0 | sed s/before$/after/)\"", "--to", dir.path("no")});
  CHECK(r.code == 3);
  CHECK(r.err.find("what the command wrote cannot be read") != std::string::npos);
  CHECK_FALSE(dataflow::system_files().exists(dir.path("no")));
  CHECK(state_command({"rewrite", kept_checkpoint, "counts/count", "--to", dir.path("no")}).code == 2);
}
