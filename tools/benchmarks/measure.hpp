/// Timing of pairs: the hand-written loop and the engine in turn, so that a machine whose speed drifts is fair to both.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace bench {

struct options {
  int pairs = 10;     ///< interleaved pairs per figure
  double scale = 1.0; ///< of the number of records
  std::string only;   ///< part of the names of the figures to run; empty: all
};

/// One line of the report. Rates in records per second.
struct figure {
  std::string name;
  std::uint32_t parallelism = 1;
  double records_per_second = 0, records_per_cpu_second = 0, hand_records_per_second = 0, ratio = 0;
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

void print(const figure& f);
void write_json(const std::string& path, const std::vector<figure>& figures);

// What each part of the program measures.
std::vector<figure> throughput(const options& o);
std::vector<figure> joins(const options& o);
std::vector<figure> latency(const options& o);
std::vector<figure> overheads(const options& o);

} // namespace bench
