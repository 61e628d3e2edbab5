#include <dataflow/util/error.hpp>
#include <dataflow/util/platform.hpp>

#include <apps/examples/http_shop.hpp>
#include <httplib.h>
#include <map>
#include <mutex>
#include <set>

namespace examples {

namespace {
const std::map<std::string, int> prices{{"tea", 250}, {"coffee", 320}, {"cake", 410}};
}

struct http_shop::impl {
  httplib::Server server;
  int port = 0;
  std::mutex mutex;
  std::set<std::string> asked; // guarded by mutex
  std::unique_ptr<dataflow::thread_factory::thread> thread;
};

http_shop::http_shop() : impl_(std::make_unique<impl>()) {
  auto& shop = *impl_;
  shop.server.Get(R"(/price/(\w+))", [&shop](const httplib::Request& request, httplib::Response& response) {
    const std::string item = request.matches[1];
    bool first = false;
    {
      std::lock_guard lock{shop.mutex};
      first = shop.asked.insert(item).second;
    }
    const auto price = prices.find(item);
    if (price == prices.end()) {
      response.status = 404;
    } else if (first) { // so that there is something to retry
      response.status = 503;
    } else {
      response.set_content(std::to_string(price->second), "text/plain");
    }
  });
  shop.port = shop.server.bind_to_any_port("127.0.0.1");
  if (shop.port <= 0)
    throw dataflow::error{dataflow::errc::connection_failed, "the example's HTTP server found no free port"};
  shop.thread = dataflow::system_platform().threads->start("shop", [&shop] { shop.server.listen_after_bind(); });
  httplib::Client{"127.0.0.1", shop.port}.Get("/"); // from here on it runs, so that it can be stopped
}

http_shop::~http_shop() {
  impl_->server.stop();
  impl_->thread.reset(); // joins
}

std::uint16_t http_shop::port() const noexcept { return static_cast<std::uint16_t>(impl_->port); }

std::shared_ptr<http_shop> http_shop::shared() {
  static std::mutex mutex;
  static std::weak_ptr<http_shop> known;
  std::lock_guard lock{mutex};
  auto shop = known.lock();
  if (!shop) {
    shop.reset(new http_shop);
    known = shop;
  }
  return shop;
}

struct http_client::impl {
  explicit impl(int port) : client("127.0.0.1", port) { client.set_keep_alive(true); }
  httplib::Client client;
};

http_client::http_client(std::uint16_t port) : impl_(std::make_unique<impl>(port)) {}
http_client::http_client(http_client&&) noexcept = default;
http_client::~http_client() = default;

std::int64_t http_client::price_of(const std::string& item) {
  using dataflow::errc;
  using dataflow::error;
  const auto answer = impl_->client.Get("/price/" + item);
  if (!answer) throw error{errc::connection_failed, "the shop: " + httplib::to_string(answer.error())};
  if (answer->status == 404) throw error{errc::invalid_argument, "the shop has no " + item};
  if (answer->status != 200)
    throw error{errc::connection_failed, "the shop answered with status " + std::to_string(answer->status)};
  return std::stoll(answer->body);
}

} // namespace examples
