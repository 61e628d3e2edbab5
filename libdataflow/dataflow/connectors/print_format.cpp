#include <dataflow/connectors/print_format.hpp>

#include <ostream>
#include <streambuf>

namespace dataflow::detail {

namespace {

class appending_buffer final : public std::streambuf {
public:
  std::string text;

protected:
  int_type overflow(int_type c) override {
    if (c != traits_type::eof()) text += static_cast<char>(c);
    return c;
  }
  std::streamsize xsputn(const char* from, std::streamsize n) override {
    text.append(from, static_cast<std::size_t>(n));
    return n;
  }
};

struct thread_stream {
  appending_buffer buffer;
  std::ostream stream{&buffer};
};

thread_stream& this_threads() {
  static thread_local thread_stream instance;
  return instance;
}

} // namespace

text_stream::text_stream(std::string& out) : out_(out) {
  auto& mine = this_threads();
  mine.stream.clear();
  mine.stream.copyfmt(std::ios{nullptr}); // what the last operator<< left behind is none of ours
  std::swap(mine.buffer.text, out_);
}

text_stream::~text_stream() { std::swap(this_threads().buffer.text, out_); }

std::ostream& text_stream::stream() noexcept { return this_threads().stream; }

} // namespace dataflow::detail
