#include <dataflow/exchange/spillable_queue.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>

#include <algorithm>
#include <cstring>

namespace dataflow {

namespace {
using length_type = std::uint64_t; // before each element
}

struct spillable_queue::segment {
  std::string path;
  std::unique_ptr<writable_file> writer; // null: complete
  std::unique_ptr<readable_file> reader;
  std::uint64_t written = 0, read = 0;
};

spillable_queue::spillable_queue(file_system& files, std::string directory, std::string name, spill_limits limits)
    : files_(files), directory_(std::move(directory)), name_(std::move(name)), limits_(limits) {
  for (auto& c : name_) // it becomes part of a file's name
    if (c == '/' || c == '\0') c = '_';
}

spillable_queue::~spillable_queue() {
  for (auto& s : segments_) {
    s->writer.reset();
    s->reader.reset();
    try {
      files_.remove(s->path);
    } catch (...) { // a temporary file that cannot be removed is no reason to fail what is ending anyway
    }
  }
}

void spillable_queue::push(std::string element) {
  if (segments_.empty() && back_.empty() && front_bytes_ + element.size() <= limits_.memory_bytes) {
    front_bytes_ += element.size();
    front_.push_back(std::move(element));
  } else {
    const length_type length = element.size();
    back_.append(reinterpret_cast<const char*>(&length), sizeof length);
    back_.append(element);
    if (back_.size() >= limits_.block_bytes) write_back();
  }
  ++size_;
}

std::string spillable_queue::pop() {
  if (front_.empty()) {
    if (!segments_.empty()) {
      read_block();
    } else { // the disk is not needed
      std::size_t at = 0;
      split(back_, at);
      back_.clear();
    }
  }
  auto element = std::move(front_.front());
  front_.pop_front();
  front_bytes_ -= element.size();
  --size_;
  return element;
}

void spillable_queue::write_back() {
  if (segments_.empty() || !segments_.back()->writer) {
    auto s = std::make_unique<segment>();
    s->path = files_.temporary_name(directory_, "dataflow-spill-" + name_ + "-");
    s->writer = files_.open_write(s->path, write_mode::create_new);
    segments_.push_back(std::move(s));
  }
  auto& last = *segments_.back();
  last.writer->append(back_);
  last.written += back_.size();
  disk_bytes_ += back_.size();
  back_.clear();
  if (last.written >= limits_.segment_bytes) {
    last.writer->close();
    last.writer.reset();
  }
}

/// Brings the next elements of the oldest segment to the front: a block, or one element that is larger.
void spillable_queue::read_block() {
  auto& first = *segments_.front();
  if (first.writer) {
    first.writer->close();
    first.writer.reset();
  }
  if (!first.reader) first.reader = files_.open_read(first.path);
  auto wanted = std::min<std::uint64_t>(limits_.block_bytes, first.written - first.read);
  std::string bytes;
  std::size_t at = 0;
  while (front_.empty()) {
    bytes.resize(static_cast<std::size_t>(wanted));
    const auto got = first.reader->read_at(bytes.data(), bytes.size(), first.read);
    if (got < bytes.size())
      throw error{errc::io_failed,
                  "the spill file '" + first.path + "' ends after " + std::to_string(first.read + got) + " of " +
                      std::to_string(first.written) + " bytes",
                  "do not touch temporary files while a job runs"};
    split(bytes, at);
    if (!front_.empty()) break;
    // No element is whole yet: read as much as the first one takes.
    length_type length = 0;
    if (bytes.size() >= sizeof length) std::memcpy(&length, bytes.data(), sizeof length);
    wanted = std::max<std::uint64_t>(sizeof length, sizeof length + length);
  }
  first.read += at;
  disk_bytes_ -= at;
  if (first.read == first.written) {
    first.reader.reset();
    files_.remove(first.path);
    segments_.pop_front();
  }
}

/// Moves the whole elements that `bytes` holds to the front; `at`: how many bytes they took.
void spillable_queue::split(std::string& bytes, std::size_t& at) {
  length_type length = 0;
  while (bytes.size() - at >= sizeof length) {
    std::memcpy(&length, bytes.data() + at, sizeof length);
    if (bytes.size() - at - sizeof length < length) break;
    front_.emplace_back(bytes, at + sizeof length, static_cast<std::size_t>(length));
    front_bytes_ += static_cast<std::size_t>(length);
    at += sizeof length + static_cast<std::size_t>(length);
  }
}

} // namespace dataflow
