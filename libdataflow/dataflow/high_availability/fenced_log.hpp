/// A fenced_store in a directory, and the record of who leads: a log whose entries are files with numbers for names.
///
///   <directory>/record-<n>     one change each; n = 1, 2, 3, ...; made by an atomic put-if-absent, never changed
///              /snapshot-<n>   all values after record n; older records are removed
///
/// Every change takes the next number. A new leader's first record is its leadership; its number is the token. Whoever
/// led before finds the number that it wants taken, reads why, and is fenced: there is no moment between a check and a
/// write. A number below a snapshot may be free again; so after each write the writer looks for a snapshot of somebody
/// else that covers it. Two snapshots are kept, so that whoever lists the directory sees one of them.
///
/// Threading: safe from any thread. Ownership: borrows the file system. Errors: stale_message, corrupt_state (naming
/// the file), newer_format, and those of the file system: then the change may or may not have been made, and which of
/// both is seen by the next call. Source: the logs of Delta Lake and Iceberg (a transaction is a put-if-absent of the
/// next number).
#pragma once

#include <dataflow/high_availability/fenced_store.hpp>
#include <dataflow/high_availability/leader_election.hpp>
#include <dataflow/util/file_system.hpp>

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace dataflow {

class fenced_log final : public fenced_store {
public:
  /// Makes the directory when something is written. `compact_after`: records between two snapshots.
  fenced_log(file_system& files, std::string directory, std::uint64_t compact_after = 256);

  bool put_if_absent(leader_token token, const std::string& key, std::string_view value) override;
  void put(leader_token token, const std::string& key, std::string_view value) override;
  void remove(leader_token token, const std::string& key) override;
  std::optional<std::string> get(const std::string& key) override;
  std::vector<std::string> list(const std::string& prefix) override;

  /// The last leadership, also of one who has died or resigned.
  struct leadership {
    leader_token token = 0;
    std::string contender; ///< a name that nobody else has
    std::string address;
    bool resigned = false;
    friend bool operator==(const leadership&, const leadership&) = default;
  };
  /// As it is stored now; token 0: nobody ever led.
  leadership last_leadership();
  /// Takes over from the leader with token `after`. Nothing when somebody else was faster.
  std::optional<leader_token> lead(leader_token after, const std::string& contender, const std::string& address);
  /// Says that this leader has gone by itself. One that is not the leader any more is fine.
  void resign(leader_token token);

private:
  enum class record_kind : std::uint8_t { leads = 1, resigns = 2, put = 3, remove = 4 }; // "Do not change"
  struct record {
    record_kind kind = record_kind::put;
    leader_token token = 0;
    std::string key;   // of leads: the contender
    std::string value; // of leads: the address
    friend bool operator==(const record&, const record&) = default;
  };
  struct listing {
    std::vector<std::uint64_t> records, snapshots; // ascending
  };
  static std::string encode(const record& r);
  static record decode(std::string_view bytes);

  std::string path_of(std::string_view prefix, std::uint64_t number) const;
  listing list_directory();
  void refresh();
  void load_snapshot(std::uint64_t number);
  void apply(std::uint64_t number, const record& r);
  bool append(const record& r);
  void change(record r);
  void require_leader(leader_token token) const;
  void compact();

  file_system& files_;
  const std::string directory_;
  const std::uint64_t compact_after_;
  std::mutex mutex_; // guards all below
  std::map<std::string, std::string> values_;
  leadership leadership_;
  std::uint64_t next_ = 1;     // the first record that we do not know
  std::uint64_t snapshot_ = 0; // the newest snapshot that we know
};

} // namespace dataflow
