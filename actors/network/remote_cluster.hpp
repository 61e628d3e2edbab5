/// A cluster of other processes, as a client sees it: submits jobs, lists them, attaches to them.
///
/// The connection is made once and made again when it breaks: job clients go on by themselves, with back-off, until the
/// job manager has been out of reach for `patience`; then they end as if the job had been lost, with component_lost.
/// Threading: all members are safe from any thread; they block. Ownership: job clients share the connection.
/// Errors: component_lost when nobody can be reached, naming where; incompatible_library for a job manager of another
/// version; those of a submission.
#pragma once

#include <dataflow/actors/network/messages.hpp>
#include <dataflow/actors/network/node_ground.hpp>
#include <dataflow/actors/network/remote_address.hpp>
#include <dataflow/actors/network/tls.hpp>
#include <dataflow/api/executor.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace dataflow::actors {

struct checkpoint_taken; // interfaces.hpp

class remote_cluster : public std::enable_shared_from_this<remote_cluster> {
public:
  /// Connects. `leader`: where the leading job manager listens, asked before each try to connect; null: always `where`.
  static std::shared_ptr<remote_cluster> connect(const remote_address& where,
                                                 std::chrono::milliseconds patience = std::chrono::seconds{30},
                                                 std::function<remote_address()> leader = {}, const tls_files& tls = {},
                                                 node_ground ground = {});
  ~remote_cluster();

  /// Uploads a library unless it is there already; returns its hash.
  std::string upload(const std::string& library);
  std::shared_ptr<job_client> submit(std::shared_ptr<const job_origin> origin);
  /// Whether it would be accepted; runs nothing. Errors: those of a submission.
  job_accepted check(std::shared_ptr<const job_origin> origin);
  /// What a job was submitted with, also of one that has ended. Errors: job_not_found.
  origin_found origin_of(const std::string& id);
  /// Errors: job_not_found.
  std::shared_ptr<job_client> attach(const std::string& id);
  std::vector<job_overview> jobs();
  void cancel(const std::string& id);
  checkpoint_taken take(const std::string& id, const checkpoint_request& what);
  /// Asks for a checkpoint and waits for no answer: report() counts it.
  void ask_for_checkpoint(const std::string& id);
  job_report report(const std::string& id);
  /// Called with what a job waits for, from any thread.
  void on_waiting(std::function<void(const std::string& what)> f);

private:
  struct impl;
  explicit remote_cluster(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
  friend class remote_job_client;
};

} // namespace dataflow::actors
