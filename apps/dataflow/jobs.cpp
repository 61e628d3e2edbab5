#include <dataflow/dataflow.hpp>
#include <dataflow/graph/fingerprint.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/platform.hpp>
#include <dataflow/util/suggest.hpp>

#include <apps/dataflow/jobs.hpp>
#include <array>
#include <utility>

namespace dataflow::cli {

namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 7> descriptions{{
    {"word_count", "Counts the words of text files: --input PATH (may be repeated), --top N"},
    {"count_to_files", "Counts the first words of lines into files, exactly once: --input PATH, --output DIRECTORY"},
    {"running_sum", "Keyed running sums over generated numbers: --records N, --keys N"},
    {"socket_word_count", "Counts the words that come in over a socket: --host H --port P"},
    {"collatz", "A loop: iterates numbers until they reach 1: --numbers N"},
    {"nexmark", "Auctions, persons and bids: --query q0|q1|q2|q3|q5|q7|q8, --events N"},
    {"lookups", "Orders joined with SQLite look-ups and HTTP answers: --orders N"},
}};

/// Does the text name a file rather than an example?
bool looks_like_path(const std::string& job) { return job.find('/') != std::string::npos || job.ends_with(".so"); }

std::shared_ptr<const job_library> library_of(const command_line& line) {
  if (looks_like_path(line.job)) return job_library::load(line.job);
  auto examples = built_in_examples();
  if (examples->has(line.job)) return examples;
  if (system_platform().files->exists(line.job)) return job_library::load(line.job);
  std::vector<std::string> names;
  for (const auto& j : examples->jobs())
    names.push_back(j.name);
  throw error{errc::job_not_found, "there is neither an example nor a job library named " + line.job,
              did_you_mean(line.job, names, "`dataflow examples` lists the examples; a library is named by its path")};
}

parameters parsed_arguments(const command_line& line) {
  try {
    return parameters::from_args(line.job_arguments);
  } catch (const error& e) {
    throw e.within("parameters of " + line.job);
  }
}

} // namespace

std::shared_ptr<const job_library> built_in_examples() { return job_library::of_program(dataflow_job_library()); }

std::string_view example_description(std::string_view name) {
  for (const auto& [job, text] : descriptions)
    if (job == name) return text;
  return {};
}

built_job build_job(const command_line& line) {
  const auto library = library_of(line);
  built_job out;
  out.name = library->find(library->path().empty() ? line.job : line.entry).name;

  environment_options options;
  options.configuration = line.config;
  if (const auto seed = line.config.integer("execution.random-seed"); seed >= 0)
    options.random_seed = static_cast<std::uint64_t>(seed);
  options.code = library;
  environment env{options};
  const auto args = parsed_arguments(line);
  out.warnings = library->build(out.name, env, args, run_flags());

  // The same inputs, another moment: whatever differs comes from somewhere else.
  options.submit_time = env.submit_time();
  options.random_seed = env.random_seed();
  environment again{options};
  auto replayed = args;
  replayed.replay_files(args.captured_files());
  (void)library->build(out.name, again, replayed, run_flags());

  auto in_code = env.graph()->settings.configuration;
  auto name = in_code["pipeline.name"];
  if (name.empty()) name = line.config.text("pipeline.name");
  if (name.empty()) name = out.name;
  out.graph = env.graph(name);
  out.library = library;
  out.files = args.captured_files();
  out.submit_time = env.submit_time();
  out.random_seed = env.random_seed();
  const auto difference = first_difference(make_job_graph(out.graph), make_job_graph(again.graph(name)));
  if (!difference.empty()) {
    out.warnings.push_back("the job builds another graph each time: " + difference +
                           ". Take times from env.submit_time(), randomness from env.random_seed(), files from "
                           "args.file()");
  }
  return out;
}

} // namespace dataflow::cli
