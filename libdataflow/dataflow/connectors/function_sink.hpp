/// Sinks without a class: a function that is called with every record, and one that drops them.
///
/// Each subtask has its own copy of the function. It may have open(runtime_context&) and close(). At-least-once.
#pragma once

#include <dataflow/connectors/sink.hpp>

#include <type_traits>

namespace dataflow {

namespace detail {
template <class T, class F>
struct function_writer {
  static_assert(std::is_invocable_v<F&, const T&> || std::is_invocable_v<F&, const T&, timestamp>,
                "a callback sink needs a function of the record: f(const T&) or f(const T&, timestamp)");
  F f;
  void open(runtime_context& context) { open_function(f, context); }
  void write_at(const T& record, timestamp time) {
    if constexpr (std::is_invocable_v<F&, const T&>)
      f(record);
    else
      f(record, time);
  }
  void flush() {}
  void finish() {}
  void close() noexcept { close_function(f); }
};
} // namespace detail

/// Calls f(record), or f(record, timestamp), for every record.
template <class T, class F>
operator_factory callback_sink_operators(F f) {
  return [f = std::move(f)]() -> std::unique_ptr<stream_operator> {
    return std::make_unique<sink_operator<T, detail::function_writer<T, F>>>(detail::function_writer<T, F>{f});
  };
}

/// Takes records and forgets them, a batch at a time.
class discard_operator final : public stream_operator {
public:
  void process(unsigned, batch_slice& slice) override { slice.cursor = slice.limit; }
};
inline operator_factory discard_sink_operators() {
  return [] { return std::make_unique<discard_operator>(); };
}

/// As a class, for sink_to().
template <class T>
class discarding_sink final : public sink<T> {
public:
  std::unique_ptr<sink_writer<T>> make_writer() const override { return std::make_unique<writer>(); }
  std::string name() const override { return "Discard"; }

private:
  struct writer final : sink_writer<T> {
    void write(const T&) override {}
  };
};

} // namespace dataflow
