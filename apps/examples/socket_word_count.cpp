// Counts words that come in over a socket, for as long as it is open; try it with `nc -lk 9999`.
//   dataflow run socket_word_count [--host H] [--port P]
#include <dataflow/dataflow.hpp>

using namespace dataflow;

namespace {

struct word_count {
  std::string word;
  std::int64_t count;
};

} // namespace
DATAFLOW_RECORD(word_count, word, count);

DATAFLOW_JOB(socket_word_count) {
  env.socket_text(args.get("host", "localhost"), args.get("port", 9999))
      .flat_map([](const std::string& line, collector<word_count>& out) {
        for (std::size_t at = 0; at < line.size();) {
          const auto end = std::min(line.find(' ', at), line.size());
          if (end > at) out.collect({line.substr(at, end - at), 1});
          at = end + 1;
        }
      })
      .key_by(&word_count::word)
      .sum(&word_count::count)
      .print();
}
