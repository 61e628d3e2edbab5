/// Who of several JobManagers leads.
///
/// Threading: each election belongs to one thread at a time (leader() too). poll() may block for one call to disk or
/// network, so not on a scheduler's worker. Ownership: whoever campaigns owns the election; destroying it resigns as a
/// death does. Errors: none from poll(): what goes wrong is waited out or ends the leadership.
/// Source: Flink's LeaderElection, LeaderContender and LeaderRetrievalService.
#pragma once

#include <dataflow/high_availability/fenced_store.hpp>
#include <dataflow/util/error.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace dataflow {

/// The leader by what is stored. It may have died since.
struct leader_information {
  leader_token token = 0;
  std::string address; ///< "host:port" where it listens
  friend bool operator==(const leader_information&, const leader_information&) = default;
};

struct election_change {
  enum class kind : std::uint8_t {
    none,
    granted, ///< we lead, with `token`
    lost,    ///< we do not lead any more and must stop at once; `why` for people
  };
  kind what = kind::none;
  leader_token token = 0;
  error why;
};

class leader_election {
public:
  virtual ~leader_election() = default;
  /// Campaigns, or stays leader. To be called about every poll interval (high-availability.poll-interval); a leader
  /// that is not called for the lease time may find that it has lost.
  virtual election_change poll() = 0;
  /// Gives leadership up, if we have it, and campaigns no more. The next leader need not wait for a time-out.
  virtual void resign() = 0;
  /// Nothing when nobody leads, or the leader has resigned.
  virtual std::optional<leader_information> leader() = 0;
};

} // namespace dataflow
