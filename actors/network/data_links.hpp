/// The direct links of a process to other task managers, for what flows between tasks.
///
/// A task that has peers on another task manager asks for the link to it, and sends it what is for them; the links are
/// made when they are first asked for. Who talks to whom, in which order, and what a lost connection means: see
/// docs/network.md.
/// Threading: all members are safe from any thread. Ownership: shared by the task manager and its tasks; close() ends
/// the links. Errors: the constructor throws io_failed when it cannot listen.
#pragma once

#include <dataflow/actors/network/task_manager_address.hpp>
#include <dataflow/network/link_state.hpp>
#include <dataflow/util/compression.hpp>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace dataflow::actors {

struct data_links_settings {
  std::string bind = "127.0.0.1"; ///< the address to listen on
  std::uint16_t port = 0;         ///< 0: any free one
  link_settings links;
  compression compress = compression::none;
  std::uint64_t seed = 0; ///< of epochs and delays
};

/// Since the process began.
struct data_links_statistics {
  std::uint64_t frames_sent = 0, frames_received = 0;
  std::uint64_t bytes_sent = 0, bytes_received = 0; ///< of frames, before TLS
  std::uint64_t connections = 0, broken = 0;        ///< that were made, and that broke
  std::uint64_t stale_frames = 0;                   ///< of a connection that was over
  std::uint64_t unknown_tasks = 0;                  ///< elements and credit for tasks that have ended
};

class data_links {
public:
  /// REQUIRES: the system has the modules and types that configure_links() adds. `alive` is held by its actors.
  data_links(caf::actor_system& system, const clock& time, data_links_settings settings,
             std::shared_ptr<const void> alive = {});
  ~data_links();
  data_links(const data_links&) = delete;

  std::uint16_t port() const noexcept { return port_; }
  compression compress() const noexcept { return compress_; }

  /// From now on the process is the task manager `id` (empty: none); the links of the one that it was before end.
  void become(const std::string& id);
  /// The link to another task manager: an actor that takes use_link, send_element and send_credit. Null: the process
  /// is no task manager (any more).
  caf::actor link_to(const task_manager_address& peer);

  /// What comes for this address is for this task. Before anybody else learns of it.
  void add_task(std::uint64_t address, const caf::actor& task);
  void remove_task(std::uint64_t address);

  data_links_statistics statistics() const;
  /// Ends all links, and listens no more.
  void close();

  struct shared;

private:
  caf::actor_system& system_;
  std::shared_ptr<shared> shared_;
  caf::actor door_;
  std::uint16_t port_ = 0;
  compression compress_;
};

} // namespace dataflow::actors
