// Counts the first words of lines and writes every count to files, exactly once.
//   dataflow run count_to_files --input PATH [--input PATH]... --output DIRECTORY [--checkpoints DIRECTORY]
#include <apps/examples/count_to_files.hpp>

using namespace dataflow;

DATAFLOW_JOB(count_to_files) {
  const auto inputs = args.get_all("input");
  const auto output = args.get("output", std::string{});
  if (inputs.empty() || output.empty())
    throw error{errc::invalid_argument, "count_to_files needs --input PATH and --output DIRECTORY",
                "--input may be repeated; a path is a file or a directory"};
  env.enable_checkpointing(std::chrono::seconds{1});
  if (const auto directory = args.get("checkpoints", std::string{}); !directory.empty())
    env.configure("execution.checkpointing.dir", directory);
  examples::count_to_files(env, inputs, output);
}
