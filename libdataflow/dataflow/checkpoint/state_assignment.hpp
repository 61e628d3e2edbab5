/// Who gets which stored state when a job starts from a checkpoint, at whatever parallelism.
///
/// Keyed state moves in ranges of key groups; items of list state are dealt out round-robin, unless the parallelism is
/// the same: then every subtask keeps its own; union list state goes to all; of broadcast state every subtask gets one
/// copy. Splits of a source's readers stay with their subtasks when the parallelism is the same, else they go back to
/// the enumerator. Nothing is read: the assignment follows from the metadata alone, load() reads one subtask's share.
///
/// Records that were under way (unaligned checkpoints) go to the consuming operator, those received before those sent,
/// to be processed before anything new: on hash edges to all subtasks whose key groups they may have, which drop what
/// is not theirs record by record; elsewhere to the subtask of the same number modulo the parallelism. Threading:
/// values; pure functions. Errors: see assign_state(). Source: Flink's StateAssignmentOperation,
/// RoundRobinOperatorStateRepartitioner, TaskStateAssignment.
#pragma once

#include <dataflow/checkpoint/checkpoint_metadata.hpp>
#include <dataflow/record/key_groups.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

/// Where the elements under way on an edge go.
enum class in_flight_route : std::uint8_t {
  by_key_group, ///< hash edges
  by_channel,   ///< any subtask may have them: rebalance, shuffle
  none,         ///< forward, rescale, broadcast, global, custom: barriers do not overtake there, nothing is under way
};

/// An operator of the job that is to start.
struct restore_target {
  struct edge {
    std::string producer;     ///< uid of the operator that writes it
    std::uint32_t number = 0; ///< of the edge among those between the two operators
    in_flight_route route = in_flight_route::none;
    std::string schema; ///< of the records
  };
  std::string uid, name;
  std::uint32_t parallelism = 1, max_parallelism = 128;
  std::vector<edge> inputs; ///< edges that it reads, if it is the head of a chain
};

/// What one new subtask reads of one operator. Self-contained: can be sent to the task.
struct operator_restore {
  std::string uid;
  std::uint64_t checkpoint = 0;
  std::string directory; ///< of the checkpoint
  std::vector<object_handle> objects;

  struct keyed_share {
    std::uint32_t object = 0; ///< position in `objects`
    std::string state;
    key_group_range key_groups;
    friend bool operator==(const keyed_share&, const keyed_share&) = default;
  };
  struct item_share {
    std::uint32_t object = 0;
    std::string state;
    std::uint64_t first = 0, count = 0;
    friend bool operator==(const item_share&, const item_share&) = default;
  };
  struct in_flight_share {
    std::uint32_t object = 0;
    std::string owner;                         ///< uid under which it was stored
    bool sent = false;                         ///< among the outputs of `owner`, else among its inputs
    std::string peer;                          ///< uid of the operator at the other end
    std::uint32_t edge = 0;                    ///< its number among the edges between these two
    std::uint32_t input_edge = 0;              ///< position among the edges that this operator reads now
    std::optional<key_group_range> key_groups; ///< only elements that overlap it, and of those only these records
    std::optional<std::uint32_t> channel;      ///< only of this channel
    friend bool operator==(const in_flight_share&, const in_flight_share&) = default;
  };
  std::vector<keyed_share> keyed;
  std::vector<item_share> items;
  std::vector<in_flight_share> in_flight; ///< in the order in which they are to be processed
  std::vector<state_info> states;         ///< of all states, also of those of which this subtask gets nothing
  std::vector<source_split> splits;       ///< of a source's reader
  std::vector<std::pair<std::uint32_t, key_group_range>> files; ///< objects whose backend files hold keys of ours
  bool finished = false;                                        ///< the subtask was at its end
};

/// What a source's enumerator starts from.
struct enumerator_restore {
  std::string snapshot;
  struct returned {
    std::uint32_t subtask; ///< that had them
    std::vector<source_split> splits;
  };
  std::vector<returned> splits; ///< to be handed out again, after the parallelism has changed
};

struct restore_assignment {
  std::uint64_t checkpoint = 0;
  std::map<std::string, std::vector<operator_restore>, std::less<>> operators; ///< by uid; one per new subtask
  std::map<std::string, enumerator_restore, std::less<>> enumerators;          ///< by uid
  std::vector<std::string> dropped;  ///< operators with state that the job does not have
  std::vector<std::string> finished; ///< uids of operators that were at their end as a whole

  /// Null when nothing was stored for that operator.
  const operator_restore* find(std::string_view uid, std::uint32_t subtask) const noexcept;
};

/// The max parallelism that an operator must have to take its stored keyed state; empty when it may be any. Ask before
/// the execution plan is made, for operators that do not set one themselves.
std::optional<std::uint32_t> stored_max_parallelism(const checkpoint_metadata& metadata, std::string_view uid);

/// Errors: unmatched_state when the checkpoint has state of operators that are not in the job, naming them, unless
/// `allow_non_restored`; incompatible_state when keyed state has another max parallelism, another version of key hash
/// or key codec, or when records were under way on an edge that is not there any more, or has another type.
restore_assignment assign_state(const checkpoint_metadata& metadata, const std::string& directory,
                                const std::vector<restore_target>& job, bool allow_non_restored = false);

/// Reads what a subtask starts from: states, splits and, in `inputs`, what was under way: a channel_state per share
/// and old channel, with `edge` the position among the edges that the operator reads now and `channel` a running
/// number. Keyed parts come in the order of their key groups.
operator_subtask_state load(const operator_restore& share, const object_opener& open);

} // namespace dataflow
