/// The general window operator: any assigner, trigger, evictor and function; windows that merge.
///
/// Per key and window it keeps the contents, the trigger's state and the window's timers, all of it declared state. The
/// timers are not those of a timer_service: a record registers two or three for its window, mostly ones that are there
/// already, and sessions that merge move and delete theirs. With the timers listed in the window itself that is a look
/// at a few numbers; a set of (time, key, window) would be searched for each. Where keyed state may be larger than
/// memory, all of it is in a database (stored_windows.hpp). Every record is put into every window that it belongs to;
/// where that costs (overlapping windows with the default trigger and an aggregation), sliced_window_operator is used
/// in its place. Threading: the task's own. Errors: errc::missing_timestamp for records without timestamps in
/// event-time windows. Source: Flink's WindowOperator, EvictingWindowOperator, MergingWindowSet.
#pragma once

#include <dataflow/operators/collecting_loop.hpp>
#include <dataflow/operators/key_selector.hpp>
#include <dataflow/state/declared_state.hpp>
#include <dataflow/windows/assigners.hpp>
#include <dataflow/windows/evictors.hpp>
#include <dataflow/windows/linked_table.hpp>
#include <dataflow/windows/stored_windows.hpp>
#include <dataflow/windows/triggers.hpp>
#include <dataflow/windows/window_functions.hpp>
#include <dataflow/windows/window_progress.hpp>
#include <dataflow/windows/window_timers.hpp>
#include <dataflow/windows/window_wait.hpp>

#include <algorithm>
#include <optional>

namespace dataflow {

namespace detail {
[[noreturn]] void fail_merged_window_is_late(const char* clock);
} // namespace detail

/// Key: selector. Contents, Function: see window_functions.hpp.
template <class T, class O, class Key, class Assigner, class Trigger, class Evictor, class Contents, class Function>
class window_operator final : public stream_operator, private declared_state {
  using K = selected_key<Key, T>;
  using W = typename Assigner::window;
  static constexpr bool evicts = !std::is_same_v<Evictor, no_evictor>;
  using kept_contents = std::conditional_t<evicts, detail::evicting_contents<T, Contents>, Contents>;
  using stored = typename kept_contents::stored;
  using trigger_state = detail::trigger_state<Trigger>;
  static constexpr bool has_time_trigger =
      std::is_same_v<Trigger, event_time_trigger> || std::is_same_v<Trigger, processing_time_trigger>;
  static constexpr bool has_trigger_state = !std::is_same_v<trigger_state, detail::no_trigger_state>;

  static constexpr bool function_keeps = detail::binds_states<Function>;
  using function_states =
      std::conditional_t<function_keeps, detail::window_function_states<K, W>, detail::no_function_states>;

  using window_entry = detail::window_entry<W, stored, trigger_state, has_trigger_state>;
  using windows_of_key = detail::windows_of_key<window_entry>;
  using traits = detail::windows_of_key_traits<window_entry>;
  using keys = detail::linked_table<K, windows_of_key, key_equal<K>>;
  using node = typename keys::node;
  using timer_queue = detail::window_timers<node, window_entry>;
  using on_disk = detail::stored_windows<node, window_entry>;
  enum domain : unsigned { event_time, processing_time };

public:
  window_operator(Key key, Assigner assigner, Trigger trigger, Evictor evictor, const detail::window_settings& settings,
                  Contents contents, Function function)
      : key_(std::move(key)), assigner_(std::move(assigner)), trigger_(std::move(trigger)),
        evictor_(std::move(evictor)), settings_(settings), contents_{std::move(contents)},
        function_(std::move(function)) {}

  void open(operator_context& context) override {
    stream_operator::open(context);
    out_.emplace(context, context.output());
    wake_ = context.wake_up();
    function_context_.emplace(context);
    open_function(inner_contents(), context);
    if constexpr (function_keeps) function_states_.open(context, function_, Assigner::merging);
    open_function(function_, context);
    late_ = &context.counter("numLateRecordsDropped");
    if (settings_.late_tag != 0) late_out_.emplace(context, context.side_output(settings_.late_tag));
    context.states().declare(progress_);
    watermark_ = progress_.watermark();
    if (context.states().has_databases()) {
      stored_ = std::make_unique<on_disk>(info());
      stored_->open(context.states(), context.clock());
    } else {
      context.states().declare(*this);
      in_files_.read(context.states(), context.clock(), info().name, [this](const state_part& p) { restore(p); });
    }
    ask_for_wake_up();
  }
  void close() noexcept override {
    close_function(function_);
    close_function(inner_contents());
  }

  void process(unsigned, batch_slice& slice) override {
    const auto& b = slice.data.as<T>();
    const bool stamped = b.has_timestamps();
    if (Assigner::event_time && std::is_same_v<W, time_window> && !stamped) detail::fail_without_timestamp();
    auto body = [&](std::size_t i) {
      const T& record = b.records[i];
      const auto& key = std::invoke(key_, record);
      add(record, key, b.has_hashes() ? b.hashes[i] : key_hash(key), stamped ? b.timestamps[i] : no_timestamp);
      progress_.count(1);
    };
    auto mark = [&] {
      function_context_->sides().save();
      return out_->position();
    };
    auto rollback = [&](const typename collector<O>::mark& m) {
      function_context_->sides().restore();
      out_->rollback(m);
    };
    const auto first = slice.cursor;
    collect_records<T>(context(), slice, *out_, body, mark, rollback);
    function_states_.clean_up(slice.cursor - first);
    flush();
  }

  progress advance_watermark(timestamp t) override {
    watermark_ = t;
    progress_.set(watermark_, 0);
    while (is_due(event_time, t)) {
      const auto due = pop(event_time);
      trigger_context context{*this, *due.owner, *due.window};
      react(*due.owner, *due.window,
            detail::trigger_on_event_time(trigger_, due.time, std::as_const(due.window->window), context));
      if (Assigner::event_time && due.time == cleanup_time(due.window->window)) clear(*due.owner, *due.window);
      if (should_stop()) return flush(), progress::yielded;
    }
    flush();
    return stream_operator::advance_watermark(t);
  }
  progress advance_processing_time(std::chrono::milliseconds now) override {
    const timestamp t{now};
    while (is_due(processing_time, t)) {
      const auto due = pop(processing_time);
      trigger_context context{*this, *due.owner, *due.window};
      react(*due.owner, *due.window,
            detail::trigger_on_processing_time(trigger_, due.time, std::as_const(due.window->window), context));
      if (!Assigner::event_time && due.time == cleanup_time(due.window->window)) clear(*due.owner, *due.window);
      if (should_stop()) return flush(), progress::yielded;
    }
    flush();
    ask_for_wake_up();
    return progress::done;
  }
  std::optional<event_time_wait> waits_for() const override {
    if constexpr (std::is_same_v<W, time_window>) {
      const auto next = next_time(event_time);
      if (!next) return {};
      const W w = stored_ ? stored_->window_of_next(event_time) : event_timers_.next().window->window;
      if (*next == w.max_timestamp()) return detail::wait_until_fired(w);
      if (*next == cleanup_time(w)) return detail::wait_until_cleaned(w, settings_.lateness);
      return detail::wait_for_trigger(w, *next);
    }
    return {};
  }

  /// Of what is in a database, what is in memory.
  std::size_t counted_bytes() const noexcept { return stored_ ? stored_->counted_bytes() : 0; }

private:
  // ---- what triggers see

  class trigger_context {
  public:
    trigger_context(window_operator& op, node& key, window_entry& window,
                    std::span<const std::unique_ptr<window_entry>> merged = {}) noexcept
        : op_(op), key_(key), window_(window), merged_(merged) {}
    trigger_state& state() noexcept { return window_.state; }
    timestamp current_watermark() const noexcept { return op_.watermark_; }
    timestamp current_processing_time() const noexcept { return op_.now(); }
    void register_event_time(timestamp t) { op_.add_timer(event_time, t, key_, window_); }
    void delete_event_time(timestamp t) { op_.remove_timer(event_time, t, window_); }
    void register_processing_time(timestamp t) {
      if (op_.add_timer(processing_time, t, key_, window_)) op_.ask_for_wake_up();
    }
    void delete_processing_time(timestamp t) { op_.remove_timer(processing_time, t, window_); }
    /// Within on_merge: what the trigger remembered of the windows that became one.
    std::vector<trigger_state> merged_states() const {
      std::vector<trigger_state> states;
      for (auto& m : merged_)
        states.push_back(m->state);
      return states;
    }

  private:
    window_operator& op_;
    node& key_;
    window_entry& window_;
    std::span<const std::unique_ptr<window_entry>> merged_;
  };

  // ---- records

  template <class AnyKey>
  void add(const T& record, const AnyKey& key, std::uint64_t hash, timestamp t) {
    bool skipped = true;
    if constexpr (Assigner::event_time && std::is_same_v<W, time_window>)
      if (t == no_timestamp) detail::fail_without_timestamp();
    assigner_.assign(record, Assigner::event_time ? t : now(), [&](const W& assigned) {
      if constexpr (Assigner::merging) {
        auto* n = windows_of(key, hash);
        auto* entry = merge_in(*n, assigned);
        if (entry)
          put(*n, *entry, record, t);
        else
          erase_if_unused(*n);
        skipped = skipped && !entry;
      } else {
        if (is_late(assigned)) return;
        auto* n = windows_of(key, hash);
        put(*n, find_or_make(*n, assigned), record, t);
        skipped = false;
      }
    });
    if (skipped && is_late_record(t)) {
      if (!late_out_) return late_->add(1);
      late_out_->set_timestamp(t);
      late_out_->collect(record);
    }
  }
  void put(node& n, window_entry& entry, const T& record, timestamp t) {
    if constexpr (evicts)
      entry.contents.push_back(record, t);
    else if (entry.filled)
      contents_.add(entry.contents, record, progress_.number());
    else
      entry.contents = contents_.first(record, progress_.number());
    entry.filled = true;
    if (stored_) [[unlikely]]
      count(entry, record);
    trigger_context context{*this, n, entry};
    react(n, entry, trigger_.on_element(record, t, std::as_const(entry.window), context));
    const auto end = cleanup_time(entry.window);
    if (end == max_timestamp) return; // never
    if constexpr (Assigner::event_time)
      context.register_event_time(end);
    else
      context.register_processing_time(end);
  }
  window_entry& find_or_make(node& n, const W& w) {
    auto at = n.value.place_of(w);
    if (at == n.value.windows.end() || (*at)->window != w) {
      at = n.value.windows.insert(at, std::make_unique<window_entry>());
      (*at)->window = w;
    }
    return **at;
  }

  /// The window that `assigned` becomes a part of; null: it is late. Windows of a key never touch each other.
  window_entry* merge_in(node& n, const W& assigned) {
    auto& all = n.value.windows;
    auto first = std::find_if(all.begin(), all.end(), [&](const auto& e) { return e->window.intersects(assigned); });
    auto last = first;
    auto merged = assigned;
    for (; last != all.end() && (*last)->window.intersects(assigned); ++last)
      merged = merged.cover((*last)->window);
    if (first == last) return is_late(assigned) ? nullptr : &find_or_make(n, assigned);
    if (last - first == 1 && (*first)->window == merged) return is_late(merged) ? nullptr : first->get();
    if (Assigner::event_time ? is_late(merged) : merged.max_timestamp() <= now())
      detail::fail_merged_window_is_late(Assigner::event_time ? "watermark" : "processing time");
    if (has_time_trigger && last - first == 1) { // it only grows: nothing to put together
      auto& grown = **first;
      trigger_context context{*this, n, grown};
      detail::trigger_clear(trigger_, std::as_const(grown.window), context);
      remove_timers(grown);
      grown.window = merged;
      if constexpr (requires { trigger_.on_merge(std::as_const(grown.window), context); })
        trigger_.on_merge(std::as_const(grown.window), context);
      return &grown;
    }
    auto entry = std::make_unique<window_entry>();
    entry->window = merged;
    trigger_context context{*this, n, *entry, {&*first, static_cast<std::size_t>(last - first)}};
    if constexpr (requires { trigger_.on_merge(std::as_const(entry->window), context); })
      trigger_.on_merge(std::as_const(entry->window), context);
    for (auto i = first; i != last; ++i) {
      auto& old = **i;
      trigger_context of_old{*this, n, old};
      detail::trigger_clear(trigger_, std::as_const(old.window), of_old);
      remove_timers(old);
      if (!old.filled) continue;
      if (!entry->filled)
        entry->contents = std::move(old.contents);
      else if constexpr (evicts)
        entry->contents.append(std::move(old.contents));
      else
        contents_.merge(entry->contents, std::move(old.contents));
      entry->filled = true;
    }
    if (stored_) entry->count();
    *first = std::move(entry);
    auto* result = first->get();
    all.erase(first + 1, last);
    return result;
  }

  // ---- lateness

  timestamp cleanup_time(const W& w) const noexcept {
    return Assigner::event_time ? saturating_add(w.max_timestamp(), std::chrono::milliseconds{settings_.lateness})
                                : w.max_timestamp();
  }
  bool is_late(const W& w) const noexcept { return Assigner::event_time && cleanup_time(w) <= watermark_; }
  bool is_late_record(timestamp t) const noexcept {
    return Assigner::event_time && saturating_add(t, std::chrono::milliseconds{settings_.lateness}) <= watermark_;
  }

  // ---- firing

  void react(node& n, window_entry& entry, trigger_result r) {
    if (fires(r) && entry.filled) fire(n, entry);
    if (!purges(r)) return;
    entry.contents = stored{};
    entry.filled = false;
    entry.counted = 0;
  }
  void fire(node& n, window_entry& entry) {
    out_->set_timestamp(entry.window.max_timestamp());
    enter(n, entry);
    if constexpr (requires { evictor_.evict_before(entry.contents, std::as_const(entry.window)); })
      evictor_.evict_before(entry.contents, std::as_const(entry.window));
    detail::call_window_function<!Contents::is_list>(function_, std::as_const(n.key), *function_context_,
                                                     contents_.results(entry.contents, room_), *out_);
    if constexpr (requires { evictor_.evict_after(entry.contents, std::as_const(entry.window)); })
      evictor_.evict_after(entry.contents, std::as_const(entry.window));
    if constexpr (evicts) {
      entry.filled = !entry.contents.empty();
      if (stored_) entry.count();
    }
    function_states_.leave();
  }
  void clear(node& n, window_entry& entry) {
    trigger_context context{*this, n, entry};
    detail::trigger_clear(trigger_, std::as_const(entry.window), context);
    enter(n, entry);
    if constexpr (requires { function_.clear(std::as_const(n.key), *function_context_); })
      function_.clear(std::as_const(n.key), *function_context_);
    function_states_.clear_window();
    function_states_.leave();
    remove_timers(entry);
    n.value.windows.erase(n.value.place_of(entry.window));
    erase_if_unused(n);
  }
  void erase_if_unused(node& n) {
    if (n.value.windows.empty() && !stored_) keys_.erase(&n);
  }
  /// Makes key and window those that the function's context shows.
  void enter(node& n, window_entry& entry) {
    function_context_->begin(entry.window, watermark_);
    function_states_.enter(n.key, n.hash, entry.window);
  }
  void flush() {
    if (must_wait()) context().wait_for_wake_up();
    if (stored_) stored_->make_room();
    out_->flush();
    function_context_->sides().flush();
    if (late_out_) late_out_->flush();
  }
  bool should_stop() { return out_->has_full_batch() || context().pause_requested() || must_wait(); }
  /// Snapshots in progress hold more than they may.
  bool must_wait() {
    return function_states_.must_wait() ||
           (keys_.is_held() && keys_.holds_more_than(context().states().place().snapshot_bytes, wake_));
  }
  timestamp now() { return timestamp{context().clock().wall()}; }
  /// A timer for a time that has come fires with the next millisecond: more records may have this one.
  void ask_for_wake_up() {
    const auto next = next_time(processing_time);
    if (!next) return;
    const auto soonest = saturating_add(now(), std::chrono::milliseconds{1});
    context().wake_at(std::max(*next, soonest).time_since_epoch());
  }
  auto& inner_contents() noexcept {
    if constexpr (evicts)
      return contents_.inner;
    else
      return contents_;
  }

  // ---- in memory, or in the database

  /// To be changed. What a record or a timer changes are windows of the key that it got from here or from pop().
  template <class AnyKey>
  node* windows_of(const AnyKey& key, std::uint64_t hash) {
    if (stored_) [[unlikely]]
      return &stored_->enter(key, hash);
    auto* n = keys_.find_or_insert(key, hash);
    if (keys_.is_held()) [[unlikely]]
      keys_.save(*n);
    return n;
  }
  timer_queue& queue(domain d) noexcept { return d == event_time ? event_timers_ : processing_timers_; }
  const timer_queue& queue(domain d) const noexcept { return d == event_time ? event_timers_ : processing_timers_; }
  bool add_timer(domain d, timestamp t, node& n, window_entry& entry) {
    if (stored_) [[unlikely]]
      return stored_->add(d, t, entry);
    return queue(d).add(t, n, entry);
  }
  void remove_timer(domain d, timestamp t, window_entry& entry) {
    if (stored_) [[unlikely]]
      return stored_->remove(d, t, entry);
    queue(d).remove(t, entry);
  }
  void remove_timers(window_entry& entry) {
    for (const auto d : {event_time, processing_time})
      if (stored_) [[unlikely]]
        stored_->remove_all(d, entry);
      else
        queue(d).remove_all(entry);
  }
  std::optional<timestamp> next_time(domain d) const {
    if (stored_) [[unlikely]]
      return stored_->next(d);
    if (queue(d).empty()) return {};
    return queue(d).next().time;
  }
  bool is_due(domain d, timestamp t) const {
    const auto next = next_time(d);
    return next && *next <= t;
  }
  typename on_disk::due pop(domain d) {
    if (stored_) [[unlikely]]
      return stored_->pop(d);
    if (keys_.is_held()) keys_.save(*queue(d).next().owner); // its window has a list of its timers
    const auto due = queue(d).pop();
    return {due.time, due.owner, due.window};
  }
  /// The record has just been put into the window.
  void count(window_entry& entry, const T& record) {
    if constexpr (evicts || Contents::is_list)
      entry.counted += codec<T>::size_of(record) + (evicts ? sizeof(timestamp) : 0);
    else
      entry.count();
  }

  // ---- state

  state_info info() const override {
    auto schema = "windows of " + to_string(codec<K>::describe()) + " in " + to_string(codec<W>::describe()) + " -> " +
                  to_string(codec<stored>::describe());
    if constexpr (has_trigger_state) schema += ", trigger " + to_string(codec<trigger_state>::describe());
    return {"_windows", state_kind::keyed, std::move(schema)};
  }
  void snapshot(state_writer& out) const override { freeze()->write_last(out); }
  std::shared_ptr<const frozen_state> freeze() const override {
    auto& self = const_cast<window_operator&>(*this); // holding changes nothing that is stored
    return std::make_shared<detail::frozen_entries>(
        self.keys_.freeze(self.context().states(), std::make_shared<detail::held_memory>(), [](auto& n, auto& out) {
          codec<K>::encode(n.key, out);
          traits::encode(n.value, out);
        }));
  }
  void restore(const state_part& part) override {
    byte_reader in{part.bytes};
    while (!in.at_end()) {
      K key{};
      codec<K>::decode(key, in);
      auto* n = keys_.find_or_insert(key, key_hash(key));
      traits::decode(n->value, in);
      for (auto& entry : n->value.windows)
        for (const auto d : {event_time, processing_time})
          for (const auto& mark : std::exchange(entry->timers[d], {}))
            queue(d).add(mark.time, *n, *entry, mark.order);
    }
  }

  Key key_;
  Assigner assigner_;
  Trigger trigger_;
  [[no_unique_address]] Evictor evictor_;
  const detail::window_settings settings_;
  kept_contents contents_;
  Function function_;
  std::optional<collector<O>> out_;
  std::optional<collector<T>> late_out_;
  std::optional<window_context<W>> function_context_;
  [[no_unique_address]] function_states function_states_;
  std::optional<typename Contents::result> room_;
  accumulator* late_ = nullptr;
  timestamp watermark_ = min_timestamp;
  detail::window_progress progress_;
  std::function<void()> wake_;
  keys keys_;
  timer_queue event_timers_{0}, processing_timers_{1};
  rows_in_files<K> in_files_;
  std::unique_ptr<on_disk> stored_; // in the place of these, where there are databases
};

} // namespace dataflow
