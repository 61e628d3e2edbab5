#include <dataflow/connectors/generator.hpp>
#include <dataflow/util/error.hpp>

#include <limits>

namespace dataflow {

namespace detail {

__extension__ using wide = unsigned __int128;

std::string index_split::encode() const {
  byte_writer out;
  out.fixed(next);
  out.varint(left);
  out.varint(step);
  return out.take();
}

index_split index_split::decode(const source_split& split) {
  byte_reader in{split.payload};
  index_split out;
  out.id = split.id;
  out.next = in.fixed<std::int64_t>();
  out.left = in.varint();
  out.step = in.varint();
  return out;
}

namespace {

source_split encoded(const index_split& split) { return {split.id, split.encode()}; }

std::vector<source_split> cut(const index_range& range, std::uint32_t parallelism) {
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  std::vector<source_split> out;
  if (range.what == index_range::kind::endless) {
    for (std::uint32_t i = 0; i < parallelism; ++i)
      out.push_back(encoded({std::to_string(i), range.first + i, most, parallelism}));
  } else if (range.what == index_range::kind::bounded) {
    // Unsigned: the distance of two signed numbers always fits.
    const wide total = wide{static_cast<std::uint64_t>(range.last) - static_cast<std::uint64_t>(range.first)} + 1;
    const wide parts = total / parallelism > most ? wide{parallelism} + 1 : wide{parallelism};
    wide begin = 0;
    for (wide i = 0; i < parts; ++i) {
      const wide end = begin + total / parts + (i < total % parts ? 1 : 0); // the first ones take the remainder
      if (end > begin)
        out.push_back(encoded(
            {std::to_string(static_cast<std::uint64_t>(i)),
             static_cast<std::int64_t>(static_cast<std::uint64_t>(range.first) + static_cast<std::uint64_t>(begin)),
             static_cast<std::uint64_t>(end - begin), 1}));
      begin = end;
    }
  }
  return out;
}

} // namespace

std::unique_ptr<split_enumerator> index_enumerator(index_range range, const std::string* snapshot) {
  auto discover = [range](enumerator_context& context) { return cut(range, context.parallelism()); };
  if (snapshot != nullptr) return std::make_unique<list_enumerator>(discover, split_assignment::by_number, *snapshot);
  return std::make_unique<list_enumerator>(discover, split_assignment::by_number);
}

void check_options(const generator_options& options) {
  if (!(options.records_per_second >= 0) || options.records_per_second > 1e9)
    throw error{errc::invalid_argument,
                "a generator's rate of " + std::to_string(options.records_per_second) + " records per second",
                "use a rate from 0 (no limit) to 1e9"};
  if (options.count && *options.count > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    throw error{errc::invalid_argument, "a generator's count of " + std::to_string(*options.count),
                "leave the count out for an unbounded generator"};
}

namespace {
struct itself {
  std::int64_t operator()(std::int64_t i) const noexcept { return i; }
};
} // namespace

} // namespace detail

sequence_source::sequence_source(std::int64_t from, std::int64_t to, double records_per_second)
    : from_(from), to_(to), rate_(records_per_second) {
  if (from > to)
    throw error{errc::invalid_argument,
                "a sequence from " + std::to_string(from) + " to " + std::to_string(to) + " has no numbers",
                "from must not be greater than to; both are included"};
  detail::check_options({std::nullopt, rate_});
}

std::unique_ptr<source_reader<std::int64_t>> sequence_source::make_reader() const {
  generator_options options;
  options.count = 0; // bounded; how many there are is in the splits
  options.records_per_second = rate_;
  return std::make_unique<detail::generator_reader<std::int64_t, detail::itself>>(detail::itself{}, options);
}

std::unique_ptr<split_enumerator> sequence_source::make_enumerator() const {
  return detail::index_enumerator({detail::index_range::kind::bounded, from_, to_}, nullptr);
}

std::unique_ptr<split_enumerator> sequence_source::restore_enumerator(const std::string& snapshot) const {
  return detail::index_enumerator({detail::index_range::kind::bounded, from_, to_}, &snapshot);
}

} // namespace dataflow
