#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>

#include <algorithm>
#include <apps/dataflow/new_project.hpp>
#include <array>
#include <utility>

namespace dataflow::cli {

namespace {

// In these texts @name@ stands for the job's name.
constexpr char cmake_lists[] = R"(cmake_minimum_required(VERSION 3.25)
project(@name@ LANGUAGES CXX)
find_package(dataflow REQUIRED)       # -DCMAKE_PREFIX_PATH=... when it is not installed system-wide
dataflow_add_job(@name@ @name@.cpp)   # build/lib@name@.so
)";

constexpr char job_source[] = R"(// The job @name@: counts the words of text files.
#include <dataflow/dataflow.hpp>

#include <cctype>

using namespace dataflow;

struct word_count {
  std::string word;
  std::int64_t count;
};
DATAFLOW_RECORD(word_count, word, count);

static void split(const std::string& line, collector<word_count>& out) {
  std::string word;
  for (const char c : line + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)))
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    else if (!word.empty())
      out.collect({std::exchange(word, {}), 1});
  }
}

DATAFLOW_JOB(@name@) { // (environment& env, const parameters& args)
  env.text_file(args.require("input"))
      .flat_map(split)
      .key_by(&word_count::word)
      .sum(&word_count::count)
      .print();
}
)";

constexpr char readme[] = R"(# @name@

```sh
cmake -S . -B build && cmake --build build
dataflow run build/lib@name@.so --input README.md
dataflow info build/lib@name@.so --input README.md    # how it would run
```
)";

constexpr std::array<std::pair<const char*, const char*>, 4> project_files{{
    {"CMakeLists.txt", cmake_lists},
    {"@name@.cpp", job_source},
    {"README.md", readme},
    {".gitignore", "/build/\n"},
}};

std::string filled_in(std::string text, const std::string& name) {
  constexpr std::string_view mark = "@name@";
  for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + name.size()))
    text.replace(at, mark.size(), name);
  return text;
}

bool is_identifier(const std::string& name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (name.empty() || !letter(name[0])) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

} // namespace

std::vector<std::string> write_new_project(file_system& files, const std::string& name, std::string directory) {
  if (!is_identifier(name)) {
    throw error{errc::invalid_option, "\"" + name + "\" cannot name a job",
                "use letters, digits and underscores; the first one is no digit"};
  }
  if (directory.empty()) directory = name;
  if (const auto there = files.find(directory)) {
    if (there->kind != file_kind::directory)
      throw error{errc::invalid_option, directory + " exists and is no directory", "name another directory"};
    if (!files.list(directory).empty())
      throw error{errc::invalid_option, directory + " exists and is not empty", "name another directory"};
  }
  files.create_directories(directory);
  std::vector<std::string> written;
  for (const auto& [file, text] : project_files) {
    const auto path = join_path(directory, filled_in(file, name));
    files.write_file(path, filled_in(text, name));
    written.push_back(path);
  }
  return written;
}

} // namespace dataflow::cli
