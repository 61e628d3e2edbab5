/// A TCP proxy on this machine that does to connections what networks do: delays, trickles, silence, cuts.
///
/// What it is told holds at once, for connections that stand and those that come. It never changes bytes or their
/// order. Threading: has a thread of its own; members are safe from any thread. Ownership: connections end with it.
#pragma once

#include <cstdint>
#include <memory>

namespace dataflow::test {

class faulty_link {
public:
  /// Passes on to a port of this machine; `listen_on`: 0 any free one.
  explicit faulty_link(std::uint16_t target, std::uint16_t listen_on = 0);
  ~faulty_link();
  faulty_link(const faulty_link&) = delete;

  enum class way : std::uint8_t { there, back, both }; ///< there: from who connects to the target
  std::uint16_t port() const noexcept;
  /// Each piece of bytes comes so much later, and up to `jitter` more.
  void delay(unsigned milliseconds, unsigned jitter = 0);
  /// At most so many bytes in a second each way; 0: any number.
  void rate(std::uint64_t bytes_per_second);
  /// Nothing goes through that way, and nobody hears why. What was sent meanwhile comes when it is over: after so many
  /// milliseconds, or with no_hole().
  void hole(way which, unsigned milliseconds = 0);
  void no_hole();
  /// Ends all connections that there are, as a machine does that has forgotten them (RST). Returns how many.
  std::size_t reset();
  /// Connections that have been made so far.
  std::size_t connections() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace dataflow::test
