/// test_harness: one user function under test, without a cluster: push records, look at what comes out.
///
///   test_harness h{[](const std::string& line, collector<std::string>& out) { ... }};
///   h.push("to be or not to be");
///   CHECK(h.output() == std::vector<std::string>{"to", "be", "or", "not", "to", "be"});
///
///   test_harness clicks{function_of<click_counter>(5), &click::user};   // a keyed process function and its key
///   clicks.push({"ann", 1}, timestamp{1s});
///   CHECK(clicks.side_output(late).empty());
///
/// Takes the functions of map and filter (f(const T&) -> O), flat_map (f(const T&, collector<O>&)) and process
/// (f(const T&, context&, collector<O>&)), lambdas or objects with open() and close(), and function_of<F>(arguments...)
/// for classes derived from process_function or keyed_process_function. Time stands still but for set_time(); files and
/// sockets are in memory.
/// Functions of two inputs: two_input_harness.hpp.
/// Threading: one thread. Errors: what the function throws comes out of push() as dataflow::error, unless options say
/// skip or retry.
#pragma once

#include <dataflow/api/function_types.hpp>
#include <dataflow/operators/flat_map.hpp>
#include <dataflow/operators/map.hpp>
#include <dataflow/operators/output_tag.hpp>
#include <dataflow/operators/process.hpp>
#include <dataflow/state/declared_state.hpp>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace dataflow {

class memory_file_system;

struct test_harness_options {
  std::uint32_t subtask = 0, parallelism = 1, attempt = 0;
  record_error_policy on_record_error;
  std::shared_ptr<const operator_snapshot> restored = {}; ///< what another harness's snapshot() gave
};

namespace detail {

/// Drives one operator: the part that knows no types.
class operator_harness {
public:
  operator_harness(operator_factory make, const test_harness_options& options);
  ~operator_harness();
  batch_ptr new_batch(const record_type& type);
  void push(batch_ptr b, unsigned input = 0);
  void watermark(timestamp t);
  void end();
  void close();
  /// What came out of the main output (0) or a side output since the last call.
  std::vector<batch_ptr> take(std::uint64_t tag);
  const std::vector<timestamp>& watermarks() const noexcept;
  std::int64_t accumulator(std::string_view name) const;
  std::int64_t counter(std::string_view name) const;
  void set_time(std::chrono::milliseconds wall);
  std::shared_ptr<const operator_snapshot> snapshot() const;
  memory_file_system& files();
  const std::string& printed() const noexcept;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

template <class F, class... Arguments>
struct function_recipe {
  std::tuple<Arguments...> arguments;
};

/// What a function takes and gives, and the operator around it.
template <class F, class Key>
struct harness_function {
  using arguments = typename signature<F>::arguments;
  static constexpr std::size_t count = std::tuple_size_v<arguments>;
  static_assert(count >= 1 && count <= 3, "test_harness: the function takes (const T&), (const T&, collector<O>&) or "
                                          "(const T&, context&, collector<O>&)");
  using input = std::remove_cvref_t<std::tuple_element_t<0, arguments>>;
  static auto kind() {
    if constexpr (count == 1) {
      using O = std::decay_t<std::invoke_result_t<F&, const input&>>;
      return std::type_identity<std::pair<O, map_operator<input, O, F>>>{};
    } else if constexpr (count == 2) {
      using O = output_of<void, F, 1>;
      return std::type_identity<std::pair<O, flat_map_operator<input, O, F>>>{};
    } else {
      using O = output_of<void, F, 2>;
      return std::type_identity<std::pair<O, process_operator<input, O, F, Key>>>{};
    }
  }
  using types = typename decltype(kind())::type;
  using output = typename types::first_type;
  using made = typename types::second_type;
  static operator_factory factory(F f, Key key) {
    if constexpr (count == 3)
      return [f, key] { return std::make_unique<made>(key, std::forward_as_tuple(f)); };
    else
      return [f] { return std::make_unique<made>(f); };
  }
};
template <class F, class... Arguments, class Key>
struct harness_function<function_recipe<F, Arguments...>, Key> {
  using input = typename F::input_type;
  using output = typename F::output_type;
  static operator_factory factory(function_recipe<F, Arguments...> f, Key key) {
    return [f, key] { return std::make_unique<process_operator<input, output, F, Key>>(key, f.arguments); };
  }
};

} // namespace detail

/// An instance of a process function class, built from these arguments.
template <class F, class... Arguments>
detail::function_recipe<F, Arguments...> function_of(Arguments... arguments) {
  return {{std::move(arguments)...}};
}

namespace detail {

/// What every harness has: the outputs of an operator whose results are of type O.
template <class O>
class harness_of {
public:
  harness_of(operator_factory make, const test_harness_options& options) : operator_(std::move(make), options) {}

  void watermark(timestamp t) { operator_.watermark(t); }
  /// The input has ended: event-time timers fire, and whatever the function keeps comes out.
  void end() { operator_.end(); }
  /// Calls close(); the destructor does, too.
  void close() { operator_.close(); }

  /// All that came out since the start, or since clear().
  const std::vector<O>& output() {
    gather(0, output_, &output_times_);
    return output_;
  }
  /// The timestamps of output(); no_timestamp for records without.
  const std::vector<timestamp>& output_times() {
    output();
    return output_times_;
  }
  /// Likewise of a side output.
  template <class S>
  const std::vector<S>& side_output(const output_tag<S>& tag) {
    auto& kept = sides_[tag.id()];
    if (!kept) kept = std::make_shared<std::vector<S>>();
    auto& records = *static_cast<std::vector<S>*>(kept.get());
    gather(tag.id(), records, nullptr);
    return records;
  }
  /// Forgets what has come out so far.
  void clear() {
    output();
    output_.clear();
    output_times_.clear();
    for (auto& [tag, records] : sides_)
      operator_.take(tag);
    sides_.clear();
  }
  const std::vector<timestamp>& watermarks() const noexcept { return operator_.watermarks(); }
  std::int64_t accumulator(std::string_view name) const { return operator_.accumulator(name); }
  /// A counter of the operator's metrics, such as "numRecordsSkipped".
  std::int64_t counter(std::string_view name) const { return operator_.counter(name); }
  /// What the function remembers, to start another harness from (test_harness_options::restored).
  std::shared_ptr<const operator_snapshot> snapshot() const { return operator_.snapshot(); }
  /// Wall time, since 1970 UTC; timers that are due fire.
  void set_time(std::chrono::milliseconds wall) { operator_.set_time(wall); }
  memory_file_system& files() { return operator_.files(); }
  const std::string& printed() const noexcept { return operator_.printed(); }

protected:
  template <class I>
  void push_record(I record, const timestamp* time, unsigned input = 0) {
    auto b = operator_.new_batch(record_type_of<I>());
    b.template as<I>().records.push_back(std::move(record));
    if (time) b->timestamps.push_back(*time);
    operator_.push(std::move(b), input);
  }

private:
  template <class T>
  void gather(std::uint64_t tag, std::vector<T>& into, std::vector<timestamp>* times) {
    for (auto& b : operator_.take(tag)) {
      auto& records = b.template as<T>().records;
      for (std::size_t i = 0; i < records.size(); ++i) {
        into.push_back(records[i]);
        if (times) times->push_back(b->has_timestamps() ? b->timestamps[i] : no_timestamp);
      }
    }
  }

  operator_harness operator_;
  std::vector<O> output_;
  std::vector<timestamp> output_times_;
  std::map<std::uint64_t, std::shared_ptr<void>> sides_;
};

} // namespace detail

template <class F, class Key = no_key>
class test_harness : public detail::harness_of<typename detail::harness_function<F, Key>::output> {
  using function = detail::harness_function<F, Key>;
  using base = detail::harness_of<typename function::output>;

public:
  using input_type = typename function::input;
  using output_type = typename function::output;

  explicit test_harness(F f, Key key = {}, const test_harness_options& options = {})
      : base(function::factory(std::move(f), std::move(key)), options) {}

  /// A record without a timestamp.
  void push(input_type record) { this->push_record(std::move(record), nullptr); }
  void push(input_type record, timestamp time) { this->push_record(std::move(record), &time); }
  void push_all(const std::vector<input_type>& records) {
    for (auto& r : records)
      push(r);
  }
};

template <class F, class Key>
test_harness(F, Key) -> test_harness<F, Key>;
template <class F, class Key>
test_harness(F, Key, test_harness_options) -> test_harness<F, Key>;
template <class F>
test_harness(F) -> test_harness<F, no_key>;

} // namespace dataflow
