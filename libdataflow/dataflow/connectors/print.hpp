/// print: one line per record on the standard output or standard error of the process that runs the task.
///
/// The line begins with "identifier:n> ", where n is the subtask from 1, left out at parallelism 1; without an
/// identifier "n> ", and nothing at parallelism 1. Lines of several subtasks do not mix. At-least-once.
#pragma once

#include <dataflow/connectors/print_format.hpp>
#include <dataflow/connectors/sink.hpp>

namespace dataflow {

class text_output;

namespace detail {

/// Collects lines and hands them to the process's output in one piece.
class print_target {
public:
  void open(runtime_context& context, const std::string& identifier, bool to_err);
  void begin_line() { text_ += prefix_; }
  std::string& text() noexcept { return text_; }
  void end_line() { text_ += '\n'; }
  void drop_line() noexcept { text_.resize(line_); }
  void mark_line() noexcept { line_ = text_.size(); }
  void flush();

private:
  std::string prefix_, text_;
  std::size_t line_ = 0;
  text_output* out_ = nullptr;
};

template <class T>
class print_writer final : public sink_writer<T> {
public:
  print_writer(std::string identifier, bool to_err) : identifier_(std::move(identifier)), to_err_(to_err) {}
  void open(runtime_context& context) override { target_.open(context, identifier_, to_err_); }
  void write(const T& record) override {
    target_.mark_line();
    try {
      target_.begin_line();
      append_text(target_.text(), record);
    } catch (...) { // an operator<< that throws leaves no half a line
      target_.drop_line();
      throw;
    }
    target_.end_line();
  }
  void flush() override { target_.flush(); }

private:
  std::string identifier_;
  bool to_err_;
  print_target target_;
};

} // namespace detail

template <class T>
class print_sink final : public sink<T> {
public:
  explicit print_sink(std::string identifier = {}, bool to_err = false)
      : identifier_(std::move(identifier)), to_err_(to_err) {}
  std::unique_ptr<sink_writer<T>> make_writer() const override {
    return std::make_unique<detail::print_writer<T>>(identifier_, to_err_);
  }
  std::string name() const override { return to_err_ ? "Print to Std. Err" : "Print to Std. Out"; }

private:
  std::string identifier_;
  bool to_err_;
};

} // namespace dataflow
