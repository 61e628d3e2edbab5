/// Lines of text files and directories: a bounded source.
///
/// The enumerator finds the files (links followed, sorted; see find_files) and cuts them into byte ranges, so that
/// several readers share one large file. A range owns the lines that start in it. A line ends at \n or \r\n, which are
/// not part of the record; the last one needs no end. Bytes pass through as they are, also when they are not UTF-8.
/// A range's position is the offset of its next line: reading goes on there after a restore.
/// Files must not change while they are read; one that became shorter is an error.
/// Errors: at the start for a path that is missing, unreadable or no file; while reading when a file vanishes or a
/// line is longer than allowed (errc::record_too_large, with file and offset).
#pragma once

#include <dataflow/connectors/source.hpp>
#include <dataflow/record/codecs.hpp>

#include <memory>
#include <string>
#include <vector>

namespace dataflow {

struct text_file_options {
  std::uint64_t split_size = 0;  ///< bytes per range; 0: 1 to 16 MiB, so that each reader gets a few
  std::size_t max_line_size = 0; ///< bytes, without the line's end; at most and, if 0, taskmanager.record.max-bytes
  std::size_t read_size = 256u << 10; ///< bytes per call of the file system
  bool directories = true;            ///< false: a directory is errc::not_a_file
};

class text_file_source final : public source<std::string> {
public:
  /// Throws errc::invalid_argument for an empty list and for a read_size of zero.
  explicit text_file_source(std::vector<std::string> paths, text_file_options options = {});
  explicit text_file_source(std::string path, text_file_options options = {});
  boundedness bounds() const noexcept override { return boundedness::bounded; }
  std::unique_ptr<source_reader<std::string>> make_reader() const override;
  std::unique_ptr<split_enumerator> make_enumerator() const override;
  std::unique_ptr<split_enumerator> restore_enumerator(const std::string& snapshot) const override;

private:
  std::vector<std::string> paths_;
  text_file_options options_;
};

} // namespace dataflow
