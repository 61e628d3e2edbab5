// Types with an operator<<, in a file of their own: whether <ostream> is included must not matter.
#include <dataflow/connectors/print_format.hpp>

#include <doctest/doctest.h>

#include <iomanip>
#include <ostream>

namespace print_stream_test {

struct money {
  std::int64_t cents = 0;
  friend std::ostream& operator<<(std::ostream& out, const money& m) {
    return out << m.cents / 100 << '.' << std::setw(2) << std::setfill('0') << m.cents % 100;
  }
};

struct bill {
  std::string customer;
  money total;
};

} // namespace print_stream_test

DATAFLOW_RECORD(print_stream_test::money, cents);
DATAFLOW_RECORD(print_stream_test::bill, customer, total);

using namespace print_stream_test;

TEST_CASE("a type's own operator<< wins over its fields") {
  CHECK(dataflow::to_text(money{1205}) == "12.05");
  CHECK(dataflow::to_text(bill{"ann", {1205}}) == "{ann, 12.05}");
  CHECK(dataflow::to_text(std::vector<money>{{100}, {5}}) == "[1.00, 0.05]");
}

namespace print_stream_test {
struct hex {
  int value;
  friend std::ostream& operator<<(std::ostream& out, const hex& h) { return out << std::hex << h.value; }
};
struct plain {
  int value;
  friend std::ostream& operator<<(std::ostream& out, const plain& p) { return out << p.value; }
};
} // namespace print_stream_test

TEST_CASE("what an operator<< sets on the stream does not reach the next record") {
  CHECK(dataflow::to_text(hex{255}) == "ff");
  CHECK(dataflow::to_text(plain{255}) == "255");
}
