// `dataflow simulate`: a job on many simulated nodes, from the command line.
#include <doctest/doctest.h>

#include <tests/integration/program.hpp>
#include <tests/support/effort.hpp>

using namespace dataflow;

TEST_CASE("dataflow simulate runs an example on many nodes with faults, and says how it ended") {
  const test::scratch files;
  std::string text;
  for (int i = 0; i < 300; ++i)
    text += "word" + std::to_string(i % 7) + " line\n";
  const auto in = files.file("in.txt", text);
  const auto seeds = std::to_string(test::rounds(20));
  const auto done = test::dataflow({"simulate", "count_to_files", "-p", "2", "--nodes", "3", "--seeds", seeds,
                                    "--faults", "4", "--copy", in, "--input", in, "--output", "/out"});
  INFO(done.out);
  INFO(done.err);
  CHECK(done.code == 0);
  CHECK(done.out.find(seeds + " runs ended as the one without faults") != std::string::npos);
  CHECK(done.err.empty());
}

TEST_CASE("a simulated run that ends otherwise than without faults is replayed by the command that is printed") {
  const test::scratch files;
  const auto in = files.file("its in.txt", "one line\n");
  const auto run = test::dataflow({"simulate", "count_to_files", "--nodes", "3", "--seeds", "20", "--faults", "6",
                                   "-Drestart-strategy.type=none", "-Dexecution.checkpointing.interval=20 ms", "--copy",
                                   in, "--input", in, "--output", "/it's out"});
  REQUIRE_MESSAGE(run.code == 1, run.err);
  const std::string before = "\nReplay it: dataflow ";
  const auto at = run.out.find(before);
  REQUIRE_MESSAGE(at != std::string::npos, run.out);
  auto command = test::dataflow_command({});
  test::program again{{"/bin/sh", "-c", command.front() + " " + run.out.substr(at + before.size())}};
  const auto end = again.wait();
  CHECK(end.code == 1);
  CHECK_MESSAGE(end.out.substr(0, end.out.find(before)) == run.out.substr(0, at), end.out);
}

TEST_CASE("dataflow simulate says what it cannot do") {
  const auto nothing = test::dataflow({"simulate", "running_sum", "--seeds", "1", "--faults", "0", "--records", "100"});
  CHECK(nothing.code == 0);
  CHECK(nothing.err.find("has written no file") != std::string::npos);
  CHECK(test::dataflow({"simulate", "no_such_job"}).code == 3);
  CHECK(test::dataflow({"simulate", "--nodes", "0", "word_count"}).code == 2);
  const auto missing =
      test::dataflow({"simulate", "count_to_files", "--seeds", "1", "--input", "/nowhere", "--output", "/out"});
  CHECK(missing.code == 1);
  CHECK(missing.out.find("without faults failed") != std::string::npos);
}
