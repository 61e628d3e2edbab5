// Random lives of a coordinator. What must hold is written down here once more, in the simplest way.
#include <dataflow/checkpoint/checkpoint_coordinator.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <tests/support/effort.hpp>

using namespace dataflow;
using std::chrono::milliseconds;

namespace {

class model {
public:
  explicit model(std::uint64_t seed) : random_(seed), settings_(draw_settings()), c_(draw_plan(), settings_, "/c") {
    take(c_.start(now_, now_));
  }

  void run() {
    for (int i = 0; i < 400; ++i) {
      step();
      check();
    }
    take(c_.stop(now_, now_));
    for (auto id : std::set<std::uint64_t>{writing_})
      take(c_.metadata_written(id, now_, now_)), check();
    CHECK(c_.in_progress() == 0);
    CHECK(asked_.empty()); // every request is answered, once
  }

private:
  enum class fate : std::uint8_t { open, completed, aborted };
  struct life {
    bool triggered = false;
    fate end = fate::open;
    std::map<std::uint32_t, std::uint32_t> tasks; // that must acknowledge, with their attempts
    std::set<std::uint32_t> acknowledged;
    milliseconds begun{0};
    bool savepoint = false;
  };
  struct task {
    enum { down, up, done } state = down;
    std::uint32_t attempt = 0;
  };

  checkpoint_settings draw_settings() {
    checkpoint_settings s;
    s.interval = milliseconds{1 + random_.below(50)};
    s.timeout = milliseconds{20 + random_.below(100)};
    s.min_pause = milliseconds{random_.below(3) == 0 ? random_.below(20) : 0};
    s.max_concurrent = static_cast<std::uint32_t>(1 + random_.below(3));
    s.tolerable_failures = static_cast<std::uint32_t>(random_.below(4));
    s.directory = "/c";
    return s;
  }
  checkpoint_plan draw_plan() {
    checkpoint_plan plan;
    const auto n = 1 + random_.below(6);
    with_enumerators_ = random_.below(2) == 0;
    for (std::uint32_t i = 0; i < n; ++i) {
      checkpoint_task t;
      t.name = "task " + std::to_string(i);
      t.operators.push_back({"op" + std::to_string(i), "op", with_enumerators_ && i == 0});
      for (std::uint32_t p = 0; p < i; ++p)
        if (random_.below(2) == 0) t.producers.push_back(p);
      plan.tasks.push_back(std::move(t));
    }
    tasks_.resize(n);
    plan_ = plan;
    return plan;
  }

  std::uint32_t any_task() { return static_cast<std::uint32_t>(random_.below(tasks_.size())); }
  std::uint64_t any_id() { return c_.next_id() - std::min<std::uint64_t>(random_.below(5), c_.next_id()); }

  void step() {
    now_ += milliseconds{random_.below(8)};
    const auto t = any_task();
    switch (random_.below(16)) {
    case 0:
      if (tasks_[t].state == task::down) {
        tasks_[t] = {task::up, tasks_[t].attempt + 1};
        take(c_.task_running({t, tasks_[t].attempt}, now_, now_));
      }
      break;
    case 1:
      if (random_.below(8) == 0 && tasks_[t].state != task::down) {
        tasks_[t].state = task::down;
        for (auto& [id, l] : lives_)
          if (l.end == fate::open && !writing_.contains(id)) must_abort_.insert(id);
        take(c_.task_gone({t, tasks_[t].attempt}, now_, now_));
      }
      break;
    case 2:
      if (random_.below(12) == 0 && tasks_[t].state == task::up) {
        tasks_[t].state = task::done;
        take(c_.task_finished({t, tasks_[t].attempt}, now_, now_));
      }
      break;
    case 3:
      if (random_.below(4) == 0) {
        asked_.insert(++requests_);
        take(random_.below(2) == 0 ? c_.request_checkpoint(requests_, now_, now_)
                                   : c_.request_savepoint(requests_, "/s" + std::to_string(requests_),
                                                          after_savepoint::go_on, now_, now_));
      }
      break;
    case 4: {
      const auto id = any_id();
      if (random_.below(4) == 0)
        take(c_.enumerators_failed(id, error{errc::io_failed, "x"}, now_, now_));
      else
        take(c_.enumerators_snapshotted(id, {{"op0", "e"}}, now_, now_));
      break;
    }
    case 5:
      if (random_.below(6) == 0)
        take(c_.decline(any_id(), {t, tasks_[t].attempt}, error{errc::io_failed, "x"}, now_, now_).actions);
      break;
    case 6:
    case 7:
      if (!writing_.empty()) {
        const auto id = *writing_.begin();
        if (random_.below(6) == 0)
          take(c_.metadata_failed(id, error{errc::io_failed, "x"}, now_, now_));
        else
          take(c_.metadata_written(id, now_, now_));
      }
      break;
    case 8:
      if (auto at = c_.next_wake_up()) now_ = std::max(now_, *at);
      take(c_.time_passed(now_, now_));
      break;
    case 9:
      for (std::uint32_t i = 0; i < tasks_.size(); ++i) // let all run, so that something happens
        if (tasks_[i].state == task::down) {
          tasks_[i] = {task::up, tasks_[i].attempt + 1};
          take(c_.task_running({i, tasks_[i].attempt}, now_, now_));
        }
      break;
    default: { // an acknowledgement, sometimes of another attempt or of any task
      const auto id = any_id();
      const auto attempt = random_.below(8) == 0 ? tasks_[t].attempt - 1 : tasks_[t].attempt;
      auto i = lives_.find(id);
      const bool good = i != lives_.end() && i->second.end == fate::open && i->second.triggered &&
                        i->second.tasks.contains(t) && i->second.tasks.at(t) == attempt &&
                        !i->second.acknowledged.contains(t);
      if (good) i->second.acknowledged.insert(t);
      auto ack = c_.acknowledge(id, {t, attempt}, {}, false, now_, now_);
      CHECK((ack.result == ack_result::accepted) == good);
      take(std::move(ack.actions));
      break;
    }
    }
    if (random_.below(3) == 0) take(c_.time_passed(now_, now_));
  }

  void begins(std::uint64_t id) {
    CHECK(id == last_id_ + 1); // numbers only grow
    last_id_ = id;
    lives_[id].begun = now_;
    CHECK(all_run());
  }
  bool all_run() const {
    bool some = false;
    for (auto& t : tasks_) {
      if (t.state == task::down) return false;
      some = some || t.state == task::up;
    }
    return some;
  }

  void take(checkpoint_actions a) {
    for (auto& x : a.aborts) {
      auto& l = lives_.at(x.id);
      CHECK(l.end == fate::open); // ends once
      CHECK((!writing_.contains(x.id) || x.why == checkpoint_failure::write_failed));
      if (l.triggered) CHECK(x.tasks.size() == l.tasks.size()); // all who may know of it are told
      writing_.erase(x.id);
      l.end = fate::aborted;
      must_abort_.erase(x.id);
      open_enumerators_.erase(x.id);
      if (x.why == checkpoint_failure::expired) CHECK(now_ >= l.begun + settings_.timeout);
    }
    for (auto& x : a.completions)
      CHECK(lives_.at(x.id).end != fate::aborted);
    // What began in this call began after what ended in it.
    for (auto& x : a.snapshot_enumerators) {
      begins(x.id);
      open_enumerators_.insert(x.id);
      CHECK(with_enumerators_);
    }
    for (auto& x : a.triggers) {
      if (!with_enumerators_) begins(x.id);
      open_enumerators_.erase(x.id);
      auto& l = lives_.at(x.id);
      l.triggered = true;
      l.savepoint = x.options.kind == checkpoint_kind::savepoint;
      CHECK((!l.savepoint || x.options.alignment == barrier_alignment::aligned));
      CHECK(all_run());
      std::set<std::uint32_t> first;
      for (std::uint32_t t = 0; t < tasks_.size(); ++t)
        if (tasks_[t].state == task::up) {
          l.tasks[t] = tasks_[t].attempt;
          bool fed = false;
          for (auto p : plan_.tasks[t].producers)
            fed = fed || tasks_[p].state == task::up;
          if (!fed) first.insert(t);
        }
      std::set<std::uint32_t> asked;
      for (auto& t : x.tasks)
        asked.insert(t.task);
      CHECK(asked == first);
    }
    for (auto& x : a.writes) {
      auto& l = lives_.at(x.id);
      CHECK(l.end == fate::open);
      CHECK(l.acknowledged.size() == l.tasks.size()); // it has everything
      CHECK(writing_.insert(x.id).second);
      CHECK(x.metadata.id == x.id);
    }
    for (auto& x : a.answers)
      CHECK(asked_.erase(x.request) == 1);
    for (auto& x : c_.history())
      if (x.state == checkpoint_record::status::completed && lives_.at(x.id).end == fate::open) {
        CHECK(writing_.erase(x.id) == 1);
        auto& l = lives_.at(x.id);
        l.end = fate::completed;
        if (!l.savepoint)
          for (auto& [id, other] : lives_)
            if (id < x.id && other.triggered && !other.savepoint && !writing_.contains(id))
              CHECK(other.end != fate::open); // what began before it has ended with it
      }
  }

  void check() {
    std::size_t open = 0;
    for (auto& [id, l] : lives_)
      open += l.end == fate::open;
    CHECK(open == c_.in_progress());
    CHECK(open <= settings_.max_concurrent);
    CHECK(open_enumerators_.size() <= 1);
    CHECK(must_abort_.empty());
    CHECK(c_.is_writing() == !writing_.empty());
    CHECK(c_.failures_in_a_row() <= settings_.tolerable_failures);
    const auto at = c_.next_wake_up();
    for (auto& [id, l] : lives_)
      if (l.end == fate::open && !writing_.contains(id)) CHECK((at && *at <= l.begun + settings_.timeout));
  }

  random_source random_;
  milliseconds now_{0};
  bool with_enumerators_ = false;
  std::vector<task> tasks_;
  checkpoint_plan plan_;
  checkpoint_settings settings_;
  checkpoint_coordinator c_;
  std::map<std::uint64_t, life> lives_;
  std::set<std::uint64_t> writing_, must_abort_, open_enumerators_, asked_;
  std::uint64_t last_id_ = 0, requests_ = 0;
};

} // namespace

TEST_CASE("whatever happens, checkpoints keep their promises") {
  for (std::uint64_t seed = 0; seed < test::rounds(3000); ++seed) {
    CAPTURE(seed);
    model{seed}.run();
  }
}
