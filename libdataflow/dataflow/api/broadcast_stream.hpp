/// broadcast_stream: a stream all of whose records go to all subtasks, to fill broadcast state there.
///
///   events.key_by(&event::user).connect(changes.broadcast(rules)).process<apply_rules>();
/// Source: Flink's BroadcastStream, BroadcastConnectedStream.
#pragma once

#include <dataflow/api/data_stream.hpp>
#include <dataflow/operators/broadcast_process.hpp>

namespace dataflow {

template <class U>
class broadcast_stream {
public:
  broadcast_stream(data_stream<U> all, std::vector<detail::broadcast_declaration> states)
      : all_(std::move(all)), states_(std::move(states)) {}
  const data_stream<U>& stream() const noexcept { return all_; }
  const std::vector<detail::broadcast_declaration>& states() const noexcept { return states_; }

private:
  data_stream<U> all_;
  std::vector<detail::broadcast_declaration> states_;
};

/// What connect(broadcast_stream) gives. Selector: no_key, or the key of the first stream.
template <class T, class U, class Selector>
class broadcast_connected_stream {
public:
  broadcast_connected_stream(data_stream<T> first, Selector key, broadcast_stream<U> second)
      : first_(std::move(first)), key_(std::move(key)), second_(std::move(second)) {}

  /// A broadcast_process_function<T, U, O>; on a keyed stream a keyed_broadcast_process_function<K, T, U, O>. Built
  /// from the arguments once per subtask.
  template <class F, class... Arguments>
  auto process(Arguments... arguments) const {
    constexpr bool fits = std::is_same_v<typename F::input_type1, T> && std::is_same_v<typename F::input_type2, U>;
    static_assert(fits, "process: the function's input types are not the record types of the stream and of the "
                        "broadcast stream");
    using O = typename F::output_type;
    if constexpr (fits && detail::require_record<O>()) {
      constexpr bool keyed = !std::is_same_v<Selector, no_key>;
      if constexpr (keyed) {
        using K = selected_key<Selector, T>;
        static_assert(std::is_base_of_v<keyed_broadcast_process_function<K, T, U, O>, F>,
                      "process: the function must derive from keyed_broadcast_process_function<K, T, U, O> with the "
                      "stream's key type");
      } else {
        static_assert(std::is_base_of_v<broadcast_process_function<T, U, O>, F>,
                      "process: the function must derive from broadcast_process_function<T, U, O>; keyed ones need "
                      "key_by first");
      }
      auto make = [key = key_, states = second_.states(),
                   arguments =
                       std::tuple<Arguments...>(std::move(arguments)...)]() -> std::unique_ptr<stream_operator> {
        return std::make_unique<broadcast_process_operator<T, U, O, F, Selector>>(key, states, arguments);
      };
      return data_stream<O>{first_.state(),
                            {{first_.add_two_input(keyed ? "Co-Process-Broadcast-Keyed" : "Co-Process-Broadcast",
                                                   &record_type_of<O>(), std::move(make), second_.stream()),
                              {},
                              {}}}};
    }
  }

private:
  data_stream<T> first_;
  Selector key_;
  broadcast_stream<U> second_;
};

template <class T>
template <class K, class V, class... More>
broadcast_stream<T> data_stream<T>::broadcast(const map_state_descriptor<K, V>& first, const More&... more) const {
  return {broadcast(), {first.declaration(), more.declaration()...}};
}
template <class T>
template <class U>
auto data_stream<T>::connect(const broadcast_stream<U>& rules) const {
  this->check_same_environment(rules.stream());
  return broadcast_connected_stream<T, U, no_key>{*this, no_key{}, rules};
}
template <class K, class T, class Selector>
template <class U>
auto keyed_stream<K, T, Selector>::connect(const broadcast_stream<U>& rules) const {
  this->check_same_environment(rules.stream());
  return broadcast_connected_stream<T, U, Selector>{*this, key_, rules};
}

} // namespace dataflow
