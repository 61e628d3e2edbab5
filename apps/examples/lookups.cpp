// Enriches orders with asynchronous look-ups: the customer's name from SQLite, the item's price from an HTTP server on
// loopback that the example brings along.
//   dataflow run lookups [--orders N]
// The shop answers the first question for each item with 503, so requests are retried; it does not sell soup, so orders
// of soup leave by the side output for failures.
#include <dataflow/dataflow.hpp>

#include <apps/examples/http_shop.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <sqlite3.h>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

struct shop_order {
  std::int64_t number = 0, customer = 0;
  std::string item, name; // of the customer, once it is known
};

} // namespace
DATAFLOW_RECORD(shop_order, number, customer, item, name);

namespace {

/// Threads that do blocking work for a task. Destroying it finishes what has been asked for.
class workers {
public:
  /// make(): what one thread needs; jobs get a pointer to it.
  template <class Make>
  workers(thread_factory& threads, int count, Make make) {
    for (int i = 0; i < count; ++i)
      threads_.push_back(threads.start("look-up", [this, make] {
        auto tool = make();
        for (std::function<void(void*)> next; take(next);)
          next(&tool);
      }));
  }
  ~workers() {
    {
      std::lock_guard lock{mutex_};
      ended_ = true;
    }
    changed_.notify_all();
  }
  void add(std::function<void(void*)> job) {
    {
      std::lock_guard lock{mutex_};
      jobs_.push_back(std::move(job));
    }
    changed_.notify_one();
  }

private:
  bool take(std::function<void(void*)>& next) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return ended_ || !jobs_.empty(); });
    if (jobs_.empty()) return false;
    next = std::move(jobs_.front());
    jobs_.pop_front();
    return true;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void(void*)>> jobs_;
  bool ended_ = false;
  std::vector<std::unique_ptr<thread_factory::thread>> threads_; // last: joined before the rest goes
};

/// A database in memory with the customers. One per thread: SQLite's connections are not shared.
class customers {
public:
  customers() {
    sqlite3* opened = nullptr;
    check(sqlite3_open(":memory:", &opened), opened);
    database_.reset(opened);
    run("CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL)");
    run("INSERT INTO customer VALUES (0, 'Ada'), (1, 'Grace'), (2, 'Edsger')");
  }
  std::string name_of(std::int64_t id) {
    sqlite3_stmt* made = nullptr;
    check(sqlite3_prepare_v2(database_.get(), "SELECT name FROM customer WHERE id = ?", -1, &made, nullptr), nullptr);
    const std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> query{made, &sqlite3_finalize};
    sqlite3_bind_int64(query.get(), 1, id);
    if (sqlite3_step(query.get()) != SQLITE_ROW)
      throw error{errc::invalid_argument, "no customer has the number " + std::to_string(id)};
    return reinterpret_cast<const char*>(sqlite3_column_text(query.get(), 0));
  }

private:
  struct closing {
    void operator()(sqlite3* d) const noexcept { sqlite3_close(d); }
  };
  void check(int code, sqlite3* opened) {
    if (code == SQLITE_OK) return;
    const std::string why = sqlite3_errstr(code);
    sqlite3_close(opened);
    throw error{errc::io_failed, "SQLite: " + why};
  }
  void run(const char* sql) { check(sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr), nullptr); }
  std::unique_ptr<sqlite3, closing> database_;
};

/// Blocking look-ups on threads of their own: Tool is what a thread needs, ask(tool, record) -> answer.
template <class Tool, class O, class Make, class Ask>
struct blocking_lookup {
  Make make;
  Ask ask;
  int threads = 2;
  std::shared_ptr<workers> pool = {};
  void open(runtime_context& context) {
    pool = std::make_shared<workers>(*context.platform().threads, threads, make());
  }
  void close() { pool.reset(); }
  void operator()(const shop_order& order, async_result<O> result) {
    pool->add([order, result, ask = ask](void* tool) {
      try {
        result.complete_with(ask(*static_cast<Tool*>(tool), order));
      } catch (...) {
        result.fail(current_error());
      }
    });
  }
};

template <class Tool, class O, class Make, class Ask>
auto lookup(Make make, Ask ask) {
  return blocking_lookup<Tool, O, Make, Ask>{make, ask};
}

std::string as_line(const shop_order& o, std::int64_t cents) {
  return "order " + std::to_string(o.number) + ": " + o.name + " pays " + std::to_string(cents) + " cents for " +
         o.item;
}

} // namespace

DATAFLOW_JOB(lookups) {
  const auto count = args.get("orders", std::int64_t{12});
  const output_tag<async_failure<shop_order>> failed{"failed"};

  const auto orders = env.sequence(1, count).map([](const std::int64_t& n) {
    static const char* const items[] = {"tea", "coffee", "cake", "soup"};
    return shop_order{n, n % 3, items[n % 4], {}};
  });
  const auto named = async::unordered(orders,
                                      lookup<customers, shop_order>([] { return [] { return customers{}; }; },
                                                                    [](customers& database, shop_order o) {
                                                                      o.name = database.name_of(o.customer);
                                                                      return o;
                                                                    }),
                                      {.timeout = 30s, .capacity = 20})
                         .name("Customer");
  const auto make_client = [] {
    return [shop = examples::http_shop::shared()] { return std::pair{shop, examples::http_client{shop->port()}}; };
  };
  using client = std::pair<std::shared_ptr<examples::http_shop>, examples::http_client>;
  const auto priced =
      async::unordered(
          named,
          lookup<client, std::string>(
              make_client, [](client& c, const shop_order& o) { return as_line(o, c.second.price_of(o.item)); }),
          {.timeout = 30s,
           .capacity = 20,
           .retry = fixed_delay{3, 20ms},
           .retry_on_error = [](const error& e) { return e.code() == errc::connection_failed; },
           .failures = failed})
          .name("Price");
  priced
      .union_with(priced.side_output(failed).map([](const async_failure<shop_order>& f) {
        return "order " + std::to_string(f.first.number) + ": " + f.second;
      }))
      .print();
}
