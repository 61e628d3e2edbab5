/// keyed_stream: a stream whose records of one key all go to the same subtask, with the operators that need that.
///
/// Rolling reductions put out one result per record. sum, min and max change one field and keep the other fields of the
/// key's first record; min_by and max_by give the whole record that has the least or greatest field.
/// Everything else as in data_stream. Source: Flink's KeyedStream.
#pragma once

#include <dataflow/api/data_stream.hpp>
#include <dataflow/operators/keyed_reduce.hpp>
#include <dataflow/operators/salted_reduce.hpp>

namespace dataflow {

namespace detail {
/// reduce, sum, min, max, min_by, max_by for a stream that can aggregate(name, merge).
template <class T, class Self>
class reductions {
public:
  /// f(const T& so far, const T& next) -> T. A key's first record passes through as it is.
  template <class F>
  data_stream<T> reduce(F f) const {
    static_assert(std::is_invocable_r_v<T, F&, const T&, const T&>,
                  "reduce: the function must take two of the stream's records and return one");
    check_copyable_function<F, T>();
    if constexpr (std::is_invocable_r_v<T, F&, const T&, const T&>)
      return self().aggregate("Keyed Reduce", reduce_merge<F>{std::move(f)});
  }
  template <class Field>
  data_stream<T> sum(Field field) const {
    check<Field>();
    static_assert(
        requires(const T& r) { std::invoke(field, r) + std::invoke(field, r); }, "sum: the field has no +");
    return self().aggregate("Keyed Aggregation", sum_merge<Field>{field});
  }
  template <class Field>
  data_stream<T> min(Field field) const {
    check<Field>();
    return self().aggregate("Keyed Aggregation", extreme_merge<Field, extreme::least>{field});
  }
  template <class Field>
  data_stream<T> max(Field field) const {
    check<Field>();
    return self().aggregate("Keyed Aggregation", extreme_merge<Field, extreme::greatest>{field});
  }
  /// Of equal ones the first, or the last.
  template <class Field>
  data_stream<T> min_by(Field field, bool first_of_equal = true) const {
    check<Field>();
    return self().aggregate("Keyed Aggregation", extreme_by_merge<Field, extreme::least>{field, first_of_equal});
  }
  template <class Field>
  data_stream<T> max_by(Field field, bool first_of_equal = true) const {
    check<Field>();
    return self().aggregate("Keyed Aggregation", extreme_by_merge<Field, extreme::greatest>{field, first_of_equal});
  }
  // By the position in a tuple.
  template <std::size_t I>
  data_stream<T> sum() const {
    return sum(tuple_field<I>{});
  }
  template <std::size_t I>
  data_stream<T> min() const {
    return min(tuple_field<I>{});
  }
  template <std::size_t I>
  data_stream<T> max() const {
    return max(tuple_field<I>{});
  }
  template <std::size_t I>
  data_stream<T> min_by(bool first_of_equal = true) const {
    return min_by(tuple_field<I>{}, first_of_equal);
  }
  template <std::size_t I>
  data_stream<T> max_by(bool first_of_equal = true) const {
    return max_by(tuple_field<I>{}, first_of_equal);
  }

private:
  const Self& self() const noexcept { return static_cast<const Self&>(*this); }
  template <class Field>
  static constexpr void check() {
    static_assert(std::is_invocable_v<const Field&, T&> &&
                      std::is_lvalue_reference_v<std::invoke_result_t<const Field&, T&>>,
                  "name the field with a pointer to a member of the stream's record, for example &word_count::count");
  }
};
} // namespace detail

template <class K, class T, class Selector>
class keyed_stream : public data_stream<T>, public detail::reductions<T, keyed_stream<K, T, Selector>> {
public:
  using key_type = K;
  keyed_stream(std::shared_ptr<detail::environment_state> state, std::vector<detail::stream_input> inputs, Selector key)
      : data_stream<T>(std::move(state), std::move(inputs)), key_(std::move(key)) {}

  /// f(const T&, keyed_process_context<K>&, collector<O>&).
  template <class Given = void, class F>
  requires(!detail::function_class<Given>) auto process(F f) const {
    using O = detail::output_of<Given, F, 2>;
    static_assert(!std::is_void_v<O>, "process: the function must take (const T&, keyed_process_context<K>&, "
                                      "collector<O>&); for a generic function name the output type: process<O>(f)");
    static_assert(std::is_invocable_v<F&, const T&, keyed_process_context<K>&, collector<O>&>,
                  "process: the function must be callable with (const T&, keyed_process_context<K>&, collector<O>&)");
    detail::check_copyable_function<F, T>();
    return this->template transform<O>("KeyedProcess", [f = std::move(f), key = key_] {
      return std::make_unique<process_operator<T, O, F, Selector>>(key, std::forward_as_tuple(f));
    });
  }
  /// A keyed_process_function<K, T, O>, built from the arguments once per subtask.
  template <class F, class... Arguments>
  requires detail::function_class<F>
  auto process(Arguments... arguments) const {
    using O = typename F::output_type;
    constexpr bool fits = std::is_same_v<typename F::input_type, T>;
    static_assert(fits, "process: the function's input type is not the stream's record type");
    if constexpr (fits) {
      constexpr bool keyed = std::is_base_of_v<keyed_process_function<K, T, O>, F>;
      static_assert(keyed,
                    "process: the function must derive from keyed_process_function<K, T, O> with the stream's key "
                    "type");
      if constexpr (keyed && detail::require_record<O>())
        return this->template transform<O>(
            "KeyedProcess", [key = key_, arguments = std::tuple<Arguments...>(std::move(arguments)...)] {
              return std::make_unique<process_operator<T, O, F, Selector>>(key, arguments);
            });
    }
  }
  /// Pairs of records with equal keys whose timestamps are close to each other; say how close with between(). See
  /// <dataflow/api/interval_join.hpp>.
  template <class K2, class U, class Selector2>
  auto interval_join(const keyed_stream<K2, U, Selector2>& right) const;
  using data_stream<T>::connect;
  /// With a stream that fills broadcast state, for a keyed_broadcast_process_function.
  template <class U>
  auto connect(const broadcast_stream<U>& rules) const;
  const Selector& key_selector() const noexcept { return key_; }
  // Windows per key: <dataflow/api/windowed_stream.hpp>.
  template <class Assigner>
  auto window(Assigner assigner) const;
  /// Fires, and is emptied, at every `size` records of a key.
  auto count_window(std::int64_t size) const;
  /// Fires at every `slide` records of a key, with the last `size` of them.
  auto count_window(std::int64_t size, std::int64_t slide) const;

private:
  friend class detail::reductions<T, keyed_stream>;
  template <class Merge>
  data_stream<T> aggregate(const char* name, Merge merge) const {
    if constexpr (requires { merge.keeps_key(key_); } && std::is_member_object_pointer_v<Selector>)
      if (merge.keeps_key(key_)) return aggregate_with<true>(name, std::move(merge));
    return aggregate_with<false>(name, std::move(merge));
  }
  template <bool KeyInValue, class Merge>
  data_stream<T> aggregate_with(const char* name, Merge merge) const {
    return this->template transform<T>(name, [key = key_, merge = std::move(merge)] {
      return std::make_unique<keyed_reduce_operator<T, Selector, Merge, KeyInValue>>(key, merge);
    });
  }
  Selector key_;
};

/// What key_by_salted gives.
template <class K, class T, class Selector>
class salted_stream : public detail::reductions<T, salted_stream<K, T, Selector>> {
public:
  salted_stream(data_stream<T> in, Selector key, std::uint32_t salts)
      : in_(std::move(in)), key_(std::move(key)), salts_(salts) {}

private:
  friend class detail::reductions<T, salted_stream>;
  template <class Merge>
  data_stream<T> aggregate(const char* name, Merge merge) const {
    using part = salted<T>;
    auto key_of_part = [key = key_](const part& p) -> K { return K(std::invoke(key, p.value)); };
    auto parts =
        in_.map(salt_function<T>{salts_})
            .name("Salt")
            .key_by(composite_selector<decltype(key_of_part), std::uint32_t part::*>{{key_of_part, &part::salt}})
            .template transform<part>(std::string{name} + " (parts)", [key = key_, merge] {
              return std::make_unique<reduce_parts_operator<T, Selector, Merge>>(key, merge);
            });
    return parts.key_by(key_of_part).template transform<T>(name, [key = key_, merge, salts = salts_] {
      return std::make_unique<merge_parts_operator<T, Selector, Merge>>(key, merge, salts);
    });
  }
  data_stream<T> in_;
  Selector key_;
  std::uint32_t salts_;
};

template <class T>
template <class Selector>
auto data_stream<T>::key_by_salted(Selector key, std::uint32_t salts) const {
  static_assert(std::is_invocable_v<Selector&, const T&>,
                "key_by_salted: the key must be a member pointer or a function of the stream's record");
  using K = selected_key<Selector, T>;
  detail::check_key<K>();
  detail::check_salts(salts);
  return salted_stream<K, T, Selector>{*this, std::move(key), salts};
}

} // namespace dataflow
