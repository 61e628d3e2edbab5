#include <dataflow/connectors/list_enumerator.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace dataflow {

namespace {

constexpr std::uint8_t snapshot_version = 1; // do not change: stored in checkpoints

std::uint64_t number_of(const source_split& split) {
  std::uint64_t number = 0;
  auto* end = split.id.data() + split.id.size();
  if (std::from_chars(split.id.data(), end, number).ptr != end)
    throw error{errc::internal, "the split '" + split.id + "' has no number for its id"};
  return number;
}

} // namespace

list_enumerator::list_enumerator(discover_function discover, split_assignment how)
    : discover_(std::move(discover)), how_(how) {}

list_enumerator::list_enumerator(discover_function discover, split_assignment how, const std::string& snapshot)
    : discover_(std::move(discover)), how_(how) {
  byte_reader in{snapshot};
  if (auto version = in.fixed<std::uint8_t>(); version != snapshot_version)
    throw error{errc::malformed_record, "the snapshot of a source has the unknown version " + std::to_string(version)};
  discovered_ = in.fixed<std::uint8_t>() != 0;
  for (auto n = in.length(2); n > 0; --n) {
    source_split split;
    split.id = in.text();
    split.payload = in.text();
    pending_.push_back(std::move(split));
  }
}

void list_enumerator::start(enumerator_context& context) {
  if (discovered_) return;
  auto found = discover_(context);
  pending_.assign(std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
  discovered_ = true;
}

void list_enumerator::split_requested(enumerator_context& context, std::uint32_t subtask) {
  auto mine = [&](const source_split& split) {
    return how_ == split_assignment::first_come || number_of(split) % context.parallelism() == subtask;
  };
  auto found = std::find_if(pending_.begin(), pending_.end(), mine);
  if (found == pending_.end()) {
    context.no_more_splits(subtask);
    return;
  }
  // An endless split is never finished: whoever owns several of them needs all at once.
  do {
    auto split = std::move(*found);
    pending_.erase(found);
    context.assign(subtask, std::move(split));
    found = std::find_if(pending_.begin(), pending_.end(), mine);
  } while (how_ == split_assignment::by_number && found != pending_.end());
}

void list_enumerator::splits_returned(enumerator_context&, std::uint32_t, std::vector<source_split> splits) {
  pending_.insert(pending_.begin(), std::make_move_iterator(splits.begin()), std::make_move_iterator(splits.end()));
}

std::string list_enumerator::snapshot(std::uint64_t) {
  byte_writer out;
  out.fixed(snapshot_version);
  out.fixed<std::uint8_t>(discovered_ ? 1 : 0);
  out.varint(pending_.size());
  for (auto& split : pending_) {
    out.text(split.id);
    out.text(split.payload);
  }
  return out.take();
}

} // namespace dataflow
