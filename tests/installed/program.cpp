// A program of a user's own, against an installed copy: the cluster is inside.
#include <dataflow/dataflow.hpp>

#include <map>
#include <sstream>

struct word_count {
  std::string word;
  std::int64_t count;
};
DATAFLOW_RECORD(word_count, word, count);

int main() {
  dataflow::environment env;
  const auto counts = env.from_elements<std::string>({"to be or not", "to be"})
                          .flat_map([](const std::string& line, dataflow::collector<word_count>& out) {
                            std::istringstream words{line};
                            for (std::string word; words >> word;)
                              out.collect({word, 1});
                          })
                          .key_by(&word_count::word)
                          .sum(&word_count::count)
                          .collect();
  std::map<std::string, std::int64_t> last;
  for (const auto& [word, count] : counts)
    last[word] = std::max(last[word], count);
  return last == std::map<std::string, std::int64_t>{{"be", 2}, {"not", 1}, {"or", 1}, {"to", 2}} ? 0 : 1;
}
