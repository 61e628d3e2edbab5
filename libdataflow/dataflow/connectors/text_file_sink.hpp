/// Records as lines of text files: one file "part-<subtask>" per subtask in a directory.
///
/// A restarted attempt begins its file anew. At-least-once: a file that readers see while the job runs, or after it has
/// failed, may hold records that the job would write again. Bytes are durable (fsync) when the input has ended.
/// Errors: a full disk is errc::disk_full with the file's name; a file that exists is an error unless overwrite is set.
#pragma once

#include <dataflow/connectors/print_format.hpp>
#include <dataflow/connectors/sink.hpp>

namespace dataflow {

struct text_file_sink_options {
  bool overwrite = false; ///< empty existing part files; those of more subtasks than this job has stay
};

namespace detail {

class part_file {
public:
  part_file();
  ~part_file();
  part_file(const part_file&) = delete;
  void open(runtime_context& context, const std::string& directory, const text_file_sink_options& options);
  /// Text to be written with the next flush: after each batch, so that no error of the disk is taken for one of a
  /// record.
  std::string& text() noexcept { return text_; }
  void flush();
  void finish();
  void close() noexcept;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
  std::string text_;
};

template <class T>
class text_file_writer final : public sink_writer<T> {
public:
  text_file_writer(std::string directory, text_file_sink_options options)
      : directory_(std::move(directory)), options_(options) {}
  void open(runtime_context& context) override { file_.open(context, directory_, options_); }
  void write(const T& record) override {
    const auto line = file_.text().size();
    try {
      append_text(file_.text(), record);
    } catch (...) { // an operator<< that throws leaves no half a line
      file_.text().resize(line);
      throw;
    }
    file_.text() += '\n';
  }
  void flush() override { file_.flush(); }
  void finish() override { file_.finish(); }
  void close() noexcept override { file_.close(); }

private:
  std::string directory_;
  text_file_sink_options options_;
  part_file file_;
};

} // namespace detail

template <class T>
class text_file_sink final : public sink<T> {
public:
  explicit text_file_sink(std::string directory, text_file_sink_options options = {})
      : directory_(std::move(directory)), options_(options) {}
  std::unique_ptr<sink_writer<T>> make_writer() const override {
    return std::make_unique<detail::text_file_writer<T>>(directory_, options_);
  }
  std::string name() const override { return "Text file"; }

private:
  std::string directory_;
  text_file_sink_options options_;
};

} // namespace dataflow
