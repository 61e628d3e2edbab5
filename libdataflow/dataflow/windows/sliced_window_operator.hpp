/// Tumbling and sliding event-time windows with their default trigger and without an evictor.
///
/// Time is cut where a window begins or ends. Per slice there is one table from keys to contents; a record is added to
/// one slice, however many windows it belongs to. A window is put together from its slices when the watermark completes
/// it (slice_merger.hpp); a tumbling window is one slice. No timer and no copy per window. Results are those of
/// window_operator, which takes everything else; those of one window come out in the order in which its keys came.
/// Allowed lateness keeps the slices until their last window is cleaned up. Where keyed state may be larger than memory
/// they are in a database (stored_slices.hpp), and results of a window come out in the order of the keys' bytes.
/// Threading: the task's own. Errors: errc::missing_timestamp for records without timestamps.
/// Source: the semantics of Flink's WindowOperator; the slices are those of Scotty and of Flink SQL.
#pragma once

#include <dataflow/operators/collecting_loop.hpp>
#include <dataflow/operators/key_selector.hpp>
#include <dataflow/state/declared_state.hpp>
#include <dataflow/state/keyed_table.hpp>
#include <dataflow/windows/assigners.hpp>
#include <dataflow/windows/frozen_slices.hpp>
#include <dataflow/windows/slice_merger.hpp>
#include <dataflow/windows/stored_slices.hpp>
#include <dataflow/windows/window_functions.hpp>
#include <dataflow/windows/window_progress.hpp>
#include <dataflow/windows/window_wait.hpp>

#include <map>
#include <optional>
#include <set>

namespace dataflow {

/// Key: selector. Contents, Function: see window_functions.hpp. Sliding windows need Contents::sliceable.
template <class T, class O, class Key, class Contents, class Function>
class sliced_window_operator final : public stream_operator, private declared_state {
  using K = selected_key<Key, T>;
  using stored = typename Contents::stored;
  using table = keyed_table<K, stored, key_equal<K>, key_hasher>;
  static constexpr std::size_t block = table::block;
  using on_disk = detail::stored_slices<K, stored>;
  static constexpr bool one_key = std::is_same_v<Key, detail::no_window_key>;

public:
  sliced_window_operator(Key key, const detail::window_grid& grid, const detail::window_settings& settings,
                         Contents contents, Function function)
      : key_(std::move(key)), grid_(grid), settings_(settings), contents_(std::move(contents)),
        function_(std::move(function)), sliding_(grid.slide < grid.size), merger_(contents_) {}

  void open(operator_context& context) override {
    stream_operator::open(context);
    out_.emplace(context, context.output());
    wake_ = context.wake_up();
    function_context_.emplace(context);
    open_function(contents_, context);
    open_function(function_, context);
    late_ = &context.counter("numLateRecordsDropped");
    if (settings_.late_tag != 0) late_out_.emplace(context, context.side_output(settings_.late_tag));
    context.states().declare(progress_);
    watermark_ = progress_.watermark();
    complete_until_ = grid_.complete_until(watermark_);
    next_window_ = progress_.next_window();
    if (context.states().has_databases()) {
      stored_ = std::make_unique<on_disk>(grid_, settings_.lateness);
      stored_->open(context.states(), context.clock());
      if (context.states().is_restored()) context.states().declare(*this);
      return;
    }
    context.states().declare(*this);
    if (context.states().is_restored()) context.states().declare(from_disk_);
    in_files_.read(context.states(), context.clock(), from_disk_.info().name,
                   [this](const state_part& p) { from_disk_.restore(p); });
    rebuild();
  }
  void close() noexcept override {
    close_function(function_);
    close_function(contents_);
  }

  void process(unsigned, batch_slice& slice) override {
    auto& b = slice.data.as<T>();
    if (stored_) return process_stored(b, slice);
    while (slice.cursor < slice.limit) {
      if (!b.has_timestamps()) detail::fail_without_timestamp();
      const auto n = std::min(block, slice.limit - slice.cursor);
      add_block(b, slice.cursor, n);
      progress_.count(n);
      slice.cursor += n;
      if (should_stop()) break;
    }
    flush();
  }

  progress advance_watermark(timestamp t) override {
    firing_at_ = t;
    const bool done = stored_ ? fire_stored(t) : sliding_ ? fire_sliding(t) : fire_tumbling(t);
    flush();
    if (!done) return progress::yielded;
    watermark_ = t;
    complete_until_ = grid_.complete_until(t);
    next_window_ = std::max(next_window_, grid_.last_complete(t) + 1);
    progress_.set(watermark_, next_window_);
    for (auto i = kept_.begin(); i != kept_.end() && is_cleaned(i->second->bounds.start, t);)
      i = kept_.erase(i);
    return stream_operator::advance_watermark(t);
  }
  /// Of the windows that have not fired the first one; else the first one that is kept for late records.
  std::optional<event_time_wait> waits_for() const override {
    if (stored_) {
      const auto due = stored_->first_due();
      if (!due) return {};
      const auto w = grid_.at(grid_.first_ending_after(*due));
      if (w.max_timestamp() == *due) return detail::wait_until_fired(w);
      const auto last = *due - std::chrono::milliseconds{settings_.lateness};
      return detail::wait_until_cleaned(grid_.at(grid_.first_ending_after(last)), settings_.lateness);
    }
    if (!open_.empty()) {
      const auto first = grid_.first_ending_after(open_.begin()->second->bounds.start);
      return detail::wait_until_fired(grid_.at(std::max(next_window_, first)));
    }
    if (kept_.empty()) return {};
    return detail::wait_until_cleaned(grid_.at(grid_.index_of(kept_.begin()->second->bounds.start)),
                                      settings_.lateness);
  }

  /// Of what is in a database, what is in memory.
  std::size_t counted_bytes() const noexcept { return stored_ ? stored_->counted_bytes() : 0; }

private:
  using restored_item = detail::restored_slice<K, stored>;
  struct slice {
    time_window bounds;
    table contents;
    std::size_t emitted = 0; // entries whose results are out; of sliding windows: of the next window, at a restart
  };
  using slices = std::map<timestamp, std::unique_ptr<slice>>; // by start

  // ---- records

  void add_block(const batch<T>& b, std::size_t begin, std::size_t n) {
    std::uint64_t own_hashes[block];
    const auto* hashes = b.hashes.data() + begin;
    const auto* times = b.timestamps.data() + begin;
    if (!b.has_hashes()) {
      for (std::size_t i = 0; i < n; ++i)
        own_hashes[i] = key_hash(std::invoke(key_, b.records[begin + i]));
      hashes = own_hashes;
    }
    auto least = times[0], most = times[0];
    for (std::size_t i = 1; i < n; ++i) {
      least = std::min(least, times[i]);
      most = std::max(most, times[i]);
    }
    if (current_ && current_->bounds.start <= least && most < current_->bounds.end && least != no_timestamp) [[likely]]
      return add_run(b, *current_, hashes, n, [begin](std::size_t j) { return begin + j; });
    // Slice by slice; where one ends, a block has records of two.
    std::uint32_t left[block], run[block];
    std::uint64_t run_hashes[block];
    for (std::size_t i = 0; i < n; ++i)
      left[i] = static_cast<std::uint32_t>(i);
    for (auto count = n; count > 0;) {
      auto* s = slice_of(b, begin + left[0], hashes[left[0]]);
      std::size_t in_run = 0, rest = 0;
      for (std::size_t j = s ? 0 : 1; j < count; ++j) {
        const auto i = left[j];
        if (s && detail::holds(s->bounds, times[i])) {
          run_hashes[in_run] = hashes[i];
          run[in_run++] = i;
        } else {
          left[rest++] = i;
        }
      }
      count = rest;
      if (!s) continue;
      add_run(b, *s, run_hashes, in_run, [&run, begin](std::size_t j) { return begin + run[j]; });
      current_ = s;
    }
  }

  /// Adds records to a slice that is not complete yet. at(j): where record j of the run is in the batch.
  template <class At>
  void add_run(const batch<T>& b, slice& s, const std::uint64_t* hashes, std::size_t n, At at) {
    std::uint32_t candidates[block];
    if constexpr (!one_key) s.contents.find_candidates(hashes, n, candidates);
    const auto number = progress_.number();
    const bool held = s.contents.is_held();
    stored* only = nullptr; // windows over everything have one key
    auto body = [&](std::size_t j) __attribute__((always_inline)) {
      const auto& record = b.records[at(j)];
      if (one_key && only) return contents_.add(*only, record, number + at(j));
      if (held) [[unlikely]]
        s.contents.save(std::invoke(key_, record), hashes[j], one_key ? table::none : candidates[j]);
      const auto [value, fresh] =
          s.contents.find_or_insert_value(std::invoke(key_, record), hashes[j], one_key ? table::none : candidates[j],
                                          [&] { return contents_.first(record, number + at(j)); });
      if (!fresh) contents_.add(*value, record, number + at(j));
      only = value;
    };
    auto failed = [&](std::size_t j) {
      handle_record_error(
          context(), [&] { body(j); }, [&](std::uint64_t tag) { divert_record(context(), tag, b, at(j)); });
    };
    run_records_until(n, std::size_t{0}, n, body, failed, [] { return false; });
  }

  /// The incomplete slice that a record belongs to; null: the record has been dealt with.
  slice* slice_of(const batch<T>& b, std::size_t i, std::uint64_t hash) {
    const auto t = b.timestamps[i];
    if (t == no_timestamp) detail::fail_without_timestamp();
    const auto bounds = grid_.slice_of(t);
    if (!bounds) { // between two windows
      if (is_behind(t)) drop_late(b, i);
      return nullptr;
    }
    if (bounds->end > complete_until_) return &find_or_make(open_, *bounds);
    if (is_cleaned(t, watermark_))
      drop_late(b, i);
    else
      add_behind_watermark(b, i, hash, *bounds);
    return nullptr;
  }

  slice& find_or_make(slices& in, const time_window& bounds) {
    auto& s = in[bounds.start];
    if (!s) {
      if (spare_.empty()) {
        s = std::make_unique<slice>();
      } else {
        s = std::move(spare_.back());
        spare_.pop_back();
      }
      s->bounds = bounds;
      s->emitted = 0;
    }
    return *s;
  }
  void recycle(std::unique_ptr<slice> s) {
    if (spare_.size() >= 4) return;
    s->contents.clear();
    spare_.push_back(std::move(s));
  }

  // ---- late records

  timestamp cleanup_time(const time_window& w) const noexcept {
    return saturating_add(w.max_timestamp(), std::chrono::milliseconds{settings_.lateness});
  }
  /// The last window that holds t is cleaned up at this watermark.
  bool is_cleaned(timestamp t, timestamp watermark) const noexcept {
    return cleanup_time(grid_.at(grid_.index_of(t))) <= watermark;
  }
  bool is_behind(timestamp t) const noexcept {
    return saturating_add(t, std::chrono::milliseconds{settings_.lateness}) <= watermark_;
  }
  void drop_late(const batch<T>& b, std::size_t i) {
    if (!late_out_) return late_->add(1);
    late_out_->set_timestamp(b.timestamps[i]);
    late_out_->collect(b.records[i]);
  }
  /// The record's slice is complete, but not all of its windows are cleaned up.
  void add_behind_watermark(const batch<T>& b, std::size_t i, std::uint64_t hash, const time_window& bounds) {
    const auto attempt = [&] {
      const auto& record = b.records[i];
      const auto& key = std::invoke(key_, record);
      const auto number = progress_.number() + i;
      const auto last = grid_.index_of(b.timestamps[i]);
      stored own = contents_.first(record, number);
      if (settings_.lateness > 0) {
        auto& kept = find_or_make(kept_, bounds).contents;
        if (kept.is_held()) kept.save(key, hash, table::none);
        auto [value, fresh] = kept.find_or_insert_value(key, hash, table::none, [&] { return own; });
        if (!fresh) contents_.add(*value, record, number);
      }
      if constexpr (Contents::sliceable)
        if (sliding_ && last >= next_window_) merger_.add(bounds, merger_.find_or_insert(key, hash), std::move(own));
      firing_at_ = watermark_;
      const auto first = grid_.first_ending_after(b.timestamps[i]);
      for (auto k = std::min(last, next_window_ - 1); k >= first; --k) {
        const auto window = grid_.at(k);
        if (cleanup_time(window) <= watermark_) break;
        fire_again(K(key), hash, window);
      }
    };
    try {
      attempt();
    } catch (...) {
      handle_record_error(context(), attempt, [&](std::uint64_t tag) { divert_record(context(), tag, b, i); });
    }
  }
  /// A late record fires its complete windows at once, each with its full contents.
  void fire_again(const K& key, std::uint64_t hash, const time_window& window) {
    std::optional<stored> all;
    for (auto s = kept_.lower_bound(window.start); s != kept_.end() && s->second->bounds.end <= window.end; ++s) {
      const auto* part = s->second->contents.find(key, hash);
      if (!part) continue;
      if (!sliding_) return emit_result(key, window, *part);
      if (all)
        contents_.merge(*all, stored(*part));
      else
        all = *part;
    }
    if (all) emit_result(key, window, *all);
  }

  // ---- firing

  void emit_result(const K& key, const time_window& window, const stored& contents) {
    out_->set_timestamp(window.max_timestamp());
    function_context_->begin(window, firing_at_);
    detail::call_window_function<!Contents::is_list>(function_, key, *function_context_,
                                                     contents_.results(contents, room_), *out_);
  }
  void flush() {
    if (must_wait()) context().wait_for_wake_up();
    if (stored_) stored_->make_room();
    out_->flush();
    function_context_->sides().flush();
    if (late_out_) late_out_->flush();
  }
  bool should_stop() { return out_->has_full_batch() || context().pause_requested() || must_wait(); }
  bool must_wait() { return held_.any() && held_.hold_more_than(context().states().place().snapshot_bytes, wake_); }

  bool fire_tumbling(timestamp t) {
    while (!open_.empty() && open_.begin()->second->bounds.max_timestamp() <= t) {
      auto& s = *open_.begin()->second;
      while (s.emitted < s.contents.size()) {
        auto& e = s.contents.entry_at(s.emitted++);
        emit_result(e.key, s.bounds, e.value);
        if (should_stop()) return false;
      }
      retire(open_.begin());
    }
    return true;
  }
  /// A complete slice is kept for late records, or done with.
  void retire(typename slices::iterator i) {
    if (current_ == i->second.get()) current_ = nullptr;
    if (settings_.lateness > 0)
      kept_[i->first] = std::move(i->second);
    else
      recycle(std::move(i->second));
    open_.erase(i);
  }

  bool fire_sliding(timestamp t) {
    if constexpr (Contents::sliceable) {
      const auto last = grid_.last_complete(t);
      for (;;) {
        if (!firing_) {
          auto k = next_window_;
          if (merger_.empty()) {
            if (open_.empty()) return true;
            k = std::max(k, grid_.first_ending_after(open_.begin()->first));
          }
          if (k > last) return true;
          firing_ = true;
          next_window_ = k;
          window_ = grid_.at(k);
          progress_.set(watermark_, k);
          while (!open_.empty() && open_.begin()->second->bounds.end <= window_.end) {
            merger_.seal(open_.begin()->second->bounds, open_.begin()->second->contents);
            retire(open_.begin());
          }
          cursor_ = nullptr;
          evicted_ = false;
        }
        if (!evicted_) {
          if (!merger_.evict_before(window_.start, [this] { return context().pause_requested(); })) return false;
          evicted_ = true;
          cursor_ = merger_.first_key();
        }
        while (cursor_) {
          auto* n = std::exchange(cursor_, cursor_->after);
          if (n->value.number <= restored_emitted_) continue;
          if (!merger_.visit(*n, window_.start, [&](const stored& all) { emit_result(n->key, window_, all); }))
            merger_.erase(n);
          if (should_stop()) return false;
        }
        firing_ = false;
        if (restored_emitted_ > 0) forget_emitted();
        ++next_window_;
        progress_.set(watermark_, next_window_);
      }
    }
    return true;
  }

  /// The window is fired whose results were out for some keys at a restart.
  void forget_emitted() noexcept {
    restored_emitted_ = 0;
    for (auto* set : {&open_, &kept_})
      for (auto& [start, s] : *set)
        s->emitted = 0;
  }

  // ---- in a database

  void process_stored(const batch<T>& b, batch_slice& slice) {
    if (!b.has_timestamps()) detail::fail_without_timestamp();
    while (slice.cursor < slice.limit) {
      const auto attempt = [&, i = slice.cursor] { add_stored(b, i); };
      try {
        attempt();
      } catch (...) {
        handle_record_error(context(), attempt,
                            [&](std::uint64_t tag) { divert_record(context(), tag, b, slice.cursor); });
      }
      ++slice.cursor;
      progress_.count(1);
      if (should_stop()) break;
    }
    flush();
  }
  void add_stored(const batch<T>& b, std::size_t i) {
    const auto t = b.timestamps[i];
    if (t == no_timestamp) detail::fail_without_timestamp();
    const auto bounds = grid_.slice_of(t);
    const bool complete = bounds && bounds->end <= complete_until_;
    if (!bounds || (complete && is_cleaned(t, watermark_))) {
      if (bounds || is_behind(t)) drop_late(b, i);
      return;
    }
    const auto& record = b.records[i];
    const auto& key = std::invoke(key_, record);
    auto& v = stored_->enter(key, b.has_hashes() ? b.hashes[i] : key_hash(key));
    const auto last = grid_.index_of(t);
    if (!complete || settings_.lateness > 0 || last >= next_window_) {
      const auto at = on_disk::place_in(v, *bounds);
      if (at != v.second.end() && at->first == *bounds)
        contents_.add(at->second, record, progress_.number());
      else
        v.second.emplace(at, *bounds, contents_.first(record, progress_.number()));
    }
    if (!complete) return;
    on_disk::skip_until(v, std::min(next_window_, last + 1));
    firing_at_ = watermark_; // windows that are complete fire again, each with its full contents
    for (auto k = std::min(last, next_window_ - 1); k >= grid_.first_ending_after(t); --k) {
      const auto window = grid_.at(k);
      if (cleanup_time(window) <= watermark_) break;
      emit_stored(v, window);
    }
  }
  /// Of the key that was entered.
  void emit_stored(typename on_disk::value& v, const time_window& window) {
    const auto [first, end] = on_disk::in_window(v, window);
    if (first == end) return;
    if (end - first == 1) return emit_result(stored_->key(), window, first->second);
    stored all = first->second;
    for (auto p = first + 1; p != end; ++p)
      contents_.merge(all, stored(p->second));
    emit_result(stored_->key(), window, all);
  }
  bool fire_stored(timestamp t) {
    for (auto due = stored_->first_due(); due && *due <= t; due = stored_->first_due()) {
      auto& v = stored_->enter_first_due();
      if (const auto k = stored_->next_window(v); k && grid_.at(*k).max_timestamp() <= *due) {
        progress_.set(watermark_, *k);
        emit_stored(v, grid_.at(*k));
        v.first = *k + 1;
      }
      stored_->drop_old(v, *due);
      stored_->leave();
      if (should_stop()) return false;
    }
    return true;
  }
  /// What the operator has stored that keeps its slices in memory, into the database.
  void store(std::vector<restored_item> items) {
    std::stable_partition(items.begin(), items.end(), [](auto& r) { return !(r.flags & detail::is_merged); });
    std::set<std::string> whole; // keys' slices that are not to be put together from what was merged
    byte_writer name;
    for (auto& r : items) {
      name.clear();
      codec<K>::encode(r.key, name);
      name.fixed(r.slice);
      auto& v = stored_->enter(r.key, key_hash(r.key));
      // Windows before the next one have fired, and that one for keys whose results were out.
      if (sliding_)
        on_disk::skip_until(v, next_window_ + ((r.flags & detail::is_emitted) != 0));
      else if (r.flags & (detail::is_emitted | detail::is_kept))
        on_disk::skip_until(v, grid_.index_of(r.slice.start) + 1);
      if (!(r.flags & detail::is_merged)) whole.insert(name.buffer());
      const auto at = on_disk::place_in(v, r.slice);
      if (at == v.second.end() || at->first != r.slice)
        v.second.emplace(at, r.slice, std::move(r.contents));
      else if (!whole.contains(name.buffer()))
        contents_.merge(at->second, std::move(r.contents));
    }
    stored_->leave();
  }

  // ---- state

  state_info info() const override {
    return {"window-slices", state_kind::keyed,
            "slices of " + to_string(codec<K>::describe()) + " -> " + to_string(codec<stored>::describe())};
  }
  void snapshot(state_writer& out) const override {
    if (const auto all = freeze()) all->write_last(out);
  }
  std::shared_ptr<const frozen_state> freeze() const override {
    if (stored_) return nullptr;
    auto& self = const_cast<sliced_window_operator&>(*this); // holding changes nothing that is stored
    const auto& states = self.context().states();
    const auto memory = std::make_shared<detail::held_memory>();
    auto all = std::make_shared<detail::frozen_slices<typename merger::frozen>>(states.key_groups(), memory);
    for (auto& [set, flag] : {std::pair{&self.open_, detail::is_open}, std::pair{&self.kept_, detail::is_kept}})
      for (auto& [start, s] : *set)
        all->add(flag, s->bounds, s->emitted, s->contents.freeze(states, memory, detail::write_entry<K, stored>));
    if constexpr (Contents::sliceable) {
      auto emitted = restored_emitted_;
      if (firing_ && evicted_) emitted = std::max(emitted, cursor_ ? cursor_->value.number - 1 : merger_.last_number());
      all->add(self.merger_.freeze(states, emitted, memory));
    }
    self.held_.add(memory);
    return all;
  }
  void restore(const state_part& part) override {
    detail::read_slices(part, restored_);
    if (stored_) store(std::exchange(restored_, {}));
  }
  /// What the operator has stored that keeps its slices in a database.
  void take(const K& key, typename on_disk::value v) {
    for (auto& [bounds, contents] : v.second) {
      const auto last = grid_.index_of(bounds.start);
      const bool complete = bounds.end <= complete_until_;
      // The next window may have fired for this key, and not for all.
      const bool emitted = v.first > (sliding_ ? next_window_ : last);
      const auto add = [&](unsigned flags) {
        if (emitted) flags |= detail::is_emitted;
        restored_.push_back({static_cast<std::uint8_t>(flags), bounds, 0, key, contents});
      };
      if (!complete) add(detail::is_open);
      if (complete && settings_.lateness > 0) add(detail::is_kept);
      if (complete && sliding_ && last >= next_window_) add(detail::is_merged);
    }
  }
  /// Key groups come one after another; the order of the keys is that of their ranks.
  void rebuild() {
    std::stable_sort(restored_.begin(), restored_.end(), [](const restored_item& a, const restored_item& b) {
      const bool not_emitted_a = !(a.flags & detail::is_emitted), not_emitted_b = !(b.flags & detail::is_emitted);
      return std::tie(not_emitted_a, a.rank) < std::tie(not_emitted_b, b.rank);
    });
    if constexpr (Contents::sliceable)
      for (auto& r : restored_)
        if (sliding_ && r.flags & (detail::is_merged | detail::is_emitted))
          if (const auto* n = merger_.find_or_insert(r.key, key_hash(r.key)); r.flags & detail::is_emitted)
            restored_emitted_ = n->value.number;
    const auto earlier = [](const restored_item& a, const restored_item& b) { return a.slice.start < b.slice.start; };
    std::stable_sort(restored_.begin(), restored_.end(), earlier);
    for (auto& r : restored_) {
      const auto hash = key_hash(r.key);
      if (r.flags & detail::is_merged) {
        if constexpr (Contents::sliceable)
          merger_.add(r.slice, merger_.find_or_insert(r.key, hash), std::move(r.contents));
        continue;
      }
      auto& s = find_or_make(r.flags & detail::is_open ? open_ : kept_, r.slice);
      s.emitted += (r.flags & detail::is_emitted) != 0; // these come first
      s.contents.find_or_insert_value(r.key, hash, table::none, [&] { return std::move(r.contents); });
    }
    restored_ = {};
  }

  Key key_;
  const detail::window_grid grid_;
  const detail::window_settings settings_;
  Contents contents_;
  Function function_;
  const bool sliding_;
  std::optional<collector<O>> out_;
  std::optional<collector<T>> late_out_;
  std::optional<window_context<time_window>> function_context_;
  std::optional<typename Contents::result> room_;
  accumulator* late_ = nullptr;
  detail::snapshots_in_progress<detail::held_memory> held_; // must_wait(): they hold more than they may
  std::function<void()> wake_;
  slices open_;              // not complete
  slices kept_;              // complete, within the allowed lateness
  slice* current_ = nullptr; // the one that the last record went to; in open_
  std::vector<std::unique_ptr<slice>> spare_;
  timestamp watermark_ = min_timestamp, complete_until_ = min_timestamp, firing_at_ = min_timestamp;
  detail::window_progress progress_;
  std::vector<restored_item> restored_;
  typename on_disk::reader from_disk_{[this](K of, typename on_disk::value v) { take(of, std::move(v)); }};
  rows_in_files<K> in_files_;
  std::unique_ptr<on_disk> stored_; // in the place of the tables, where there are databases

  // Of sliding windows.
  using merger = detail::slice_merger<K, Contents>;
  merger merger_;
  detail::wide next_window_; // the first that has not been fired
  bool firing_ = false, evicted_ = false;
  time_window window_; // being fired
  typename merger::node* cursor_ = nullptr;
  std::uint64_t restored_emitted_ = 0; // keys up to this number have fired the next window, before the restart
};

} // namespace dataflow
