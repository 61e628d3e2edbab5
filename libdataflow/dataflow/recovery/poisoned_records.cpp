#include <dataflow/config/configuration.hpp>
#include <dataflow/recovery/poisoned_records.hpp>

#include <algorithm>
#include <utility>

namespace dataflow {

namespace {
/// What two failures have in common that are the same: their texts without numbers (attempts, subtasks, ports) and
/// without the record.
std::string kind_of(const error& why, const std::optional<record_origin>& at) {
  auto text = why.cause();
  if (at) {
    const auto named = at->to_string() + ": ";
    if (const auto i = text.find(named); i != std::string::npos) text.erase(i, named.size());
  }
  std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
  return std::string{to_string(why.code())} + " " + text;
}
} // namespace

poisoned_record_settings poisoned_record_settings::from(const configuration& c) {
  return {static_cast<std::uint32_t>(c.integer("execution.poisoned-record.failures")),
          c.text("execution.poisoned-record.policy") == "skip"};
}

bool poisoned_records::failed(region_index region, vertex_index vertex, const error& why,
                              const std::optional<record_origin>& at) {
  if (settings_.failures == 0) return false;
  auto& s = series_[region];
  auto what = kind_of(why, at);
  const bool traced = s.failures >= settings_.failures;
  const bool alike = s.failures > 0 && s.vertex == vertex && s.what == what;
  if (alike)
    ++s.failures;
  else
    s = {vertex, std::move(what), 1};
  if (!settings_.skip || !traced || !alike || !at || !at->exact()) return false;
  s = {};
  skip_.push_back({*at, {}});
  return true;
}

bool poisoned_records::traces(region_index region) const {
  const auto s = series_.find(region);
  return s != series_.end() && settings_.failures > 0 && s->second.failures >= settings_.failures;
}

std::vector<record_origin> poisoned_records::to_skip(std::string_view source) {
  std::vector<record_origin> out;
  for (auto& s : skip_) {
    if (s.record.source != source) continue;
    s.after.reset();
    out.push_back(s.record);
  }
  return out;
}

void poisoned_records::skipped(const record_origin& record, std::uint64_t newest) {
  for (auto& s : skip_)
    if (s.record.same_record(record)) s.after = newest;
}

void poisoned_records::checkpoint_completed(std::uint64_t checkpoint) {
  std::erase_if(skip_, [&](const left_out& s) { return s.after && checkpoint > *s.after; });
}

} // namespace dataflow
