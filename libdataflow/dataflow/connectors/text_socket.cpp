#include <dataflow/connectors/line_buffer.hpp>
#include <dataflow/connectors/list_enumerator.hpp>
#include <dataflow/connectors/split_reader.hpp>
#include <dataflow/connectors/text_socket.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/network.hpp>
#include <dataflow/util/platform.hpp>

#include <algorithm>
#include <mutex>
#include <optional>

namespace dataflow {

namespace {

using namespace std::chrono_literals;

constexpr auto longest_wait = 50ms; // of one poll: commands of the task are handled in between
constexpr std::size_t read_size = 64u << 10;

struct socket_split {
  std::string id;
  std::string encode() const { return {}; }
  static socket_split decode(const source_split& split) { return {split.id}; }
};

class text_socket_reader final : public split_reader<std::string, socket_split> {
public:
  text_socket_reader(std::string host, std::uint16_t port, const text_socket_options& options)
      : host_(std::move(host)), port_(port), options_(options), lines_(options.delimiter) {}

  void interrupt() noexcept override {
    std::lock_guard lock{mutex_};
    interrupted_ = true;
    if (socket_) socket_->interrupt();
  }
  void close() noexcept override { drop(); }

private:
  poll_result read(socket_split&, source_output<std::string>& out) override {
    limit_ = out.largest_record();
    if (options_.max_line_size > 0) limit_ = std::min(limit_, options_.max_line_size);
    if (failure_) throw *failure_;
    if (ended_) return poll_result::end();
    const auto now = context().platform().clock->now();
    try {
      if (!socket_) {
        if (now < retry_at_) return poll_result::wait_until(retry_at_);
        connect(now);
      }
      if (!connected_ && !finish_connecting(now)) return poll_result::wait_until(now + longest_wait);
      return read_lines(out, now);
    } catch (const error& e) {
      if (e.code() != errc::connection_failed) throw;
      return lost(e, now, out);
    }
  }

  void connect(steady_time now) {
    auto fresh = context().platform().sockets->connect(host_, port_);
    std::lock_guard lock{mutex_};
    socket_ = std::move(fresh);
    if (interrupted_) socket_->interrupt();
    connected_ = false;
    give_up_at_ = now + options_.connect_timeout;
  }

  bool finish_connecting(steady_time now) {
    connected_ = socket_->wait_connected(longest_wait);
    if (!connected_ && now >= give_up_at_)
      throw error{errc::connection_failed,
                  peer() + ": no answer within " + std::to_string(options_.connect_timeout.count()) + " ms"};
    return connected_;
  }

  poll_result read_lines(source_output<std::string>& out, steady_time now) {
    bool any = false;
    for (;;) {
      while (!out.full()) {
        auto line = lines_.next();
        if (!line) break;
        check_length(line->size());
        out.emplace(*line);
        any = true;
      }
      if (out.full()) return poll_result::more();
      check_length(lines_.pending());
      auto result = socket_->read(lines_.space(read_size), read_size, any ? 0ms : longest_wait);
      switch (result.what) {
      case read_result::kind::data:
        lines_.commit(result.size);
        attempt_ = 0;
        break;
      case read_result::kind::nothing:
        return any ? poll_result::more() : poll_result::wait_until(now + longest_wait);
      case read_result::kind::interrupted:
        return poll_result::wait_until(now + longest_wait);
      case read_result::kind::closed:
        closed_in_order_ = true;
        throw error{errc::connection_failed, peer() + ": the server has closed the connection"};
      }
    }
  }

  /// The connection is gone: the end of the input, another try, or the error.
  poll_result lost(const error& why, steady_time now, source_output<std::string>& out) {
    drop();
    if (auto rest = lines_.rest(); !rest.empty()) out.emplace(rest);
    const bool in_order = std::exchange(closed_in_order_, false);
    if (options_.max_retries >= 0 && attempt_ >= options_.max_retries) {
      if (in_order && options_.end_when_closed) {
        ended_ = true;
      } else {
        auto text = why.cause();
        if (options_.max_retries > 0) text += "; gave up after " + std::to_string(options_.max_retries) + " retries";
        failure_ = error{errc::connection_failed, std::move(text),
                         why.advice().empty() ? "start the server again, or allow more retries" : why.advice()};
      }
      return poll_result::more(); // first what was read, then the end or the error
    }
    ++attempt_;
    retry_at_ = now + options_.retry_delay;
    return poll_result::wait_until(retry_at_);
  }

  void drop() noexcept {
    std::lock_guard lock{mutex_};
    socket_.reset();
    connected_ = false;
  }

  void check_length(std::size_t length) const {
    if (length > limit_)
      throw error{errc::record_too_large, peer() + ": a line is longer than " + std::to_string(limit_) + " bytes",
                  "raise taskmanager.record.max-bytes or the source's max_line_size, or check the delimiter"};
  }

  std::string peer() const { return host_ + ":" + std::to_string(port_); }

  std::string host_;
  std::uint16_t port_;
  text_socket_options options_;
  line_buffer lines_;
  std::size_t limit_ = 0; // of a line
  int attempt_ = 0;       // retries since the last data
  steady_time retry_at_ = steady_time::min(), give_up_at_{0};
  bool connected_ = false, closed_in_order_ = false, ended_ = false;
  std::optional<error> failure_;
  std::mutex mutex_; // guards socket_ (changes of the pointer) and interrupted_
  std::unique_ptr<stream_socket> socket_;
  bool interrupted_ = false;
};

std::vector<source_split> one_split(enumerator_context&) { return {{"0", ""}}; }

} // namespace

text_socket_source::text_socket_source(std::string host, std::uint16_t port, text_socket_options options)
    : host_(std::move(host)), port_(port), options_(std::move(options)) {
  if (options_.delimiter.empty())
    throw error{errc::invalid_argument, "a text socket source with an empty delimiter", "use \"\\n\""};
  if (host_.empty() || port_ == 0)
    throw error{errc::invalid_argument, "a text socket source at '" + host_ + ":" + std::to_string(port_) + "'",
                "name the host and a port from 1 to 65535"};
}

std::unique_ptr<source_reader<std::string>> text_socket_source::make_reader() const {
  return std::make_unique<text_socket_reader>(host_, port_, options_);
}

std::unique_ptr<split_enumerator> text_socket_source::make_enumerator() const {
  return std::make_unique<list_enumerator>(one_split, split_assignment::first_come);
}

std::unique_ptr<split_enumerator> text_socket_source::restore_enumerator(const std::string& snapshot) const {
  return std::make_unique<list_enumerator>(one_split, split_assignment::first_come, snapshot);
}

} // namespace dataflow
