/// Timers in event and processing time for the keys of one operator.
///
/// A timer is (time, key, namespace): registering it twice is registering it once, deleting one that is not there is no
/// error. Event-time timers fire when the watermark reaches them, processing-time timers when wall time does, both in
/// the order of time. One that is registered for a time that has passed fires at the next watermark (or look at the
/// wall clock); one that is registered while timers fire, and is due, fires in the same pass. Before a timer fires its
/// key is made the current one. A pass can stop after any timer and go on later. Where the keyed store has a database,
/// timers are in there.
/// Threading: the task's own. Ownership: the operator's; borrows the operator's keyed_context.
/// Errors: errc::no_current_key for a timer without a key.
/// Source: Flink's InternalTimerServiceImpl.
#pragma once

#include <dataflow/state/keyed_context.hpp>
#include <dataflow/state/last_watermark.hpp>
#include <dataflow/time/stored_timers.hpp>
#include <dataflow/time/timer_store.hpp>
#include <dataflow/util/clock.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace dataflow {

enum class time_domain : std::uint8_t { event, processing };

template <class K, class N = no_namespace>
class timer_service {
public:
  using timer_type = timer<K, N>;

  /// Services of one operator have different names.
  explicit timer_service(std::string name = "timers")
      : event_("_" + name + "/event"), processing_("_" + name + "/processing"), watermark_("_" + name + "/watermark") {}
  timer_service(const timer_service&) = delete;

  /// Declares and restores; in the operator's open().
  void open(state_registry& states, keyed_context<K>& keys, const clock& clock) {
    keys_ = &keys;
    clock_ = &clock;
    event_.open(states, keys);
    processing_.open(states, keys);
    for (auto* domain : {&event_, &processing_}) {
      states.declare(*domain);
      keys.read_restored(domain->name, [domain](std::string_view key, std::string_view) {
        domain->insert(stored_timers::decoded(time_index::read(key)));
      });
    }
    states.declare(watermark_);
    current_ = watermark_.value();
  }

  // For the current key.
  void register_event_time(timestamp t, const N& space = {}) { event_.insert(of_current_key(t, space)); }
  void delete_event_time(timestamp t, const N& space = {}) { event_.erase(of_current_key(t, space)); }
  void register_processing_time(timestamp t, const N& space = {}) { processing_.insert(of_current_key(t, space)); }
  void delete_processing_time(timestamp t, const N& space = {}) { processing_.erase(of_current_key(t, space)); }
  /// Wall times since 1970 UTC.
  void register_processing_time(std::chrono::milliseconds t, const N& space = {}) {
    register_processing_time(timestamp{t}, space);
  }
  void delete_processing_time(std::chrono::milliseconds t, const N& space = {}) {
    delete_processing_time(timestamp{t}, space);
  }

  /// min_timestamp before the first one. While timers fire, the one that made them fire.
  timestamp current_watermark() const noexcept { return current_; }
  timestamp current_processing_time() const noexcept { return timestamp{clock_->wall()}; }
  /// When advance_processing_time() has something to do; the operator asks to be woken at it.
  std::optional<std::chrono::milliseconds> next_processing_time() const noexcept {
    if (processing_.empty()) return {};
    return processing_.first_time().time_since_epoch();
  }
  /// The watermark at which advance() has something to do.
  std::optional<timestamp> next_event_time() const noexcept {
    if (event_.empty()) return {};
    return event_.first_time();
  }
  /// How many there are. With a database, all of them are read for it.
  std::size_t event_timers() const { return event_.size(); }
  std::size_t processing_timers() const { return processing_.size(); }
  /// 0: nobody knows without reading them.
  std::size_t known_event_timers() const { return event_.stored ? 0 : event_.size(); }

  /// The watermark has reached t. Calls fire(timer) for what is due; the key of the timer is the current one. After
  /// each it asks stop(): true ends the pass. Returns whether all that is due has fired; if not, call it again with the
  /// same watermark. A watermark that is not later than the last one (after a restart) fires nothing.
  template <class Fire, class Stop>
  bool advance(timestamp t, Fire&& fire, Stop&& stop) {
    if (t <= watermark_.value()) return true;
    current_ = t;
    if (!run(event_, t, fire, stop)) return false;
    watermark_.set(t); // not before: a snapshot in the middle of the pass begins it again
    return true;
  }
  /// Wall time has reached `now`; as advance().
  template <class Fire, class Stop>
  bool advance_processing_time(std::chrono::milliseconds now, Fire&& fire, Stop&& stop) {
    return run(processing_, timestamp{now}, fire, stop);
  }

private:
  using stored_timers = detail::stored_timers<K, N>;
  struct declared final : declared_state {
    explicit declared(std::string name) : name(std::move(name)) {}
    state_info info() const override {
      auto schema = "timers of " + to_string(codec<K>::describe());
      if constexpr (!std::is_same_v<N, no_namespace>) schema += " in " + to_string(codec<N>::describe());
      return {name, state_kind::keyed, std::move(schema)};
    }
    void open(state_registry& states, keyed_store& keys) {
      timers.open(states.key_groups(), states.max_parallelism());
      if (keys.stored()) stored = std::make_unique<stored_timers>(keys, name);
    }
    bool empty() const noexcept { return stored ? stored->empty() : timers.empty(); }
    std::size_t size() const { return stored ? stored->size() : timers.size(); }
    timestamp first_time() const noexcept { return stored ? stored->first_time() : timers.first_time(); }
    void insert(timer_type t) {
      if (stored) [[unlikely]]
        stored->insert(t);
      else
        timers.insert(std::move(t));
    }
    void erase(const timer_type& t) {
      if (stored) [[unlikely]]
        stored->erase(t);
      else
        timers.erase(t);
    }
    timer_type pop_first() { return stored ? stored->pop_first() : timers.pop_first(); }
    void snapshot(state_writer& out) const override {
      if (stored) return stored->snapshot(out);
      timers.for_each_group(
          [&](std::uint32_t group, const sorted_blocks<timer_type>& all) { encode(all, out.part(group)); });
    }
    static void encode(const sorted_blocks<timer_type>& timers, byte_writer& part) {
      timers.for_each([&](const timer_type& t) {
        part.template fixed<std::int64_t>(t.time.time_since_epoch().count());
        codec<K>::encode(t.key.key, part);
        if constexpr (!std::is_same_v<N, no_namespace>) codec<N>::encode(t.space, part);
      });
    }
    std::shared_ptr<const frozen_state> freeze() const override {
      if (stored) return stored->freeze();
      return std::make_shared<frozen>(timers.copy());
    }
    struct frozen final : frozen_state {
      explicit frozen(decltype(std::declval<const timer_store<K, N>&>().copy()) g) : groups(std::move(g)) {}
      void write(state_writer& out) const override {
        for (auto& [group, all] : groups)
          encode(all, out.part(group));
      }
      const decltype(std::declval<const timer_store<K, N>&>().copy()) groups;
    };
    void restore(const state_part& part) override {
      byte_reader in{part.bytes};
      while (!in.at_end()) {
        const timestamp time{std::chrono::milliseconds{in.fixed<std::int64_t>()}};
        K key{};
        codec<K>::decode(key, in);
        N space{};
        if constexpr (!std::is_same_v<N, no_namespace>) codec<N>::decode(space, in);
        const auto hash = key_hash(key);
        insert({time, {std::move(key), hash}, std::move(space)});
      }
    }
    std::string name;
    timer_store<K, N> timers;
    std::unique_ptr<stored_timers> stored; // in the place of the other, where there is a database
  };

  timer_type of_current_key(timestamp t, const N& space) const {
    if (!keys_->has_key()) [[unlikely]]
      keyed_store::fail_no_key("a timer");
    return {t, {keys_->key(), keys_->hash()}, space};
  }
  template <class Fire, class Stop>
  bool run(declared& timers, timestamp until, Fire& fire, Stop& stop) {
    while (!timers.empty() && timers.first_time() <= until) {
      const auto& due = firing_.emplace(timers.pop_first());
      keys_->set_key(due.key.key, due.key.hash());
      fire(due);
      keys_->clear_key();
      if (stop()) return timers.empty() || until < timers.first_time();
    }
    return true;
  }

  declared event_, processing_;
  last_watermark watermark_; // whose timers have all fired
  timestamp current_ = min_timestamp;
  std::optional<timer_type> firing_; // its key is the current one
  keyed_context<K>* keys_ = nullptr;
  const clock* clock_ = nullptr;
};

} // namespace dataflow
