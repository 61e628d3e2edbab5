#include <dataflow/connectors/bucket_assigners.hpp>
#include <dataflow/util/error.hpp>

#include <ctime>

namespace dataflow {

std::int64_t date_time_bucket::milliseconds_of(timestamp t) {
  if (t == no_timestamp)
    throw error{errc::invalid_argument, "a record without a timestamp has no bucket by event time",
                "give the stream a watermark strategy with a timestamp, or take the bucket of the processing time"};
  return t.time_since_epoch().count();
}

void date_time_bucket::format(std::int64_t second) {
  const auto time = static_cast<std::time_t>(second);
  std::tm parts{};
  char out[256];
  const auto size = ::gmtime_r(&time, &parts) ? std::strftime(out, sizeof out, format_.c_str(), &parts) : 0;
  if (size == 0)
    throw error{errc::invalid_argument, "the format '" + format_.substr(0, 100) + "' gives no name of a bucket",
                "use strftime's letters, as in %Y-%m-%d"};
  text_.assign(out, size);
  second_ = second;
}

} // namespace dataflow
