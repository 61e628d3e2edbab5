#include <dataflow/time/iso8601.hpp>
#include <dataflow/util/error.hpp>

#include <cstdio>

namespace dataflow {

namespace {

__extension__ using wide = __int128;

constexpr std::int64_t ms_per_day = 86'400'000;

/// Days since 1970 of a date in the proleptic Gregorian calendar (Hinnant's algorithm). Years up to 10^9.
constexpr std::int64_t days_of(std::int64_t year, unsigned month, unsigned day) noexcept {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const auto of_era = static_cast<std::uint64_t>(year - era * 400);
  const std::uint64_t of_year = (153u * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const std::uint64_t day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
  return era * 146'097 + static_cast<std::int64_t>(day_of_era) - 719'468;
}

struct civil_date {
  std::int64_t year;
  unsigned month, day;
};
constexpr civil_date date_of(std::int64_t days) noexcept {
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const auto of_era = static_cast<std::uint64_t>(days - era * 146'097);
  const std::uint64_t year_of_era = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::uint64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::uint64_t shifted = (5 * of_year + 2) / 153;
  const auto day = static_cast<unsigned>(of_year - (153 * shifted + 2) / 5 + 1);
  const auto month = static_cast<unsigned>(shifted < 10 ? shifted + 3 : shifted - 9);
  return {static_cast<std::int64_t>(year_of_era) + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

constexpr unsigned days_in(std::int64_t year, unsigned month) noexcept {
  constexpr unsigned usual[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : usual[month - 1];
}

class parser {
public:
  explicit parser(std::string_view text) : text_(text), left_(text) {}

  timestamp parse() {
    const auto year = read_year();
    expect('-');
    const auto month = number(2);
    expect('-');
    const auto day = number(2);
    if (month < 1 || month > 12 || day < 1 || day > days_in(year, month)) fail("there is no such day");
    std::int64_t of_day = 0;
    if (!left_.empty()) {
      if (!take('T') && !take('t')) expect(' ');
      of_day = read_time();
      of_day -= read_offset();
      if (!left_.empty()) fail("unexpected text after the time");
    }
    // On the first and the last day of all the sum may be in range where the product is not.
    const auto exact = wide{days_of(year, month, day)} * ms_per_day + of_day;
    const auto total = static_cast<std::int64_t>(exact);
    if (exact != total) fail("64 bits of milliseconds do not reach that far");
    return timestamp{std::chrono::milliseconds{total}};
  }

private:
  [[noreturn]] void fail(const char* why) const {
    throw error{errc::malformed_record, "\"" + std::string{text_} + "\" is no time: " + why,
                "write times as 2026-11-21T12:29:50.250Z"};
  }
  bool take(char c) noexcept {
    if (left_.empty() || left_.front() != c) return false;
    left_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail("the form is year-month-day, then T and the time");
  }
  bool digit() const noexcept { return !left_.empty() && left_.front() >= '0' && left_.front() <= '9'; }
  unsigned next_digit() noexcept {
    const auto d = static_cast<unsigned>(left_.front() - '0');
    left_.remove_prefix(1);
    return d;
  }
  unsigned number(int digits) {
    unsigned value = 0;
    for (int i = 0; i < digits; ++i) {
      if (!digit()) fail("a digit is missing");
      value = value * 10 + next_digit();
    }
    return value;
  }
  std::int64_t read_year() {
    const bool negative = take('-');
    const bool sign = negative || take('+');
    std::int64_t year = 0;
    int digits = 0;
    while (digit() && digits < 10) {
      year = year * 10 + next_digit();
      ++digits;
    }
    if (digits < 4 || digits > 9 || (digits > 4 && !sign)) fail("a year has four digits, or a sign and up to nine");
    return negative ? -year : year;
  }
  std::int64_t read_time() {
    const auto hour = number(2);
    expect(':');
    const auto minute = number(2);
    unsigned second = 0, ms = 0;
    if (take(':')) {
      second = number(2);
      if (take('.') || take(',')) {
        if (!digit()) fail("a digit is missing");
        for (unsigned unit = 100; digit(); unit /= 10)
          ms += unit * next_digit();
      }
    }
    if (hour > 23 || minute > 59 || second > 59) fail("there is no such time of day");
    return ((hour * 60 + minute) * 60 + second) * std::int64_t{1000} + ms;
  }
  std::int64_t read_offset() {
    if (left_.empty() || take('Z') || take('z')) return 0;
    const bool west = take('-');
    if (!west) expect('+');
    const auto hour = number(2);
    const bool colon = take(':');
    const auto minute = colon || digit() ? number(2) : 0;
    if (hour > 18 || minute > 59) fail("there is no such offset");
    const auto offset = (hour * 60 + minute) * std::int64_t{60'000};
    return west ? -offset : offset;
  }

  std::string_view text_, left_;
};

} // namespace

timestamp parse_iso8601(std::string_view text) { return parser{text}.parse(); }

std::string format_iso8601(timestamp t) {
  const auto ms = t.time_since_epoch().count();
  auto days = ms / ms_per_day;
  auto of_day = ms % ms_per_day;
  if (of_day < 0) {
    of_day += ms_per_day;
    --days;
  }
  const auto date = date_of(days);
  const auto seconds = of_day / 1000, fraction = of_day % 1000;
  char buffer[64];
  const auto year = static_cast<long long>(date.year < 0 ? -date.year : date.year);
  const char* sign = date.year < 0 ? "-" : year > 9999 ? "+" : "";
  std::snprintf(buffer, sizeof buffer, "%s%04lld-%02u-%02uT%02d:%02d:%02d", sign, year, date.month, date.day,
                static_cast<int>(seconds / 3600), static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60));
  std::string out{buffer};
  if (fraction != 0) {
    std::snprintf(buffer, sizeof buffer, ".%03d", static_cast<int>(fraction));
    out += buffer;
  }
  return out + "Z";
}

std::string describe_watermark(timestamp t) {
  if (t == min_timestamp) return "none";
  if (t == max_timestamp) return "end of input";
  return format_iso8601(t);
}

} // namespace dataflow
