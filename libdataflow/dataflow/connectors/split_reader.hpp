/// A reader that deals with everything about splits but reading one: the base of the built-in connectors, and a good
/// start for one of your own.
///
/// Split is a struct with the position in it:
///   std::string id;
///   std::string encode() const;                         // the payload, present position included
///   static Split decode(const source_split& split);
///   std::string describe() const;                       // optional: the present position, for people
/// Splits are read one after the other, or in turns when interleaved() (for endless ones).
/// Threading, ownership, errors: as source_reader.
#pragma once

#include <dataflow/connectors/source.hpp>

#include <algorithm>
#include <deque>
#include <set>

namespace dataflow {

template <class T, class Split>
class split_reader : public source_reader<T> {
public:
  void open(reader_context& context) override {
    context_ = &context;
    wake_ = context.wake_up();
    opened();
    if (splits_.empty()) request_next();
  }
  void add_splits(std::vector<source_split> splits) override {
    requested_ = false;
    for (auto& split : splits)
      splits_.push_back(Split::decode(split));
    if (wake_) wake_();
  }
  void no_more_splits() override {
    no_more_ = true;
    if (wake_) wake_();
  }
  std::vector<source_split> snapshot(std::uint64_t) override {
    std::vector<source_split> out;
    for (auto& split : splits_)
      out.push_back({split.id, split.encode()});
    return out;
  }
  std::string describe_position(const source_split& split) const override {
    if constexpr (requires(const Split& s) { s.describe(); }) return Split::decode(split).describe();
    return source_reader<T>::describe_position(split);
  }
  void pause_split(const std::string& id, bool paused) override {
    if (paused)
      paused_.insert(id);
    else
      paused_.erase(id);
    if (!paused && wake_) wake_();
  }

  poll_result poll(source_output<T>& out) override {
    while (!out.full()) {
      auto active = std::find_if(splits_.begin(), splits_.end(), [&](auto& s) { return !is_paused(s); });
      if (active == splits_.end()) {
        if (!splits_.empty()) return poll_result::wait(); // until one goes on
        if (no_more_) return poll_result::end();
        request_next();
        return splits_.empty() ? poll_result::wait() : poll_result::more();
      }
      if (active != splits_.begin()) std::rotate(splits_.begin(), active, active + 1);
      out.of_split(splits_.front().id);
      auto result = read(splits_.front(), out);
      if (result.what == poll_result::kind::end) {
        out.finish_split(splits_.front().id);
        paused_.erase(splits_.front().id);
        splits_.pop_front();
        continue;
      }
      if (interleaved() && splits_.size() > 1) std::rotate(splits_.begin(), splits_.begin() + 1, splits_.end());
      return result;
    }
    return poll_result::more();
  }

protected:
  /// Appends records of this split until out.full() or nothing is there, and moves the split's position on.
  /// poll_result::end(): the split is read to its end.
  virtual poll_result read(Split& split, source_output<T>& out) = 0;
  virtual void opened() {}
  virtual bool interleaved() const noexcept { return false; }

  reader_context& context() noexcept { return *context_; }
  /// Asks for a split unless that has happened already; call it early, so that the next one is there in time.
  void request_next() {
    if (requested_ || no_more_) return;
    requested_ = true;
    context_->request_split();
  }
  /// How many splits are there, the one being read included.
  std::size_t splits() const noexcept { return splits_.size(); }

private:
  bool is_paused(const Split& split) const { return !paused_.empty() && paused_.count(split.id) != 0; }

  reader_context* context_ = nullptr;
  std::function<void()> wake_;
  std::deque<Split> splits_; // the front is being read
  std::set<std::string> paused_;
  bool requested_ = false, no_more_ = false;
};

} // namespace dataflow
