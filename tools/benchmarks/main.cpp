// Prints the figures that docs/benchmarks.md records.
#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include "measure.hpp"
#include "shuffle.hpp"

int main(int argc, char** argv) {
  CLI::App app{"Measures the engine beside hand-written loops, in turn, in one run"};
  bench::options o;
  std::string json;
  app.add_option("--json", json, "also write the figures to this file");
  app.add_option("--pairs", o.pairs, "interleaved pairs per figure")->capture_default_str()->check(CLI::Range(1, 1000));
  app.add_option("--scale", o.scale, "of the number of records")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 100.0));
  app.add_option(
      "--only", o.only,
      "part of the name of the figures to run: W1 to W7, windows, join, Nexmark, latency, overheads, policies, "
      "file sink, checkpoint every second, barrier, restore, exception, back-pressure, shuffle");
  app.add_flag("!--no-wake", o.wake, "do not wake the processors before each run of the engine");
  std::vector<std::string> settings;
  app.add_option("-D", settings, "a configuration key of the clusters: -Dkey=value; may be repeated")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  std::string peer;
  app.add_option("--shuffle-peer", peer, "be the other process of the shuffle's figures")->group("");
  CLI11_PARSE(app, argc, argv);
  if (!peer.empty()) return bench::shuffle_peer(peer);
  try {
    for (const auto& s : settings)
      o.settings.set_from_flag(s);
    std::vector<bench::figure> all;
    for (auto part : {bench::throughput, bench::joins, bench::nexmark_queries, bench::latency, bench::overheads,
                      bench::policies, bench::state_and_timers, bench::state_on_disk, bench::checkpoints,
                      bench::barriers, bench::back_pressure, bench::windows, bench::file_sinks, bench::shuffle})
      for (auto& f : part(o))
        all.push_back(std::move(f));
    if (!json.empty()) bench::write_json(json, all);
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}
