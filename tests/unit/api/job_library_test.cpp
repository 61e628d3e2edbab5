#include <dataflow/api/job_library.hpp>
#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>

#include <tests/support/error_of.hpp>
#include <tests/support/temporary_directory.hpp>
#include <tests/support/tree_paths.hpp>

using namespace dataflow;
using dataflow::test::error_of;

namespace {

std::string library(const std::string& name) {
  return dataflow::test::build_path("tests/job_libraries/lib") + name + ".so";
}

error refused(const std::string& name) {
  return error_of([&] { (void)job_library::load(library(name)); });
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("a job library lists its jobs, sorted by name") {
  const auto lib = job_library::load(library("test_jobs"));
  std::vector<std::string> names;
  for (const auto& j : lib->jobs())
    names.push_back(j.name);
  CHECK(names == std::vector<std::string>{"asks", "crashes_once", "finds_a_bug", "never_ends", "prints_one",
                                          "requires_input", "short_one", "takes_the_process_along", "throws",
                                          "throws_strangely"});
  CHECK(lib->find("asks").file.ends_with("jobs.cpp"));
  const auto missing = error_of([&] { (void)lib->find("ask"); });
  CHECK(missing.code() == errc::job_not_found);
  CHECK(missing.advice() == "did you mean asks?");
  const auto several = error_of([&] { (void)lib->find(""); });
  CHECK(several.advice() == "name one of asks, crashes_once, finds_a_bug, never_ends, prints_one, requires_input, "
                            "short_one, takes_the_process_along, throws, throws_strangely");
}

TEST_CASE("what is no library is told apart: missing, a directory, another kind of file") {
  CHECK(error_of([] { (void)job_library::load("/nonexistent/libjob.so"); }).code() == errc::file_not_found);
  CHECK(error_of([] { (void)job_library::load("/tmp"); }).code() == errc::not_a_file);
  const auto text = error_of([] { (void)job_library::load(dataflow::test::source_path("README.md")); });
  CHECK(text.code() == errc::bad_job_library);
  CHECK(contains(text.cause(), "README.md is no job library"));
  const auto program = error_of([] { (void)job_library::load("/bin/true"); }); // ELF, but no library
  CHECK(program.code() == errc::bad_job_library);
}

TEST_CASE("a library for another processor, or of 32 bits, is told apart") {
  const dataflow::test::temporary_directory dir;
  const auto path = join_path(dir.path(), "libjob.so");
  const auto good = system_files().read_file(dataflow::test::build_path("tests/job_libraries/libtest_no_job.so"));
  for (const std::size_t at : {std::size_t{4}, std::size_t{18}}) { // class, machine
    auto bytes = good;
    bytes[at] ^= 1;
    system_files().write_file(path, bytes);
    const auto e = error_of([&] { (void)job_library::load(path); });
    CHECK(e.code() == errc::incompatible_library);
    CHECK(contains(e.cause(), path + " was built for another processor"));
  }
}

TEST_CASE("a library without a job is refused") {
  const auto e = refused("test_no_job");
  CHECK(e.code() == errc::bad_job_library);
  CHECK(contains(e.cause(), "libtest_no_job.so has no job inside"));
}

TEST_CASE("a library built for something else is refused, and both sides are named") {
  CHECK(refused("test_wrong_abi").code() == errc::incompatible_library);
  CHECK(contains(refused("test_wrong_abi").cause(), "was built for ABI version 999, this program has 1"));
  CHECK(refused("test_wrong_compiler").code() == errc::incompatible_library);
  CHECK(contains(refused("test_wrong_compiler").cause(), "was built by gcc 4, libstdc++ strings 0, this program by "));
  CHECK(refused("test_wrong_version").code() == errc::incompatible_library);
  CHECK(contains(refused("test_wrong_version").cause(), "was built for dataflow 99.1.0, this program has "));
  CHECK(refused("test_wrong_layout").code() == errc::incompatible_library);
  CHECK(refused("test_wrong_size").code() == errc::incompatible_library);
  CHECK(refused("test_wrong_magic").code() == errc::bad_job_library);
}
