/// Records as rows of files that are shown to readers whole, and once.
///
///   stream.sink_to(file_sink<order>::lines("out"));
///   stream.sink_to(file_sink<order>::row_format("out", encode_order)     // void(const order&, std::string& out)
///                      .bucket_by(date_time_bucket{"%Y-%m-%d"})
///                      .roll({.size = 128 << 20, .interval = 15min, .inactivity = 1min})
///                      .part_file("orders", ".csv")
///                      .deliver(delivery_guarantee::exactly_once));
///
/// A part is in progress, then pending (closed), then finished: published under its final name when the checkpoint that
/// it was closed in, or a later one, is complete. Readers see finished parts only; names that begin with a dot are not
/// theirs. With exactly_once a part in progress goes on after a failure where the checkpoint saw it: what came behind
/// is cut off and written again. Threading: a sink is a value; each call here gives another one. Errors: those of the
/// file system; see file_parts.hpp. Source: Flink's FileSink.
#pragma once

#include <dataflow/connectors/bucket_assigners.hpp>
#include <dataflow/connectors/file_parts.hpp>
#include <dataflow/connectors/print_format.hpp>

namespace dataflow {

/// The text of a record (print_format.hpp) and a line end.
template <class T>
struct text_lines {
  void operator()(const T& record, std::string& out) const {
    append_text(out, record);
    out += '\n';
  }
};

namespace detail {

template <class T, class Encoder, class Buckets>
class file_writer final : public committing_writer<T, file_committable, file_writer_state> {
public:
  file_writer(const file_sink_settings& settings, delivery_guarantee guarantee, Encoder encode, Buckets bucket)
      : parts_(settings, guarantee), encode_(std::move(encode)), bucket_(std::move(bucket)) {}
  void open(runtime_context& context, const restored_sink<file_committable, file_writer_state>& restored) override {
    parts_.open(context, restored);
  }
  void begin_batch(std::chrono::milliseconds wall) override {
    wall_ = wall;
    parts_.begin_batch(wall.count());
  }
  void write(const T& record, timestamp time) override {
    auto& b = parts_.in(bucket_(record, bucket_context{time, wall_}));
    const auto before = b.text.size();
    try {
      encode_(record, b.text);
    } catch (...) { // an encoder that throws leaves no half a row
      b.text.resize(before);
      throw;
    }
    parts_.wrote(b, before);
  }
  void flush() override { parts_.flush(); }
  void barrier() override { parts_.barrier(); }
  std::vector<file_committable> prepare_commit() override { return parts_.prepare_commit(); }
  std::vector<file_writer_state> snapshot() override { return parts_.snapshot(); }
  void finish() override { parts_.finish(); }
  std::optional<std::chrono::milliseconds> next_wake() const override { return parts_.next_wake(); }
  void wake(std::chrono::milliseconds wall) override { parts_.wake(wall.count()); }
  void close() noexcept override { parts_.close(); }

private:
  file_parts parts_;
  Encoder encode_;
  Buckets bucket_;
  std::chrono::milliseconds wall_{0};
};

} // namespace detail

template <class T, class Encoder = text_lines<T>, class Buckets = date_time_bucket>
class file_sink final : public committing_sink<T, file_committable, file_writer_state> {
public:
  static file_sink<T, text_lines<T>> lines(std::string directory) {
    return {{.directory = std::move(directory)}, text_lines<T>{}, date_time_bucket{}};
  }
  /// encode(record, out) appends a row to `out`, line end and all.
  template <class F>
  static file_sink<T, F> row_format(std::string directory, F encode) {
    static_assert(std::is_invocable_v<const F&, const T&, std::string&> ||
                      std::is_invocable_v<F&, const T&, std::string&>,
                  "row_format: the encoder must be callable as encode(const T& record, std::string& out)");
    return {{.directory = std::move(directory)}, std::move(encode), date_time_bucket{}};
  }

  /// Any function of (const T&, const bucket_context&) that gives a relative path.
  template <class B>
  file_sink<T, Encoder, B> bucket_by(B assigner) const {
    static_assert(std::is_invocable_r_v<std::string, B&, const T&, const bucket_context&>,
                  "bucket_by: the assigner must give a string: assign(const T&, const bucket_context&)");
    file_sink<T, Encoder, B> other{settings_, encode_, std::move(assigner)};
    if (this->delivery_) return other.deliver(*this->delivery_);
    return other;
  }
  /// Without dates: all parts in the directory itself.
  file_sink<T, Encoder, no_buckets> without_buckets() const { return bucket_by(no_buckets{}); }
  file_sink roll(rolling_policy policy) const {
    return with([&](auto& s) { s.settings_.rolling = policy; });
  }
  file_sink part_file(std::string prefix, std::string suffix = {}) const {
    return with([&](auto& s) {
      s.settings_.prefix = std::move(prefix);
      s.settings_.suffix = std::move(suffix);
    });
  }
  file_sink compact(compaction_policy policy) const {
    return with([&](auto& s) { s.settings_.compaction = policy; });
  }
  /// Whether parts that nobody refers to are removed at the start; they are unless you say otherwise.
  file_sink clean_up(bool wanted) const {
    return with([&](auto& s) { s.settings_.clean_up = wanted; });
  }
  file_sink deliver(delivery_guarantee g) const {
    return with([&](auto& s) { s.delivery_ = g; });
  }
  /// For those who are used to a builder; not needed.
  file_sink build() const { return *this; }

  std::string name() const override { return "File"; }
  std::unique_ptr<detail::file_writer<T, Encoder, Buckets>> make_writer(delivery_guarantee g) const {
    return std::make_unique<detail::file_writer<T, Encoder, Buckets>>(settings_, g, encode_, bucket_);
  }
  std::unique_ptr<detail::file_committer> make_committer(delivery_guarantee g) const {
    return std::make_unique<detail::file_committer>(settings_.directory, g);
  }

private:
  template <class, class, class>
  friend class file_sink;
  file_sink(file_sink_settings settings, Encoder encode, Buckets bucket)
      : settings_(std::move(settings)), encode_(std::move(encode)), bucket_(std::move(bucket)) {}
  template <class F>
  file_sink with(F&& change) const {
    auto copy = *this;
    change(copy);
    copy.check();
    return copy;
  }
  void check() const {
    const auto& r = settings_.rolling;
    if (r.size == 0 || r.interval.count() <= 0 || r.inactivity.count() <= 0)
      throw error{errc::invalid_argument, "a file sink cannot roll parts at size or time 0",
                  "leave the member out for Flink's default, or give it a large value for never"};
    const auto bad = [](const std::string& s) { return s.find('/') != std::string::npos; };
    if (settings_.prefix.empty() || settings_.prefix[0] == '.' || settings_.prefix[0] == '_' || bad(settings_.prefix) ||
        bad(settings_.suffix))
      throw error{errc::invalid_argument,
                  "'" + settings_.prefix + "' and '" + settings_.suffix + "' cannot begin and end the names of parts",
                  "a prefix is not empty and begins with neither '.' nor '_'; neither has a '/'"};
  }

  file_sink_settings settings_;
  Encoder encode_;
  Buckets bucket_;
};

} // namespace dataflow
