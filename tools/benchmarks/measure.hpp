/// Timing of pairs: the hand-written loop and the engine in turn, so that a machine whose speed drifts is fair to both.
#pragma once

#include <dataflow/config/configuration.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace dataflow {
class executor;
}

namespace bench {

struct options {
  int pairs = 10;                   ///< interleaved pairs per figure
  double scale = 1.0;               ///< of the number of records
  bool wake = true;                 ///< keep two processors busy for 200 ms before each timed run of the engine
  std::string only;                 ///< part of the names of the figures to run; empty: all
  dataflow::configuration settings; ///< of the clusters
};

/// One line of the report. Rates in records per second.
struct figure {
  std::string name;
  std::uint32_t parallelism = 1;
  double records_per_second = 0, records_per_cpu_second = 0, hand_records_per_second = 0, ratio = 0;
  double cpu_ratio = 0; ///< records per CPU second, engine to loop: hardly disturbed by what else the machine does
  double ratio_low = 0, ratio_high = 0; ///< of the pairs, first and third quartile
  std::string note;
};

double median(std::vector<double> values);
double quantile(std::vector<double> values, double q);

/// Runs hand() and engine() in turn, once to warm up and `pairs` times counted. Both process `records` and return a
/// checksum; with `compare` they must be equal (throws otherwise).
figure measure_pairs(const options& o, const std::string& name, std::uint32_t parallelism, std::uint64_t records,
                     bool compare, const std::function<std::uint64_t()>& hand,
                     const std::function<std::uint64_t()>& engine);

/// W2 on a cluster; returns its checksum.
std::uint64_t engine_w2(const std::shared_ptr<dataflow::executor>& cluster, std::uint32_t p, std::uint64_t records,
                        std::int64_t keys);
/// Latencies of `count` records through key_by and reduce. Without a cluster: on the default one.
figure engine_latency(const std::string& name, std::chrono::milliseconds timeout, std::int64_t count,
                      std::shared_ptr<dataflow::executor> cluster);

void print(const figure& f);
void write_json(const std::string& path, const std::vector<figure>& figures);

// What each part of the program measures.
std::vector<figure> throughput(const options& o);
std::vector<figure> windows(const options& o);
std::vector<figure> joins(const options& o);
std::vector<figure> nexmark_queries(const options& o);
std::vector<figure> state_and_timers(const options& o);
std::vector<figure> state_on_disk(const options& o);
std::vector<figure> checkpoints(const options& o);
std::vector<figure> barriers(const options& o);
std::vector<figure> latency(const options& o);
std::vector<figure> overheads(const options& o);
std::vector<figure> policies(const options& o);
std::vector<figure> file_sinks(const options& o);
std::vector<figure> back_pressure(const options& o);
std::vector<figure> shuffle(const options& o);

} // namespace bench
