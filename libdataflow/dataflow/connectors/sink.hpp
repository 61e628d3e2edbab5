/// Sinks: where a stream leaves the pipeline. A sink makes one writer per subtask; the operator here drives it.
///
/// Threading: a sink is shared and read-only; a writer is used by one task, one call at a time. Ownership: the engine
/// owns both. Delivery: a writer that only writes is at-least-once: a job that restarts from its beginning, or from a
/// checkpoint, writes records again.
/// Errors: what write() throws (nothing of the record may be written then) is dealt with by the operator's record-error
/// policy; what the other members throw fails the task.
#pragma once

#include <dataflow/operators/record_loop.hpp>

#include <memory>
#include <string>
#include <utility>

namespace dataflow {

template <class T>
class sink_writer {
public:
  virtual ~sink_writer() = default;
  virtual void open(runtime_context& /*context*/) {}
  /// May take as long as it needs; the task can stop between two records.
  virtual void write(const T& record) = 0;
  /// The same with the record's event time; no_timestamp when it has none.
  virtual void write_at(const T& record, timestamp /*time*/) { write(record); }
  /// What was written should become visible: after each batch or part of one.
  virtual void flush() {}
  /// The input has ended: make everything durable, and report what cannot be.
  virtual void finish() {}
  /// After the last call, also after failures.
  virtual void close() noexcept {}
};

template <class T>
class sink {
public:
  using record = T;
  virtual ~sink() = default;
  virtual std::unique_ptr<sink_writer<T>> make_writer() const = 0;
  /// Shown in the plan behind "Sink: ".
  virtual std::string name() const { return "Unnamed"; }
};

/// write(record, time) for the records of a slice, with the record-error policy; returns where it stopped. Before a
/// failure goes on, flush(): what came before it has been written.
template <class T, class Write, class Flush>
std::size_t write_records(operator_context& context, batch_slice& slice, Write&& write, Flush&& flush) {
  const auto& in = slice.data.as<T>();
  const bool stamped = in.has_timestamps();
  const auto* records = in.records.data();
  auto body = [&](std::size_t i) __attribute__((always_inline)) {
    write(records[i], stamped ? in.timestamps[i] : no_timestamp);
  };
  auto failed = [&](std::size_t i) {
    try {
      handle_record_error(
          context, [&] { body(i); }, [&](std::uint64_t tag) { divert_record(context, tag, in, i); });
    } catch (...) {
      flush();
      throw;
    }
  };
  return run_records(context, slice.cursor, slice.limit, body, failed);
}

/// Drives anything with the members of a sink_writer.
template <class T, class Writer>
class sink_operator final : public stream_operator {
public:
  explicit sink_operator(Writer writer) : writer_(std::move(writer)) {}

  void open(operator_context& context) override {
    stream_operator::open(context);
    writer_.open(context);
  }
  void process(unsigned, batch_slice& slice) override {
    slice.cursor = write_records<T>(
        context(), slice, [this](const T& r, timestamp t) { writer_.write_at(r, t); }, [this] { writer_.flush(); });
    writer_.flush();
  }
  progress finish() override {
    writer_.finish();
    return progress::done;
  }
  void close() noexcept override { writer_.close(); }

private:
  Writer writer_;
};

namespace detail {
template <class T>
struct writer_handle {
  std::unique_ptr<sink_writer<T>> writer;
  void open(runtime_context& context) { writer->open(context); }
  void write_at(const T& record, timestamp time) { writer->write_at(record, time); }
  void flush() { writer->flush(); }
  void finish() { writer->finish(); }
  void close() noexcept { writer->close(); }
};
} // namespace detail

/// The operators of a sink. S derives from sink<T> for some T.
template <class S>
operator_factory sink_operators(S what) {
  using T = typename S::record;
  return [shared = std::make_shared<const S>(std::move(what))]() -> std::unique_ptr<stream_operator> {
    return std::make_unique<sink_operator<T, detail::writer_handle<T>>>(
        detail::writer_handle<T>{shared->make_writer()});
  };
}

} // namespace dataflow
