#include <dataflow/task/traced_source.hpp>

#include <algorithm>
#include <utility>

namespace dataflow {

namespace {

class traced_source final : public source_driver {
public:
  traced_source(std::unique_ptr<source_driver> inner, traced_source_config config)
      : inner_(std::move(inner)), config_(std::move(config)), left_(config_.trace.records) {}

  source_reader_base& reader() noexcept override { return inner_->reader(); }
  const record_type& type() const noexcept override { return inner_->type(); }

  poll_result poll(batch_base& into, const batch_limits& limits, split_marks* marks) override {
    if (left_ == 0 && config_.trace.skip.empty()) return inner_->poll(into, limits, marks);
    const auto before = inner_->reader().snapshot(0);
    if (left_ == 0 && !reads_one_to_skip(before)) return inner_->poll(into, limits, marks);
    auto one = limits;
    one.records = 1;
    split_marks found;
    const auto result = inner_->poll(into, one, &found);
    if (const auto n = into.size(); n > 0) {
      auto origin = origin_of(before, found, n);
      left_ -= std::min<std::uint64_t>(left_, n);
      if (skips(origin)) {
        into.clear();
        config_.skipped(origin);
        found = at_front(found);
      } else {
        into.origin = std::make_shared<const record_origin>(std::move(origin));
      }
    }
    if (marks) *marks = std::move(found);
    return result;
  }

private:
  bool reads_one_to_skip(const std::vector<source_split>& splits) const {
    return std::any_of(splits.begin(), splits.end(), [&](const source_split& s) {
      return std::any_of(config_.trace.skip.begin(), config_.trace.skip.end(),
                         [&](const record_origin& o) { return o.split == s.id; });
    });
  }

  /// The split that the reader was at when it collected the first record; its position is the one before the poll.
  record_origin origin_of(const std::vector<source_split>& before, const split_marks& marks,
                          std::size_t records) const {
    record_origin o{config_.uid, config_.name, {}, {}, {}, records};
    for (auto& m : marks.all())
      if (m.begin == 0 && !m.finished) o.split = m.split;
    if (marks.empty() && before.size() == 1) o.split = before.front().id;
    for (auto& s : before)
      if (s.id == o.split) {
        o.position = s.payload;
        o.described = inner_->reader().describe_position(s);
      }
    return o;
  }

  bool skips(const record_origin& origin) {
    if (!origin.exact()) return false;
    return std::erase_if(config_.trace.skip, [&](const record_origin& o) { return o.same_record(origin); }) > 0;
  }

  /// Marks of a poll without records.
  static split_marks at_front(const split_marks& marks) {
    split_marks out;
    for (auto& m : marks.all())
      if (m.finished)
        out.finished(m.split, 0);
      else
        out.records_of(m.split, 0);
    return out;
  }

  std::unique_ptr<source_driver> inner_;
  traced_source_config config_;
  std::uint64_t left_;
};

} // namespace

std::unique_ptr<source_driver> make_traced_source(std::unique_ptr<source_driver> reader, traced_source_config config) {
  return std::make_unique<traced_source>(std::move(reader), std::move(config));
}

} // namespace dataflow
