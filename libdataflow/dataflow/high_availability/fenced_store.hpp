/// Named values that only the leader may change: what a JobManager must not forget, small.
///
/// Every change names the leader's token. It is refused when another leader has come meanwhile, whatever the one that
/// asks believes: the check and the change are one step. Reading needs no token.
/// Threading: safe from any thread; calls block on disk or network. Ownership: values.
/// Errors: stale_message when the token is not the present leader's; those of the disk or the connection, after which
/// the change may or may not have been made.
/// Source: Flink's StateHandleStore with fencing by the latch's znode; Lamport locks and fencing tokens as in
/// Kleppmann, "Designing Data-Intensive Applications", chapter 8.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

/// Grows with every change of leaders and never repeats; 0: nobody.
using leader_token = std::uint64_t;

class fenced_store {
public:
  virtual ~fenced_store() = default;
  /// False when the key has a value, which stays.
  virtual bool put_if_absent(leader_token token, const std::string& key, std::string_view value) = 0;
  virtual void put(leader_token token, const std::string& key, std::string_view value) = 0;
  /// One that has no value is fine.
  virtual void remove(leader_token token, const std::string& key) = 0;
  virtual std::optional<std::string> get(const std::string& key) = 0;
  /// Keys that begin so, sorted.
  virtual std::vector<std::string> list(const std::string& prefix) = 0;
};

} // namespace dataflow
