/// Leader election and the fenced store over ZooKeeper.
///
///   <root>/<cluster id>/leader/latch/<name>-<n>   ephemeral and sequential, one per contender; the least one leads
///                      /leader/current            who leads: token, address, name of the latch node; never removed
///                      /values/<key>              the store, '/' in keys written as '%2F'
///
/// The token is the transaction that made the leader's latch node. A leader says that it leads by changing `current` in
/// one transaction with a check of its latch node; every change of a value is one transaction with a check of the
/// version of `current`. So a leader that was replaced is refused by the ensemble, whatever it believes.
/// A leader that has had no answer for two thirds of the session time-out stops by its own clock: its node may go soon.
///
/// Threading, ownership: see leader_election.hpp and fenced_store.hpp; share the client.
/// Source: ZooKeeper's recipe for leader election; Curator's LeaderLatch; Flink's ZooKeeperStateHandleStore.
#pragma once

#include <dataflow/high_availability/leader_election.hpp>
#include <dataflow/high_availability/zookeeper_client.hpp>
#include <dataflow/util/clock.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dataflow {

/// What stands in `current`. "Do not change" the format.
struct zookeeper_leadership {
  leader_information who;
  std::string latch;        ///< name of the node
  std::int32_t version = 0; ///< of the node `current`
};
/// Nothing when nobody ever led.
std::optional<zookeeper_leadership> read_leadership(zookeeper_client& client, const std::string& directory);

class zookeeper_leader_election final : public leader_election {
public:
  /// `directory`: <root>/<cluster id>. `address`: where this contender listens. `seed` makes its name unique.
  zookeeper_leader_election(std::shared_ptr<zookeeper_client> client, const clock& time, std::string directory,
                            std::string address, std::uint64_t seed);
  ~zookeeper_leader_election() override;

  election_change poll() override;
  void resign() override;
  std::optional<leader_information> leader() override;

private:
  election_change campaign();
  election_change stay();
  election_change lose(error why);
  bool find_latch();

  const std::shared_ptr<zookeeper_client> client_;
  const clock& clock_;
  const std::string directory_, latches_, current_, address_, name_;
  std::string latch_; // name of our node; empty: none that we know of
  std::uint64_t incarnation_ = 0;
  leader_token token_ = 0; // 0: not leading
  bool prepared_ = false, resigned_ = false;
  steady_time heard_{}; // before the last call that was answered
};

class zookeeper_store final : public fenced_store {
public:
  zookeeper_store(std::shared_ptr<zookeeper_client> client, std::string directory);

  bool put_if_absent(leader_token token, const std::string& key, std::string_view value) override;
  void put(leader_token token, const std::string& key, std::string_view value) override;
  void remove(leader_token token, const std::string& key) override;
  std::optional<std::string> get(const std::string& key) override;
  std::vector<std::string> list(const std::string& prefix) override;

private:
  enum class how : std::uint8_t { absent, replace, remove };
  bool change(leader_token token, const std::string& key, std::string_view value, how what);
  std::string path_of(const std::string& key) const;

  const std::shared_ptr<zookeeper_client> client_;
  const std::string directory_, values_;
};

} // namespace dataflow
