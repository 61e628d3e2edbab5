/// What one subtask hands in at a checkpoint, and the object that it becomes.
///
/// State is kept per operator uid, not per task, so chaining may change between checkpoint and restore. A subtask's
/// operators share one object: states part after part, then an index. Keyed parts are found by key group, items of
/// lists by their number, so that a restore at another parallelism reads only what belongs to it. The format is
/// described in docs/checkpoints.md.
///
/// Memory: a writer keeps the index, and one part at a time; nothing forces a whole state into memory.
/// Threading: one thread at a time; a writer or reader may be used on any thread. Ownership: a writer borrows its
/// object_writer; a reader owns its files.
/// Errors: errc::corrupt_state when bytes are not what was written (object, offset and what to do in the text);
/// errc::newer_format for a later format version; errors of the file system as they are.
/// Source: Flink's TaskStateSnapshot, OperatorSubtaskState, KeyGroupRangeOffsets, OperatorStateHandle.
#pragma once

#include <dataflow/checkpoint/stored_object.hpp>
#include <dataflow/record/batch.hpp>
#include <dataflow/record/source_split.hpp>
#include <dataflow/state/declared_state.hpp>
#include <dataflow/util/compression.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

inline constexpr key_group_range all_key_groups{0, upper_max_parallelism - 1};

/// One batch that was under way when the barrier of an unaligned checkpoint overtook it.
struct in_flight_element {
  /// The key groups that its records have, on hash edges; elsewhere all there can be.
  key_group_range key_groups = all_key_groups;
  std::string bytes;   ///< encoded by the edge's codec
  batch_ptr data = {}; ///< until it is written: the batch itself, instead of `bytes`
  friend bool operator==(const in_flight_element& a, const in_flight_element& b) {
    return a.key_groups == b.key_groups && a.bytes == b.bytes && a.data.get() == b.data.get();
  }
};
/// `hashed`: the batch comes from a hash edge and has the hashes of its keys.
in_flight_element in_flight(batch_ptr data, bool hashed, std::uint32_t max_parallelism);
/// The records of a batch of a hash edge whose key groups lie in the range; null when there are none.
batch_ptr only_key_groups(batch_ptr data, key_group_range range, std::uint32_t max_parallelism,
                          const batch_pool::handle& pool);

/// What was under way on one channel of one operator's edge, in order. Unaligned checkpoints only.
struct channel_state {
  std::uint32_t edge = 0;    ///< number of the edge among those between the operator and `peer`
  std::uint32_t channel = 0; ///< number of the channel within the edge, at this end
  std::vector<in_flight_element> elements;
  std::string peer;   ///< uid of the operator at the other end
  std::string schema; ///< of the records
  friend bool operator==(const channel_state&, const channel_state&) = default;
};

/// What one operator of one subtask hands in.
struct operator_subtask_state {
  operator_snapshot states;
  /// Of a source: what its reader holds, with the positions. Kept in the metadata, not in the object: an enumerator
  /// needs it when the parallelism changes.
  std::vector<source_split> splits;
  /// Of the head of a chain: received and not processed. Of an operator that writes edges: emitted and not sent.
  std::vector<channel_state> inputs, outputs;
  /// Files of a backend that writes its own, by their names there.
  std::map<std::string, object_handle, std::less<>> files;
};

struct subtask_state {
  std::map<std::string, operator_subtask_state, std::less<>> operators; ///< by uid
  bool has_in_flight() const noexcept;
};

/// How the bytes of a keyed part are to be read. "Do not change" the numbers: they are stored.
enum class part_form : std::uint8_t {
  plain = 0,   ///< as its state writes it
  whole = 1,   ///< in entries (see merged_parts.hpp); what comes behind it for its key group changes it
  changes = 2, ///< entries that change what comes before for the key group
};

/// Where a part lies: kept by a backend that writes only what has changed, to name it again at the next checkpoint.
struct part_location {
  object_handle object; ///< empty name: the object being written
  std::uint64_t offset = 0;
  std::uint64_t stored = 0; ///< bytes in the object
  std::uint64_t size = 0;   ///< bytes when expanded
  std::uint64_t checksum = 0;
  compression how = compression::none;
};

/// What the metadata says of one state in one subtask's object.
struct state_summary {
  state_info info;
  std::uint64_t parts = 0; ///< of lists: how many items there are to deal out
  std::uint64_t bytes = 0; ///< as stored
  friend bool operator==(const state_summary& a, const state_summary& b) {
    return a.info.name == b.info.name && a.info.kind == b.info.kind && a.info.schema == b.info.schema &&
           a.parts == b.parts && a.bytes == b.bytes;
  }
};

/// How much was under way on one edge.
struct in_flight_summary {
  bool sent = false; ///< among the outputs, else among the inputs
  std::uint32_t edge = 0;
  std::uint64_t elements = 0; ///< never 0
  std::string peer, schema;   ///< see channel_state
  friend bool operator==(const in_flight_summary&, const in_flight_summary&) = default;
};

struct operator_summary {
  std::string uid;
  std::vector<state_summary> states; ///< in the order of their names
  std::vector<source_split> splits;
  std::vector<in_flight_summary> in_flight;
  friend bool operator==(const operator_summary&, const operator_summary&) = default;
};

/// A subtask's answer to the coordinator: what goes into the metadata.
struct subtask_summary {
  object_handle object;                    ///< size 0 and inlined: nothing was stored
  std::vector<object_handle> shared;       ///< objects of earlier checkpoints that `object` refers to, and new ones
  std::vector<operator_summary> operators; ///< in the order of their uids
  friend bool operator==(const subtask_summary&, const subtask_summary&) = default;
  /// Bytes that this checkpoint needs of the storage, shared objects included.
  std::uint64_t bytes() const noexcept;
};

/// Writes a subtask's object, part by part.
///
///   subtask_state_writer out{object, compression::none};
///   out.begin_operator("counts");
///   out.begin_state(column.info());
///   stored_state scratch{column.info(), {}};
///   state_writer parts{scratch, [&](state_part&& p) { out.part(p.key_group, p.bytes); }};
///   frozen.write(column, parts), parts.finish();
///   auto summary = out.finish();   // then summary.object is durable
class subtask_state_writer {
public:
  /// `in_flight`: inputs or outputs will come. `increments`: parts in entries will come.
  subtask_state_writer(object_writer& out, compression how, bool in_flight = false, bool increments = false);
  ~subtask_state_writer();
  subtask_state_writer(const subtask_state_writer&) = delete;

  /// REQUIRES: uids in ascending order, each once.
  void begin_operator(std::string_view uid);
  /// REQUIRES: an operator is open; names in ascending order.
  void begin_state(const state_info& info);
  /// REQUIRES: a state is open; keyed ones in ascending order of key groups (several parts of one group are fine).
  /// Returns where a keyed part is; items of other states are put together before they are written.
  part_location part(std::uint32_t key_group, std::string_view bytes);
  /// A part that lies in an object of scope shared, perhaps since an earlier checkpoint.
  void stored_part(std::uint32_t key_group, const part_location& where, part_form form = part_form::plain);
  void splits(std::vector<source_split> splits);
  void inputs(const std::vector<channel_state>& channels);
  void outputs(const std::vector<channel_state>& channels);
  /// A file that a backend has put into the storage itself. REQUIRES: names in ascending order.
  void file(std::string_view name, const object_handle& object);
  /// All of an operator at once. REQUIRES: of a state that leaves out what is stored, the rest is stored (and noted).
  void add(std::string_view uid, const operator_subtask_state& state);
  /// Writes the index and finishes the object. An object without states and channels is not written at all.
  subtask_summary finish();

private:
  struct body;
  std::unique_ptr<body> body_;
};

/// Everything at once, for small states and tests.
subtask_summary write_subtask_state(const subtask_state& state, object_writer& out,
                                    compression how = compression::none);

/// Reads a subtask's object. The index is read and checked when it is opened, each part when it is asked for.
class subtask_state_reader {
public:
  /// `object`: as the metadata has it; not an empty one.
  subtask_state_reader(const object_handle& object, object_opener open);
  ~subtask_state_reader();
  subtask_state_reader(const subtask_state_reader&) = delete;

  std::vector<std::string> operators() const;
  /// Of an operator that is not here: empty.
  std::vector<state_summary> states(std::string_view uid) const;
  using part_function = std::function<void(state_part&&)>;
  /// Visits the parts of a keyed state that lie in the range, in the order in which they were written; of a key group
  /// that is stored in entries, one that has all of it.
  void keyed_parts(std::string_view uid, std::string_view state, key_group_range range,
                   const part_function& visit) const;
  /// Visits items first ... first + count - 1 of a state that is not keyed.
  void items(std::string_view uid, std::string_view state, std::uint64_t first, std::uint64_t count,
             const part_function& visit) const;
  /// Stored bytes per key group of a keyed state, for people.
  std::vector<std::pair<std::uint32_t, std::uint64_t>> sizes(std::string_view uid, std::string_view state) const;
  /// Channels with the elements whose key groups overlap the range.
  std::vector<channel_state> inputs(std::string_view uid, key_group_range range) const;
  std::vector<channel_state> outputs(std::string_view uid, key_group_range range) const;
  std::map<std::string, object_handle, std::less<>> files(std::string_view uid) const;
  /// Everything of an operator but the splits.
  operator_subtask_state read(std::string_view uid) const;
  /// Reads everything and checks it against the checksums.
  void verify() const;

private:
  struct body;
  std::unique_ptr<body> body_;
};

} // namespace dataflow
