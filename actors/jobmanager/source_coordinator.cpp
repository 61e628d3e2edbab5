#include <dataflow/actors/jobmanager/source_coordinator.hpp>
#include <dataflow/util/error.hpp>

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
  guarded([&] {
    if (enumerator_) enumerator_->close();
    assigned_.clear();
    enumerator_ = source_.make_enumerator();
    enumerator_->start(*this);
  });
}

void source_coordinator::reader_registered(std::uint32_t subtask) {
  guarded([&] { enumerator_->reader_registered(*this, subtask); });
}

void source_coordinator::split_requested(std::uint32_t subtask) {
  guarded([&] { enumerator_->split_requested(*this, subtask); });
}

void source_coordinator::reader_restarted(std::uint32_t subtask) {
  auto splits = std::move(assigned_[subtask]);
  assigned_.erase(subtask);
  guarded([&] { enumerator_->splits_returned(*this, subtask, std::move(splits)); });
}

void source_coordinator::assign(std::uint32_t subtask, source_split split) {
  if (subtask >= parallelism_)
    throw error{errc::internal,
                "a split was assigned to reader " + std::to_string(subtask) + " of " + std::to_string(parallelism_)};
  assigned_[subtask].push_back(split);
  send_.assign(subtask, std::move(split));
}

void source_coordinator::no_more_splits(std::uint32_t subtask) { send_.no_more_splits(subtask); }

} // namespace dataflow::actors
