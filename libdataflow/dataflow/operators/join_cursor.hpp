/// How far an interval join has come with the record at hand, so that it can stop between any two of its pairs.
///
/// A snapshot that is taken in between finds the record unread, as one in flight; that some of its pairs have gone out
/// is state. It belongs to the record's key, so that it goes where the record goes.
/// Threading: the task's own.
#pragma once

#include <dataflow/state/declared_state.hpp>
#include <dataflow/time/timestamp.hpp>

#include <optional>
#include <vector>

namespace dataflow {

class join_cursor final : public declared_state {
public:
  explicit join_cursor(std::uint32_t max_parallelism) noexcept : max_parallelism_(max_parallelism) {}

  /// So many pairs of this record have been dealt with.
  std::size_t begin(unsigned side, timestamp t, std::uint64_t hash) {
    if (stopped_) return stopped_->pairs;
    for (auto i = restored_.begin(); i != restored_.end(); ++i)
      if (i->side == side && i->at == t && i->hash == hash) {
        const auto pairs = i->pairs;
        restored_.erase(i);
        return pairs;
      }
    return 0;
  }
  /// The record at hand has more pairs than these; it comes again. `sent`: they have gone on.
  void stop(unsigned side, timestamp t, std::uint64_t hash, std::size_t pairs, bool sent) noexcept {
    stopped_ = place{side, t, hash, pairs};
    sent_ = sent;
  }
  /// The record is done with, or its results have been taken back.
  void end() noexcept { stopped_.reset(); }
  bool stopped() const noexcept { return stopped_.has_value(); }
  /// The results of the record at hand are kept until it is done with.
  bool keeps_results() const noexcept { return stopped_ && !sent_; }
  /// What is older than the watermark does not come again.
  void forget_before(timestamp watermark) {
    if (!restored_.empty()) std::erase_if(restored_, [&](const place& p) { return p.at < watermark; });
  }

  state_info info() const override { return {"join cursor", state_kind::keyed, "side, time, hash, pairs"}; }
  void snapshot(state_writer& out) const override {
    if (stopped_ && sent_) write(*stopped_, out);
    for (auto& p : restored_)
      write(p, out);
  }
  void restore(const state_part& part) override {
    for (byte_reader in{part.bytes}; !in.at_end();) {
      place p;
      p.side = in.fixed<std::uint8_t>();
      p.at = in.fixed<timestamp>();
      p.hash = in.fixed<std::uint64_t>();
      p.pairs = in.varint();
      restored_.push_back(p);
    }
  }

private:
  struct place {
    unsigned side = 0;
    timestamp at{};
    std::uint64_t hash = 0;
    std::size_t pairs = 0;
  };
  void write(const place& p, state_writer& out) const {
    auto& bytes = out.part_of(key_group_of(p.hash, max_parallelism_));
    bytes.fixed(static_cast<std::uint8_t>(p.side));
    bytes.fixed(p.at);
    bytes.fixed(p.hash);
    bytes.varint(p.pairs);
  }

  const std::uint32_t max_parallelism_;
  std::optional<place> stopped_;
  bool sent_ = false;
  std::vector<place> restored_;
};

} // namespace dataflow
