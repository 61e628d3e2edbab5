#include "measure.hpp"

#include <dataflow/util/clock.hpp>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace bench {

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto at = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const auto above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (at - static_cast<double>(below));
}

double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

namespace {
/// Of this thread alone: a cluster's idle threads do not count for the loop.
std::chrono::nanoseconds thread_cpu_time() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec};
}

/// Keeps `threads` processors busy for a moment: a virtual machine may put all threads on one of them until several
/// have been busy for a while, and hand() has just used one.
void wake_processors(std::uint32_t threads) {
  std::vector<std::thread> all;
  const auto until = dataflow::system_clock().now() + std::chrono::milliseconds{200};
  for (std::uint32_t i = 0; i < threads; ++i)
    all.emplace_back([until] {
      while (dataflow::system_clock().now() < until) {
      }
    });
  for (auto& t : all)
    t.join();
}
} // namespace

figure measure_pairs(const options& o, const std::string& name, std::uint32_t parallelism, std::uint64_t records,
                     bool compare, const std::function<std::uint64_t()>& hand,
                     const std::function<std::uint64_t()>& engine) {
  using namespace std::chrono;
  auto& clock = dataflow::system_clock();
  const auto n = static_cast<double>(records);
  std::vector<double> hands, engines, cpus, ratios, cpu_ratios;
  for (int i = 0; i <= o.pairs; ++i) {
    const auto hand_cpu = thread_cpu_time();
    const auto a = clock.now();
    const auto hand_sum = hand();
    const auto b = clock.now();
    const auto hand_used = thread_cpu_time() - hand_cpu;
    if (o.wake) wake_processors(std::max(2u, parallelism));
    const auto engine_start = clock.now();
    const auto cpu = dataflow::process_cpu_time();
    const auto engine_sum = engine();
    const auto c = clock.now();
    const auto used = dataflow::process_cpu_time() - cpu;
    if (compare && hand_sum != engine_sum)
      throw std::runtime_error(
          fmt::format("{}: the engine's checksum is {:x}, the loop's {:x}", name, engine_sum, hand_sum));
    if (i == 0) continue; // warm-up
    hands.push_back(n / duration<double>(b - a).count());
    engines.push_back(n / duration<double>(c - engine_start).count());
    cpus.push_back(n / duration<double>(used).count());
    ratios.push_back(engines.back() / hands.back());
    cpu_ratios.push_back(duration<double>(hand_used).count() / duration<double>(used).count());
  }
  figure f;
  f.name = name;
  f.parallelism = parallelism;
  f.records_per_second = median(engines);
  f.records_per_cpu_second = median(cpus);
  f.hand_records_per_second = median(hands);
  f.ratio = median(ratios);
  f.cpu_ratio = median(cpu_ratios);
  f.ratio_low = quantile(ratios, 0.25);
  f.ratio_high = quantile(ratios, 0.75);
  return f;
}

void print(const figure& f) {
  if (f.hand_records_per_second > 0)
    fmt::print("{:<34} p{}  {:7.1f} M/s  {:7.1f} M/s per CPU s  hand {:7.1f} M/s  ratio {:.2f} [{:.2f}, {:.2f}]  of "
               "CPU {:.2f}  {}\n",
               f.name, f.parallelism, f.records_per_second / 1e6, f.records_per_cpu_second / 1e6,
               f.hand_records_per_second / 1e6, f.ratio, f.ratio_low, f.ratio_high, f.cpu_ratio, f.note);
  else
    fmt::print("{:<34} p{}  {}\n", f.name, f.parallelism, f.note);
  std::fflush(stdout);
}

void write_json(const std::string& path, const std::vector<figure>& figures) {
  auto list = nlohmann::json::array();
  for (auto& f : figures)
    list.push_back({{"name", f.name},
                    {"parallelism", f.parallelism},
                    {"records_per_second", f.records_per_second},
                    {"records_per_cpu_second", f.records_per_cpu_second},
                    {"hand_records_per_second", f.hand_records_per_second},
                    {"ratio", f.ratio},
                    {"ratio_of_cpu", f.cpu_ratio},
                    {"ratio_low", f.ratio_low},
                    {"ratio_high", f.ratio_high},
                    {"note", f.note}});
  std::ofstream out{path};
  out << list.dump(2) << '\n';
  if (!out) throw std::runtime_error("cannot write " + path);
}

} // namespace bench
