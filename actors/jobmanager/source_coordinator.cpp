#include <dataflow/actors/jobmanager/source_coordinator.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <utility>

namespace dataflow::actors {

source_coordinator::source_coordinator(std::string name, source_factories source, std::uint32_t parallelism,
                                       dataflow::platform& world, sender send)
    : name_(std::move(name)), source_(std::move(source)), parallelism_(parallelism), world_(world),
      send_(std::move(send)) {}

source_coordinator::~source_coordinator() {
  if (enumerator_) enumerator_->close();
}

template <class F>
void source_coordinator::guarded(F&& f) {
  try {
    f();
  } catch (...) {
    throw current_error().within("the enumerator of \"" + name_ + "\"");
  }
}

void source_coordinator::start() {
  begin([&] { return source_.make_enumerator(); });
}

void source_coordinator::restore(const enumerator_restore& from) {
  begin([&] { return source_.restore_enumerator(from.snapshot); });
  guarded([&] {
    for (auto& returned : from.splits)
      enumerator_->splits_returned(*this, returned.subtask, returned.splits);
  });
}

template <class F>
void source_coordinator::begin(F&& make) {
  guarded([&] {
    if (enumerator_) enumerator_->close();
    since_.clear();
    by_checkpoint_.clear();
    waiting_.clear();
    forgotten_ = 0;
    held_ = false;
    enumerator_ = make();
    enumerator_->start(*this);
  });
}

void source_coordinator::reader_registered(std::uint32_t subtask) {
  guarded([&] { enumerator_->reader_registered(*this, subtask); });
}

void source_coordinator::split_requested(std::uint32_t subtask) {
  guarded([&] { enumerator_->split_requested(*this, subtask); });
}

void source_coordinator::reader_restarted(std::uint32_t subtask, std::uint64_t checkpoint) {
  if (checkpoint < forgotten_)
    throw error{errc::checkpoint_failed,
                "reader " + std::to_string(subtask) + " of \"" + name_ + "\" starts again from " +
                    (checkpoint == 0 ? "its beginning" : "checkpoint " + std::to_string(checkpoint)) +
                    ", but what it was given before checkpoint " + std::to_string(forgotten_) + " is forgotten",
                "the checkpoints of this job cannot be read any more: start the job anew"};
  std::vector<source_split> lost;
  auto take = [&](assignments& from) {
    const auto found = from.find(subtask);
    if (found == from.end()) return;
    for (auto& split : found->second)
      lost.push_back(std::move(split));
    from.erase(found);
  };
  for (auto later = by_checkpoint_.upper_bound(checkpoint); later != by_checkpoint_.end(); ++later)
    take(later->second);
  take(since_);
  std::erase_if(waiting_, [&](const held_message& m) { return m.subtask == subtask; });
  guarded([&] { enumerator_->splits_returned(*this, subtask, std::move(lost)); });
}

std::string source_coordinator::snapshot(std::uint64_t checkpoint) {
  std::string bytes;
  guarded([&] { bytes = enumerator_->snapshot(checkpoint); });
  held_ = true;
  by_checkpoint_[checkpoint] = std::exchange(since_, {});
  return bytes;
}

void source_coordinator::release() {
  held_ = false;
  for (auto& m : std::exchange(waiting_, {}))
    if (m.split)
      send_.assign(m.subtask, std::move(*m.split));
    else
      send_.no_more_splits(m.subtask);
}

void source_coordinator::checkpoint_completed(std::uint64_t checkpoint, std::uint64_t oldest) {
  by_checkpoint_.erase(by_checkpoint_.begin(), by_checkpoint_.upper_bound(oldest));
  forgotten_ = std::max(forgotten_, oldest);
  guarded([&] { enumerator_->checkpoint_completed(checkpoint); });
}

void source_coordinator::assign(std::uint32_t subtask, source_split split) {
  if (subtask >= parallelism_)
    throw error{errc::internal,
                "a split was assigned to reader " + std::to_string(subtask) + " of " + std::to_string(parallelism_)};
  since_[subtask].push_back(split);
  if (held_)
    waiting_.push_back({subtask, std::move(split)});
  else
    send_.assign(subtask, std::move(split));
}

void source_coordinator::no_more_splits(std::uint32_t subtask) {
  if (held_)
    waiting_.push_back({subtask, std::nullopt});
  else
    send_.no_more_splits(subtask);
}

} // namespace dataflow::actors
