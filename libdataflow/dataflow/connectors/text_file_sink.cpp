#include <dataflow/connectors/text_file_sink.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/platform.hpp>

namespace dataflow::detail {

struct part_file::impl {
  std::unique_ptr<writable_file> file;
};

part_file::part_file() : impl_(std::make_unique<impl>()) {}
part_file::~part_file() = default;

void part_file::open(runtime_context& context, const std::string& directory, const text_file_sink_options& options) {
  auto& files = *context.platform().files;
  files.create_directories(directory);
  const auto path = join_path(directory, "part-" + std::to_string(context.subtask_index()));
  if (!options.overwrite && context.attempt() == 0 && files.exists(path))
    throw error{errc::invalid_argument, "the output file '" + path + "' exists",
                "name another directory, remove the file, or set overwrite"};
  impl_->file = files.open_write(path, write_mode::truncate);
}

void part_file::flush() {
  if (text_.empty()) return;
  impl_->file->append(text_);
  text_.clear();
}

void part_file::finish() {
  flush();
  impl_->file->sync();
  impl_->file->close();
  impl_->file.reset();
}

void part_file::close() noexcept { impl_->file.reset(); }

} // namespace dataflow::detail
