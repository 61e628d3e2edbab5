#include <dataflow/connectors/sqlite_sink.hpp>

#include <algorithm>
#include <sqlite3.h>

namespace dataflow::detail {

namespace {

/// A name as SQL has it: any characters but a zero byte.
std::string quoted(const std::string& name) {
  std::string out = "\"";
  for (const char c : name) {
    out += c;
    if (c == '"') out += c;
  }
  return out + "\"";
}

template <class Range, class F>
std::string listed(const Range& all, F&& each) {
  std::string out;
  for (auto& one : all)
    out += (out.empty() ? "" : ", ") + each(one);
  return out;
}

} // namespace

struct sqlite_table::impl {
  std::string path, table;
  std::size_t columns = 0;
  sqlite3* database = nullptr;
  sqlite3_stmt* upsert = nullptr;

  ~impl() {
    sqlite3_finalize(upsert);
    sqlite3_close(database);
  }
  [[noreturn]] void fail() const {
    throw error{errc::io_failed, "table '" + table + "' of the SQLite database '" + path +
                                     "' cannot be written: " + (database ? sqlite3_errmsg(database) : "out of memory")};
  }
  void run(const std::string& sql) {
    if (sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail();
  }
  void bind(int at, const sqlite_value& value) {
    int result = SQLITE_OK;
    if (auto* number = std::get_if<std::int64_t>(&value))
      result = sqlite3_bind_int64(upsert, at, *number);
    else if (auto* real = std::get_if<double>(&value))
      result = sqlite3_bind_double(upsert, at, *real);
    else if (auto* text = std::get_if<std::string>(&value))
      result = sqlite3_bind_text64(upsert, at, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
    else
      result = sqlite3_bind_null(upsert, at);
    if (result != SQLITE_OK) fail();
  }
};

sqlite_table::sqlite_table(std::string path, std::string table, std::vector<sqlite_column> columns,
                           std::vector<std::string> keys, const sqlite_sink_options& options)
    : impl_(std::make_unique<impl>()) {
  auto& i = *impl_;
  i.path = std::move(path);
  i.table = std::move(table);
  i.columns = columns.size();
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(i.path.c_str(), &i.database, flags, nullptr) != SQLITE_OK) i.fail();
  sqlite3_busy_timeout(i.database, static_cast<int>(std::min<std::int64_t>(options.busy.count(), 1'000'000'000)));
  const auto name = [](const sqlite_column& c) { return quoted(c.name); };
  if (options.create_table)
    i.run("CREATE TABLE IF NOT EXISTS " + quoted(i.table) + " (" +
          listed(columns, [&](auto& c) { return name(c) + " " + c.type; }) + ", PRIMARY KEY (" + listed(keys, quoted) +
          "))");
  std::vector<sqlite_column> others;
  for (auto& c : columns)
    if (std::find(keys.begin(), keys.end(), c.name) == keys.end()) others.push_back(c);
  const auto sql =
      "INSERT INTO " + quoted(i.table) + " (" + listed(columns, name) + ") VALUES (" +
      listed(columns, [](auto&) { return std::string{"?"}; }) + ") ON CONFLICT (" + listed(keys, quoted) + ") DO " +
      (others.empty() ? "NOTHING"
                      : "UPDATE SET " + listed(others, [&](auto& c) { return name(c) + " = excluded." + name(c); }));
  if (sqlite3_prepare_v2(i.database, sql.c_str(), -1, &i.upsert, nullptr) != SQLITE_OK) i.fail();
}

sqlite_table::~sqlite_table() = default;

void sqlite_table::write(const std::vector<sqlite_value>& values) {
  auto& i = *impl_;
  i.run("BEGIN IMMEDIATE");
  try {
    for (std::size_t at = 0; at < values.size(); at += i.columns) {
      for (std::size_t c = 0; c < i.columns; ++c)
        i.bind(static_cast<int>(c) + 1, values[at + c]);
      if (sqlite3_step(i.upsert) != SQLITE_DONE) i.fail();
      sqlite3_reset(i.upsert);
    }
    i.run("COMMIT");
  } catch (...) {
    sqlite3_reset(i.upsert);
    sqlite3_exec(i.database, "ROLLBACK", nullptr, nullptr, nullptr); // the error on its way says more
    throw;
  }
}

} // namespace dataflow::detail
