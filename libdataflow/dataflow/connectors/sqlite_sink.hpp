/// Records as rows of a table in an SQLite database: a row with the same key is replaced.
///
///   stream.sink_to(sqlite_sink<word_count>{"counts.db", "counts", {"word"}});
///
/// The columns are the fields that DATAFLOW_RECORD names; they hold integers, floating point, bool, strings, or
/// std::optional of these. The table is made when it does not exist.
/// At-least-once, and idempotent: rows are written in transactions of so many records, and of what is left at every
/// barrier and at the end, so that what a checkpoint covers is in the table. After a failure records behind the
/// checkpoint are written again and come to the same rows: the table is in the end as if each had been written once,
/// and may show older values of a key again until then. Several subtasks may write to one database: each has a
/// connection of its own and waits for the others' transactions. SQLite accesses the disk itself, not through the job's
/// platform: in a simulation its files are real. Threading: a sink is a value. Errors: errc::io_failed with SQLite's
/// words, the table and the path. Source: Flink's JdbcSink with upsert statements.
#pragma once

#include <dataflow/connectors/committing_sink.hpp>
#include <dataflow/record/record.hpp>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace dataflow {

struct sqlite_sink_options {
  std::size_t batch = 1000;               ///< records per transaction
  std::chrono::milliseconds busy{30'000}; ///< how long to wait for the transactions of others
  bool create_table = true;               ///< when there is none
};

namespace detail {

using sqlite_value = std::variant<std::monostate, std::int64_t, double, std::string>;

struct sqlite_column {
  std::string name;
  const char* type; ///< "INTEGER", "REAL", "TEXT"
};

/// A connection with one statement.
class sqlite_table {
public:
  sqlite_table(std::string path, std::string table, std::vector<sqlite_column> columns, std::vector<std::string> keys,
               const sqlite_sink_options& options);
  ~sqlite_table();
  sqlite_table(const sqlite_table&) = delete;
  /// One transaction. `values`: row after row.
  void write(const std::vector<sqlite_value>& values);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

template <class F>
struct sqlite_type {
  static constexpr bool known = std::is_arithmetic_v<F> || std::is_enum_v<F> || std::is_same_v<F, std::string>;
  static const char* name() {
    return std::is_same_v<F, std::string> ? "TEXT" : std::is_floating_point_v<F> ? "REAL" : "INTEGER";
  }
  static sqlite_value of(const F& value) {
    if constexpr (std::is_same_v<F, std::string>)
      return value;
    else if constexpr (std::is_floating_point_v<F>)
      return static_cast<double>(value);
    else
      return static_cast<std::int64_t>(value);
  }
};
template <class F>
struct sqlite_type<std::optional<F>> {
  static constexpr bool known = sqlite_type<F>::known;
  static const char* name() { return sqlite_type<F>::name(); }
  static sqlite_value of(const std::optional<F>& value) { return value ? sqlite_type<F>::of(*value) : sqlite_value{}; }
};

template <class T>
class sqlite_writer final : public committing_writer<T, no_writer_state> {
public:
  sqlite_writer(std::string path, std::string table, std::vector<std::string> keys, sqlite_sink_options options)
      : path_(std::move(path)), table_(std::move(table)), keys_(std::move(keys)), options_(options) {}
  void open(runtime_context&, const restored_sink<no_writer_state, no_writer_state>&) override {
    connection_ = std::make_unique<sqlite_table>(path_, table_, columns(), keys_, options_);
  }
  void write(const T& record, timestamp) override {
    record_fields<T>::apply(record, [&](const auto&... field) {
      (values_.push_back(sqlite_type<std::remove_cvref_t<decltype(field)>>::of(field)), ...);
    });
    ++rows_;
  }
  void flush() override {
    if (rows_ >= options_.batch) write_out();
  }
  void barrier() override { write_out(); }
  void finish() override { write_out(); }
  std::vector<no_writer_state> prepare_commit() override { return {}; }
  void close() noexcept override { connection_.reset(); }

private:
  static std::vector<sqlite_column> columns() {
    std::vector<sqlite_column> all;
    const T sample{};
    record_fields<T>::apply(sample, [&](const auto&... field) {
      std::size_t i = 0;
      (all.push_back({record_fields<T>::names[i++], sqlite_type<std::remove_cvref_t<decltype(field)>>::name()}), ...);
    });
    return all;
  }
  void write_out() {
    if (rows_ == 0) return;
    connection_->write(values_);
    values_.clear();
    rows_ = 0;
  }

  std::string path_, table_;
  std::vector<std::string> keys_;
  sqlite_sink_options options_;
  std::unique_ptr<sqlite_table> connection_;
  std::vector<sqlite_value> values_;
  std::size_t rows_ = 0;
};

template <class... F>
constexpr bool all_sqlite_types(field_types<F...>*) {
  return (sqlite_type<F>::known && ...);
}

} // namespace detail

template <class T>
class sqlite_sink final : public committing_sink<T, no_writer_state> {
  static_assert(named_record<T>,
                "sqlite_sink: name the fields of the record with DATAFLOW_RECORD: they are the columns");
  static_assert(
      detail::all_sqlite_types(static_cast<detail::fields_of<T>*>(nullptr)),
      "sqlite_sink: a column holds an integer, a floating-point number, a bool, a string, or an optional of these");

public:
  /// `keys`: names of the fields that say which row it is.
  sqlite_sink(std::string path, std::string table, std::vector<std::string> keys, sqlite_sink_options options = {})
      : path_(std::move(path)), table_(std::move(table)), keys_(std::move(keys)), options_(options) {
    this->delivery_ = delivery_guarantee::at_least_once;
    for (auto& key : keys_) {
      bool known = false;
      for (const char* name : record_fields<T>::names)
        known = known || key == name;
      if (!known)
        throw error{errc::invalid_argument,
                    "the key '" + key + "' of table '" + table_ + "' is no field of " + record_fields<T>::type,
                    "name fields that the record's DATAFLOW_RECORD has"};
    }
    if (keys_.empty())
      throw error{errc::invalid_argument, "table '" + table_ + "' has no key: every record would be another row",
                  "name the fields that say which row it is"};
  }
  std::string name() const override { return "SQLite"; }
  std::unique_ptr<detail::sqlite_writer<T>> make_writer(delivery_guarantee) const {
    return std::make_unique<detail::sqlite_writer<T>>(path_, table_, keys_, options_);
  }
  std::unique_ptr<committer<no_writer_state>> make_committer(delivery_guarantee) const {
    return std::make_unique<nothing_to_commit>();
  }

private:
  struct nothing_to_commit final : committer<no_writer_state> {
    void commit(std::vector<commit_request<no_writer_state>>&) override {}
  };
  std::string path_, table_;
  std::vector<std::string> keys_;
  sqlite_sink_options options_;
};

} // namespace dataflow
