// `dataflow doctor` as people and scripts call it.
#include <dataflow/util/network.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <sstream>
#include <tests/integration/program.hpp>

TEST_CASE("doctor ends with 0 on a good node and with 1 when something will not work, and says what to do") {
  const dataflow::test::scratch dir;
  const auto listener = dataflow::system_network().listen(0);
  const auto node = "127.0.0.1:" + std::to_string(listener->port());
  const auto good = dataflow::test::dataflow({"doctor", "-Dio.tmp.dirs=" + dir.path("tmp"), "--reach", node});
  CHECK_MESSAGE(good.code == 0, good.out);
  CHECK(good.out.find("node        " + node + ": answers") != std::string::npos);
  CHECK(good.out.find(" 0 fail\n") != std::string::npos);

  const auto config = dir.file("conf.yaml", "execution.checkpointing.dir: " + dir.file("file", "") + "/below\n");
  const auto bad = dataflow::test::dataflow({"doctor", "--json", "--config", config, "--reach", node});
  CHECK(bad.code == 1);
  std::istringstream lines{bad.out};
  int failures = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto j = nlohmann::json::parse(line);
    if (j["result"] != "fail") continue;
    ++failures;
    CHECK(j["check"] == "directory");
    CHECK(j["subject"] == "execution.checkpointing.dir");
    CHECK(!j["advice"].get<std::string>().empty());
  }
  CHECK(failures == 1);
  CHECK(dataflow::test::dataflow({"doctor", "--raech", node}).code == 2);
}
