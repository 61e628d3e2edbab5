/// Leader election over a fenced_log in a directory that all JobManagers share.
///
///   <directory>/lock-<contender>    held by the leader while its process lives
///              /alive-<contender>   the leader changes it at every poll
///
/// A leader is replaced when its lock is free (its process is gone: at the next poll), or when it has not changed its
/// file for the lease time by the clock of whoever watches (it is stopped, or cut off). Both are only hints: who leads
/// is decided in the log, by one put-if-absent, so two that are mistaken still make one leader. Works on a local disk
/// and on network file systems whose locks hold across hosts (NFS 4).
///
/// Threading, ownership: see leader_election.hpp; borrows the log, the file system and the clock.
/// Source: Chubby's sequencers; leases as in Gray and Cheriton 1989.
#pragma once

#include <dataflow/high_availability/fenced_log.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/random.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace dataflow {

class file_leader_election final : public leader_election {
public:
  struct settings {
    std::string directory;  ///< of locks
    std::string address;    ///< where this contender listens, once it leads
    std::uint64_t seed = 0; ///< makes its names unique
    steady_time lease{};    ///< how long a leader may be silent
  };
  file_leader_election(fenced_log& log, file_system& files, const clock& time, settings s);

  election_change poll() override;
  void resign() override;
  std::optional<leader_information> leader() override;

private:
  election_change campaign(const fenced_log::leadership& last);
  election_change stay(const fenced_log::leadership& last);
  bool is_gone(const fenced_log::leadership& last);
  election_change lose(error why);
  std::string path_of(std::string_view what, const std::string& contender) const;
  void forget(const std::string& contender);

  fenced_log& log_;
  file_system& files_;
  const clock& clock_;
  const settings settings_;
  random_source random_;
  std::string contender_; // new for every leadership: the lock of a lost one may be taken
  std::unique_ptr<file_lock> lock_;
  leader_token token_ = 0; // 0: not leading
  bool resigned_ = false;
  steady_time heard_{}; // of a leader: when it last read the log
  std::uint64_t beats_ = 0;
  // Of a contender, about the leader that it watches.
  leader_token watched_ = 0;
  std::string last_beat_;
  steady_time changed_{};
};

} // namespace dataflow
