// Text files -> counts of first words -> files, every count in them once: the pipeline of the example count_to_files.
#pragma once

#include <dataflow/connectors/file_sink.hpp>
#include <dataflow/dataflow.hpp>

#include <string>
#include <vector>

namespace examples {

struct counted_word {
  std::string word;
  std::int64_t count = 0;
};

/// The first word of a line, once.
inline counted_word first_word(const std::string& line) { return {line.substr(0, line.find(' ')), 1}; }

inline void as_csv(const counted_word& w, std::string& out) { out += w.word + "," + std::to_string(w.count) + "\n"; }

} // namespace examples
DATAFLOW_RECORD(examples::counted_word, word, count);

namespace examples {

/// A line "word,count" for every line read. The files in `output` are whole: each is shown when the checkpoint is
/// complete that it belongs to, and when something dies no line is lost or written twice.
inline void count_to_files(dataflow::environment& env, const std::vector<std::string>& inputs,
                           const std::string& output) {
  using namespace dataflow;
  env.text_files(inputs)
      .map(first_word)
      .key_by(&counted_word::word)
      .sum(&counted_word::count)
      .name("Count")
      .uid("count")
      .sink_to(file_sink<counted_word>::row_format(output, as_csv)
                   .without_buckets()
                   .part_file("counts", ".csv")
                   .deliver(delivery_guarantee::exactly_once))
      .name("counts")
      .uid("counts");
}

} // namespace examples
