/// One end of the link between two task managers: packs what tasks send into frames, unpacks what arrives, connects,
/// and tells its tasks when the connection broke.
///
/// All that it decides is in link_state, frame_writer and frame_reader. Spawned by data_links; one per pair of task
/// manager ids. Ends when one of the two is none any more.
#pragma once

#include <dataflow/actors/network/link_directory.hpp>
#include <dataflow/actors/network/link_messages.hpp>
#include <dataflow/actors/network/task_manager_address.hpp>
#include <dataflow/network/link_frames.hpp>
#include <dataflow/network/link_state.hpp>
#include <dataflow/util/random.hpp>

#include <caf/event_based_actor.hpp>

#include <map>
#include <memory>
#include <string>

namespace dataflow::actors {

struct link_arguments {
  std::string own_id;
  task_manager_address peer; ///< host and port may be unknown where the peer connects
  link_settings settings;
  const clock* time = nullptr;
  std::uint64_t seed = 0;
  std::shared_ptr<link_directory> directory;
  std::shared_ptr<const void> alive;
};

class link_actor final : public caf::event_based_actor {
public:
  link_actor(caf::actor_config& config, link_arguments arguments);
  caf::behavior make_behavior() override;
  void on_exit() override;
  const char* name() const override { return "dataflow.link"; }

private:
  void use(const use_link& m);
  void drive();
  void attempt();
  void attempt_failed(const std::string& why);
  void begin(std::uint64_t epoch);
  void connected(const caf::actor& peer);
  void received(const link_frame& m);
  void dispatch(frame_reader::items& items);
  void schedule_flush();
  void flush();
  void broke(const error& why);
  void fail_users(const error& why);
  void down(const caf::down_msg& m);
  error lost(std::string why) const;

  link_arguments arguments_;
  const std::string name_; // of the link, for errors
  link_state state_;
  frame_writer writer_;
  frame_reader reader_;
  random_source random_;
  caf::actor peer_; // null: there is no connection
  std::map<caf::actor_addr, caf::actor> users_;
  frame_reader::items items_;  // of the frame at hand
  std::string last_failure_;   // of an attempt
  std::uint64_t broke_at_ = 0; // tasks that were there when something was lost last
  bool flush_pending_ = false, stale_logged_ = false;
  std::optional<steady_time> armed_;
};

} // namespace dataflow::actors
