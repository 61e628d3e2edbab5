#include <dataflow/connectors/list_enumerator.hpp>
#include <dataflow/connectors/split_reader.hpp>
#include <dataflow/connectors/text_file.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/platform.hpp>

#include <cstring>
#include <map>

namespace dataflow {

namespace {

constexpr std::uint8_t payload_version = 1; // do not change: stored in checkpoints

/// Bytes of one file whose lines belong together.
struct file_range {
  std::string id;
  std::string path;
  std::uint64_t next = 0; ///< where the next line starts; of an unaligned range: where the range starts
  std::uint64_t end = 0;
  bool aligned = true; ///< false: the first line that starts in the range is still to be found

  std::string encode() const {
    byte_writer out;
    out.fixed(payload_version);
    out.text(path);
    out.varint(next);
    out.varint(end);
    out.fixed<std::uint8_t>(aligned ? 1 : 0);
    return out.take();
  }
  std::string describe() const { return "byte " + std::to_string(next) + " of '" + path + "'"; }
  static file_range decode(const source_split& split) {
    byte_reader in{split.payload};
    if (auto version = in.fixed<std::uint8_t>(); version != payload_version)
      throw error{errc::malformed_record, "a file range of the unknown version " + std::to_string(version)};
    file_range range;
    range.id = split.id;
    range.path = in.text();
    range.next = in.varint();
    range.end = in.varint();
    range.aligned = in.fixed<std::uint8_t>() != 0;
    return range;
  }
};

/// A window on a file, filled block by block.
class file_window {
public:
  explicit file_window(std::size_t block) : block_(block) {}
  bool is_open() const noexcept { return file_ != nullptr; }
  void open(file_system& files, const std::string& path, std::uint64_t offset) {
    file_ = files.open_read(path);
    offset_ = offset;
    begin_ = end_ = 0;
  }
  void close() noexcept { file_.reset(); }
  const char* data() const noexcept { return bytes_.data() + begin_; }
  std::size_t size() const noexcept { return end_ - begin_; }
  void consume(std::size_t n) noexcept {
    begin_ += n;
    offset_ += n;
  }
  /// Reads behind what is there, `wanted` bytes if it can. False at the end of the file.
  bool fill(std::size_t wanted) {
    if (begin_ == end_) begin_ = end_ = 0;
    if (bytes_.size() - end_ < wanted) {
      // Move the rest to the front, and grow only when that does not make room.
      std::memmove(bytes_.data(), bytes_.data() + begin_, size());
      end_ -= begin_;
      begin_ = 0;
      if (bytes_.size() - end_ < wanted) bytes_.resize(std::max(bytes_.size() * 2, end_ + std::max(wanted, block_)));
    }
    auto n = file_->read_at(bytes_.data() + end_, wanted, offset_ + size());
    end_ += n;
    return n > 0;
  }

private:
  std::unique_ptr<readable_file> file_;
  std::vector<char> bytes_ = std::vector<char>(1); // never without memory: its address goes to memchr
  std::size_t begin_ = 0, end_ = 0;                // what of bytes_ is read and not yet consumed
  std::uint64_t offset_ = 0;                       // of begin_ in the file
  std::size_t block_;
};

class text_file_reader final : public split_reader<std::string, file_range> {
public:
  explicit text_file_reader(const text_file_options& options) : options_(options), window_(options.read_size) {}
  void close() noexcept override { window_.close(); }

private:
  poll_result read(file_range& range, source_output<std::string>& out) override {
    if (!window_.is_open() || open_id_ != range.id) open(range);
    if (!range.aligned) {
      align(range);
      return poll_result::more(); // now it is known where the first line begins
    }
    limit_ = out.largest_record();
    if (options_.max_line_size > 0) limit_ = std::min(limit_, options_.max_line_size);
    while (range.next < range.end && !out.full()) {
      auto* line = window_.data();
      auto* newline = static_cast<const char*>(std::memchr(line + scanned_, '\n', window_.size() - scanned_));
      if (newline == nullptr) {
        scanned_ = window_.size();
        if (scanned_ > limit_ + 1) too_large(range);
        if (fill(range)) continue;
        // The end of the file: what is left is the last line.
        if (scanned_ == 0) break;
        if (scanned_ > limit_) too_large(range);
        out.emplace(window_.data(), scanned_); // filling has moved the bytes
        advance(range, scanned_);
        break;
      }
      auto length = static_cast<std::size_t>(newline - line);
      const auto whole = length + 1;
      if (length > 0 && line[length - 1] == '\r') --length;
      if (length > limit_) too_large(range);
      out.emplace(line, length);
      advance(range, whole);
    }
    if (range.next < range.end) return poll_result::more();
    window_.close();
    return poll_result::end();
  }

  void open(file_range& range) {
    // An unaligned range looks at the byte before it: is that the end of a line?
    window_.open(*context().platform().files, range.path, range.aligned ? range.next : range.next - 1);
    open_id_ = range.id;
    scanned_ = 0;
  }

  /// Finds the first line that starts in the range; there may be none.
  void align(file_range& range) {
    auto at = range.next - 1;
    range.aligned = true;
    while (at + 1 < range.end) {
      if (window_.size() == 0 && !fill_from(range, at)) break;
      auto n = std::min<std::uint64_t>(window_.size(), range.end - 1 - at);
      auto* newline = static_cast<const char*>(std::memchr(window_.data(), '\n', static_cast<std::size_t>(n)));
      if (newline != nullptr) {
        const auto skipped = static_cast<std::size_t>(newline - window_.data()) + 1;
        window_.consume(skipped);
        range.next = at + skipped;
        return;
      }
      window_.consume(static_cast<std::size_t>(n));
      at += n;
    }
    range.next = range.end;
  }

  bool fill(const file_range& range) { return fill_from(range, range.next + window_.size()); }

  /// Reads on at offset `at`: whole blocks inside the range, then smaller ones to complete the last line.
  bool fill_from(const file_range& range, std::uint64_t at) {
    constexpr std::size_t beyond = 16u << 10;
    const auto inside = at < range.end ? range.end - at : 0;
    const auto wanted = std::max<std::uint64_t>(std::min<std::uint64_t>(inside, options_.read_size), beyond);
    if (inside <= options_.read_size && splits() == 1) request_next();
    if (window_.fill(static_cast<std::size_t>(wanted))) return true;
    if (at < range.end)
      throw error{errc::io_failed,
                  "'" + range.path + "' became shorter while it was read: it ends at byte " + std::to_string(at) +
                      ", and had at least " + std::to_string(range.end),
                  "do not change files while a job reads them"};
    return false;
  }

  void advance(file_range& range, std::size_t n) noexcept {
    window_.consume(n);
    range.next += n;
    scanned_ = 0;
  }

  [[noreturn]] void too_large(const file_range& range) const {
    throw error{errc::record_too_large,
                "the line at byte " + std::to_string(range.next) + " of '" + range.path + "' is longer than " +
                    std::to_string(limit_) + " bytes",
                "raise taskmanager.record.max-bytes or the source's max_line_size, or check that this is a text file"};
  }

  text_file_options options_;
  std::size_t limit_ = 0; // of a line
  file_window window_;
  std::string open_id_;
  std::size_t scanned_ = 0; // so much of the window is known to hold no end of a line
};

std::uint64_t split_size_for(const std::vector<found_file>& files, std::uint32_t parallelism) {
  std::uint64_t total = 0;
  for (auto& file : files)
    total += file.size;
  return std::clamp<std::uint64_t>(total / (std::uint64_t{parallelism} * 4), 1u << 20, 16u << 20);
}

std::vector<source_split> discover(const std::vector<std::string>& paths, const text_file_options& options,
                                   enumerator_context& context) {
  auto& files = *context.platform().files;
  std::vector<found_file> found;
  for (auto& path : paths) {
    if (!options.directories && files.status(path).kind == file_kind::directory)
      throw error{errc::not_a_file, "'" + path + "' is a directory", "a file is expected here; name a file in it"};
    for (auto& file : find_files(files, path)) {
      files.open_read(file.path); // better an error now than in the middle of the job
      found.push_back(std::move(file));
    }
  }
  const auto size = options.split_size > 0 ? options.split_size : split_size_for(found, context.parallelism());
  std::vector<source_split> splits;
  std::map<std::string, int> uses;
  for (auto& file : found) {
    auto name = file.path;
    if (auto n = ++uses[file.path]; n > 1) name += "#" + std::to_string(n); // named twice: read twice
    for (std::uint64_t begin = 0; begin < file.size;) {
      auto end = begin + size;
      if (end + size / 10 >= file.size) end = file.size; // no tiny range at the end
      file_range range{name + ":" + std::to_string(begin), file.path, begin, end, begin == 0};
      splits.push_back({range.id, range.encode()});
      begin = end;
    }
  }
  return splits;
}

} // namespace

text_file_source::text_file_source(std::vector<std::string> paths, text_file_options options)
    : paths_(std::move(paths)), options_(options) {
  if (paths_.empty()) throw error{errc::invalid_argument, "a text file source without a path", "name a file"};
  if (options_.read_size == 0) throw error{errc::invalid_argument, "a text file source with a read_size of 0"};
}

text_file_source::text_file_source(std::string path, text_file_options options)
    : text_file_source(std::vector<std::string>{std::move(path)}, options) {}

std::unique_ptr<source_reader<std::string>> text_file_source::make_reader() const {
  return std::make_unique<text_file_reader>(options_);
}

std::unique_ptr<split_enumerator> text_file_source::make_enumerator() const {
  return std::make_unique<list_enumerator>(
      [paths = paths_, options = options_](enumerator_context& context) { return discover(paths, options, context); },
      split_assignment::first_come);
}

std::unique_ptr<split_enumerator> text_file_source::restore_enumerator(const std::string& snapshot) const {
  return std::make_unique<list_enumerator>(
      [paths = paths_, options = options_](enumerator_context& context) { return discover(paths, options, context); },
      split_assignment::first_come, snapshot);
}

} // namespace dataflow
