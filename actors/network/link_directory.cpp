#include <dataflow/actors/network/link_directory.hpp>

#include <caf/actor_cast.hpp>

namespace dataflow::actors {

void link_directory::add(std::uint64_t address, const caf::actor& task) {
  std::lock_guard lock{mutex_};
  tasks_.insert_or_assign(address, entry{task.address(), number_++});
}

void link_directory::remove(std::uint64_t address) {
  std::lock_guard lock{mutex_};
  tasks_.erase(address);
}

caf::actor link_directory::find(std::uint64_t address) {
  std::lock_guard lock{mutex_};
  const auto t = tasks_.find(address);
  if (t == tasks_.end()) return {};
  auto task = caf::actor_cast<caf::actor>(t->second.task);
  if (!task) tasks_.erase(t);
  return task;
}

std::uint64_t link_directory::tasks_so_far() const {
  std::lock_guard lock{mutex_};
  return number_;
}

bool link_directory::is_older(std::uint64_t address, std::uint64_t then) const {
  std::lock_guard lock{mutex_};
  const auto t = tasks_.find(address);
  return t != tasks_.end() && t->second.number < then;
}

} // namespace dataflow::actors
