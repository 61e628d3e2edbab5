/// Which directory below a file sink's own a record goes to.
///
/// An assigner is any function of the record and a bucket_context that gives a relative path; "" is the sink's own
/// directory. Each subtask has a copy. Threading: the task's own.
/// Source: Flink's DateTimeBucketAssigner, BasePathBucketAssigner.
#pragma once

#include <dataflow/time/timestamp.hpp>

#include <chrono>
#include <string>

namespace dataflow {

struct bucket_context {
  timestamp record_time;                     ///< no_timestamp when the record has none
  std::chrono::milliseconds processing_time; ///< wall time of the batch, since 1970 UTC
};

/// By date and hour, in UTC. The format is strftime's.
class date_time_bucket {
public:
  explicit date_time_bucket(std::string format = "%Y-%m-%d--%H") : format_(std::move(format)) {}
  /// By the records' own time, instead of the time at which they are written. A record without one is an error.
  date_time_bucket by_event_time() const {
    auto copy = *this;
    copy.event_time_ = true;
    return copy;
  }
  template <class T>
  const std::string& operator()(const T&, const bucket_context& c) {
    return at(event_time_ ? milliseconds_of(c.record_time) : c.processing_time.count());
  }

private:
  static std::int64_t milliseconds_of(timestamp t);
  const std::string& at(std::int64_t milliseconds) {
    const auto second = milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000;
    if (second != second_) format(second);
    return text_;
  }
  void format(std::int64_t second);

  std::string format_;
  bool event_time_ = false;
  std::int64_t second_ = INT64_MIN; // that text_ is for
  std::string text_;
};

/// Everything into the sink's own directory.
struct no_buckets {
  template <class T>
  const std::string& operator()(const T&, const bucket_context&) const {
    return nothing;
  }
  std::string nothing;
};

} // namespace dataflow
