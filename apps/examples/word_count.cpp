// Counts the words of text files and shows the most frequent ones at the end.
//   dataflow run word_count [--input PATH]... [--top N]
// A path is a file, or a directory whose files are all read; links are followed. Words are runs of ASCII letters,
// digits and underscores, in lower case.
#include <dataflow/dataflow.hpp>
#include <dataflow/state/keyed_table_state.hpp>

#include <algorithm>

using namespace dataflow;

namespace {

struct word_count {
  std::string word;
  std::int64_t count;
};

} // namespace
DATAFLOW_RECORD(word_count, word, count);

namespace {

struct split_words {
  std::string word;
  void operator()(const std::string& line, collector<word_count>& out) {
    word.clear();
    for (const char c : line) {
      const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      if ((lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') || lower == '_') {
        word += lower;
      } else if (!word.empty()) {
        out.collect({word, 1});
        word.clear();
      }
    }
    if (!word.empty()) out.collect({word, 1});
  }
};

bool more_frequent(const word_count& a, const word_count& b) {
  return a.count != b.count ? a.count > b.count : a.word < b.word;
}

/// Keeps the last count of every word and hands on the most frequent ones when the input ends.
class most_frequent final : public stream_operator {
public:
  explicit most_frequent(std::size_t top) : top_(top) {}

  void open(operator_context& context) override {
    stream_operator::open(context);
    out_.emplace(context, context.output());
    state_.open(context.states());
  }
  void process(unsigned, batch_slice& slice) override {
    for (const auto& in = slice.data.as<word_count>().records; slice.cursor < slice.limit; ++slice.cursor) {
      const auto& [word, count] = in[slice.cursor];
      *counts_.find_or_insert(word, key_hash(word)).first = count;
    }
  }
  progress finish() override {
    std::vector<word_count> all;
    all.reserve(counts_.size());
    counts_.for_each([&](const auto& e) { all.push_back({e.key, e.value}); });
    const auto top = std::min(top_, all.size());
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(top), all.end(), more_frequent);
    all.resize(top);
    for (auto& w : all)
      out_->collect(std::move(w));
    out_->flush();
    return progress::done;
  }

private:
  const std::size_t top_;
  using table = keyed_table<std::string, std::int64_t, key_equal<std::string>, key_hasher>;
  table counts_;
  // By key group, as the counts before it: a word stays in the subtask that counts it.
  keyed_table_state<std::string, std::int64_t, key_equal<std::string>, key_hasher, detail::separate_keys, table> state_{
      "counts", counts_};
  std::optional<collector<word_count>> out_;
};

std::string as_line(const word_count& w) {
  const auto count = std::to_string(w.count);
  return std::string(count.size() < 10 ? 10 - count.size() : 0, ' ') + count + "  " + w.word;
}

} // namespace

DATAFLOW_JOB(word_count) {
  auto inputs = args.get_all("input");
  if (inputs.empty()) inputs = {"/usr/share/common-licenses"};
  const auto top = args.get("top", std::size_t{20});
  const auto keep = [top] { return std::make_unique<most_frequent>(top); };

  const auto counts =
      env.text_files(inputs).flat_map(split_words{}).name("Split").key_by(&word_count::word).sum(&word_count::count);
  counts.name("Count")
      .transform<word_count>("Top of each subtask", keep)
      .global()
      .transform<word_count>("Top", keep)
      .set_parallelism(1)
      .map(as_line)
      .set_parallelism(1)
      .print()
      .set_parallelism(1);
}
