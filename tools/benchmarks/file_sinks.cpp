// The file sink with each guarantee beside a loop that writes the same rows to one file.
#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/connectors/file_sink.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/util/file_system.hpp>

#include <charconv>

#include "measure.hpp"
#include "place_on_disk.hpp"
#include "sum_of_job.hpp"
#include "workloads.hpp"

namespace bench {

using namespace dataflow;

namespace {

void append_number(std::string& out, std::int64_t n) {
  char text[24];
  out.append(text, std::to_chars(text, text + sizeof text, n).ptr);
}

/// "auction,price" and a line end.
void bid_row(const bid& b, std::string& out) {
  append_number(out, b.auction);
  out += ',';
  append_number(out, b.price);
  out += '\n';
}

bid bid_of(std::uint64_t x, std::int64_t i) { return make_bid(x, i, 10'000); }

struct output_directory : place_on_disk {
  std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (auto& f : find_files(system_files(), directory))
      sum += f.size;
    return sum;
  }
};

std::uint64_t hand_rows(std::uint64_t records) {
  output_directory out;
  auto file = system_files().open_write(join_path(out.directory, "rows"), write_mode::create_new);
  generator next{0};
  std::string text;
  for (std::uint64_t i = 0; i < records; ++i) {
    bid_row(bid_of(next(), static_cast<std::int64_t>(i)), text);
    if (text.size() < 64 * 1024) continue;
    file->append(text);
    text.clear();
  }
  file->append(text);
  file->sync();
  file->close();
  return out.bytes();
}

template <class MakeSink>
std::uint64_t rows_by_job(const std::shared_ptr<executor>& cluster, std::uint64_t records, const char* interval,
                          MakeSink make) {
  output_directory out;
  auto env = environment_on(cluster);
  if (*interval != '\0') env.configure("execution.checkpointing.interval", interval);
  env.from(counted_source<bid, decltype(&bid_of)>{records, &bid_of}, "bids").sink_to(make(out.directory));
  env.execute();
  return out.bytes();
}

} // namespace

std::vector<figure> file_sinks(const options& o) {
  auto cluster = std::make_shared<actors::embedded_cluster>();
  std::vector<figure> figures;
  const auto records = static_cast<std::uint64_t>(20e6 * o.scale);
  const auto one = [&](const std::string& name, const char* interval, auto make) {
    if (name.find(o.only) == std::string::npos) return;
    figures.push_back(measure_pairs(
        o, name, 1, records, true, [&] { return hand_rows(records); },
        [&] { return rows_by_job(cluster, records, interval, make); }));
    print(figures.back());
  };
  const auto files = [](delivery_guarantee g) {
    return [g](const std::string& path) { return file_sink<bid>::row_format(path, &bid_row).deliver(g); };
  };
  one("file sink, no guarantee", "", files(delivery_guarantee::none));
  one("file sink, at least once, no checkpoints", "", files(delivery_guarantee::at_least_once));
  one("file sink, at least once, checkpoints every 1 s", "1 s", files(delivery_guarantee::at_least_once));
  one("file sink, exactly once, checkpoints every 1 s", "1 s", files(delivery_guarantee::exactly_once));
  one("file sink, exactly once, checkpoints every 100 ms", "100 ms", files(delivery_guarantee::exactly_once));
  one("file sink, exactly once, a part per checkpoint of 100 ms", "100 ms", [](const std::string& path) {
    return file_sink<bid>::row_format(path, &bid_row)
        .roll({.on_checkpoint = true})
        .deliver(delivery_guarantee::exactly_once);
  });
  return figures;
}

} // namespace bench
