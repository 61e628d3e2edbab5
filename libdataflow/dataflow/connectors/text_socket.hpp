/// Lines from a TCP server: an unbounded source for trying things out. Flink: socketTextStream.
///
/// One reader connects, whatever the parallelism. What was read cannot be read again: after a failure lines are lost
/// (at most once). A connection that is refused, breaks or is closed by the server is tried again `max_retries` times
/// in a row with `retry_delay` between; each connection that brings data starts the count anew. Then the source fails
/// with errc::connection_failed, or ends when the server closed in order and end_when_closed is set (Flink always
/// ends). Text behind the last delimiter of a connection is a record of its own.
/// The reader blocks: the engine runs it on a thread of its own.
#pragma once

#include <dataflow/connectors/source.hpp>
#include <dataflow/record/codecs.hpp>

#include <chrono>
#include <memory>
#include <string>

namespace dataflow {

struct text_socket_options {
  std::string delimiter = "\n";                     ///< "\n" takes "\r\n", too
  int max_retries = 0;                              ///< -1: for ever
  std::chrono::milliseconds retry_delay{500};       ///< between two attempts
  std::chrono::milliseconds connect_timeout{10000}; ///< of one attempt
  bool end_when_closed = false;                     ///< the server's orderly close is the end of the input
  /// Bytes; a longer line is errc::record_too_large. At most and, if 0, taskmanager.record.max-bytes.
  std::size_t max_line_size = 0;
};

class text_socket_source final : public source<std::string> {
public:
  /// Throws errc::invalid_argument for an empty delimiter, no host, or port 0.
  text_socket_source(std::string host, std::uint16_t port, text_socket_options options = {});
  boundedness bounds() const noexcept override { return boundedness::unbounded; }
  bool blocking() const noexcept override { return true; }
  std::unique_ptr<source_reader<std::string>> make_reader() const override;
  std::unique_ptr<split_enumerator> make_enumerator() const override;
  std::unique_ptr<split_enumerator> restore_enumerator(const std::string& snapshot) const override;

private:
  std::string host_;
  std::uint16_t port_;
  text_socket_options options_;
};

} // namespace dataflow
