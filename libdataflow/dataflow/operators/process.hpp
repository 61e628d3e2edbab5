/// process: the general operator over one or two inputs, with side outputs and, on keyed streams, the key.
///
/// Two-input operators of all kinds (co_map, co_flat_map, co_process) are this one with an adapter around the user's
/// functions. Threading: the task's own.
#pragma once

#include <dataflow/operators/collecting_loop.hpp>
#include <dataflow/operators/key_selector.hpp>
#include <dataflow/operators/process_context.hpp>

#include <functional>
#include <tuple>

namespace dataflow {

namespace detail {
template <class Key, class T>
struct context_for {
  using type = keyed_process_context<selected_key<Key, T>>;
};
template <class T>
struct context_for<no_key, T> {
  using type = process_context;
};

/// What one- and two-input process operators share. Context: process_context or a keyed one.
template <class O, class F, class Context>
class process_base : public stream_operator {
public:
  template <class... Arguments>
  explicit process_base(const std::tuple<Arguments...>& arguments)
      : process_base(arguments, std::index_sequence_for<Arguments...>{}) {}

  void open(operator_context& context) override {
    stream_operator::open(context);
    out_.emplace(context, context.output());
    ctx_.emplace(context);
    open_function(f_, context);
  }
  void close() noexcept override { close_function(f_); }
  progress advance_watermark(timestamp t) override {
    ctx_->set_watermark(t);
    return stream_operator::advance_watermark(t);
  }

protected:
  /// call(record, context, collector) for each record of the slice.
  template <class I, class Key, class Call>
  void process_slice(batch_slice& slice, Key& key, Call&& call) {
    const auto& in = slice.data.as<I>();
    const bool stamped = in.has_timestamps();
    auto body = [&](std::size_t i) {
      const I& record = in.records[i];
      ctx_->begin_record(stamped, stamped ? in.timestamps[i] : no_timestamp);
      if constexpr (!std::is_same_v<Key, no_key>) ctx_->set_key(std::invoke(key, record));
      call(record, *ctx_, *out_);
    };
    auto mark = [&] {
      ctx_->sides().save();
      return out_->position();
    };
    auto rollback = [&](const typename collector<O>::mark& m) {
      ctx_->sides().restore();
      out_->rollback(m);
    };
    collect_records<I>(context(), slice, *out_, body, mark, rollback);
    out_->flush();
    ctx_->sides().flush();
  }

  F f_;

private:
  template <class Tuple, std::size_t... I>
  process_base(const Tuple& arguments, std::index_sequence<I...>) : f_(std::get<I>(arguments)...) {}

  std::optional<collector<O>> out_;
  std::optional<Context> ctx_;
};
} // namespace detail

/// F has process(const I&, context&, collector<O>&), or is callable with these.
template <class I, class O, class F, class Key = no_key>
class process_operator final : public detail::process_base<O, F, typename detail::context_for<Key, I>::type> {
  using base = detail::process_base<O, F, typename detail::context_for<Key, I>::type>;

public:
  template <class... Arguments>
  explicit process_operator(Key key, const std::tuple<Arguments...>& arguments)
      : base(arguments), key_(std::move(key)) {}

  void process(unsigned, batch_slice& slice) override {
    this->template process_slice<I>(slice, key_, [this](const I& record, auto& ctx, auto& out) {
      if constexpr (requires { this->f_.process(record, ctx, out); })
        this->f_.process(record, ctx, out);
      else
        this->f_(record, ctx, out);
    });
  }

private:
  Key key_;
};

/// F has process1(const A&, context&, collector<O>&) and process2(const B&, context&, collector<O>&).
template <class A, class B, class O, class F, class KeyA = no_key, class KeyB = no_key>
class co_process_operator final : public detail::process_base<O, F, typename detail::context_for<KeyA, A>::type> {
  using base = detail::process_base<O, F, typename detail::context_for<KeyA, A>::type>;

public:
  template <class... Arguments>
  explicit co_process_operator(KeyA key1, KeyB key2, const std::tuple<Arguments...>& arguments)
      : base(arguments), key1_(std::move(key1)), key2_(std::move(key2)) {}

  void process(unsigned input, batch_slice& slice) override {
    if (input == 0)
      this->template process_slice<A>(
          slice, key1_, [this](const A& record, auto& ctx, auto& out) { this->f_.process1(record, ctx, out); });
    else
      this->template process_slice<B>(
          slice, key2_, [this](const B& record, auto& ctx, auto& out) { this->f_.process2(record, ctx, out); });
  }

private:
  KeyA key1_;
  KeyB key2_;
};

/// co_map and co_flat_map as functions of co_process: two callables.
template <class F1, class F2>
struct co_map_functions {
  F1 f1;
  F2 f2;
  co_map_functions(F1 a, F2 b) : f1(std::move(a)), f2(std::move(b)) {}
  void open(runtime_context& context) {
    open_function(f1, context);
    open_function(f2, context);
  }
  void close() noexcept {
    close_function(f1);
    close_function(f2);
  }
  void process1(const auto& record, auto&, auto& out) { out.collect(f1(record)); }
  void process2(const auto& record, auto&, auto& out) { out.collect(f2(record)); }
};
template <class F1, class F2>
struct co_flat_map_functions : co_map_functions<F1, F2> {
  using co_map_functions<F1, F2>::co_map_functions;
  void process1(const auto& record, auto&, auto& out) { this->f1(record, out); }
  void process2(const auto& record, auto&, auto& out) { this->f2(record, out); }
};
/// One object with map1 and map2, or flat_map1 and flat_map2: the two share its members.
template <class F>
struct co_map_object : F {
  explicit co_map_object(F f) : F(std::move(f)) {}
  void process1(const auto& record, auto&, auto& out) { out.collect(this->map1(record)); }
  void process2(const auto& record, auto&, auto& out) { out.collect(this->map2(record)); }
};
template <class F>
struct co_flat_map_object : F {
  explicit co_flat_map_object(F f) : F(std::move(f)) {}
  void process1(const auto& record, auto&, auto& out) { this->flat_map1(record, out); }
  void process2(const auto& record, auto&, auto& out) { this->flat_map2(record, out); }
};

} // namespace dataflow
