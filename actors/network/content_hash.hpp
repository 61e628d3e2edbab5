/// What a blob is called by: SHA-256 of its content.
///
/// Threading: not shared between threads; functions are pure.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace dataflow::actors {

class content_hasher {
public:
  content_hasher();
  ~content_hasher();
  content_hasher(const content_hasher&) = delete;
  void add(std::string_view bytes);
  /// 64 hexadecimal digits. REQUIRES: called once, at the end.
  std::string finish();

private:
  struct state;
  std::unique_ptr<state> state_;
};

std::string content_hash(std::string_view bytes);
/// Whether a text has the form of a hash, so that it can be part of a file's name.
bool is_content_hash(std::string_view text) noexcept;

} // namespace dataflow::actors
