// A job library of a user's own, against an installed copy.
#include <dataflow/dataflow.hpp>

namespace dataflow {
int visible_to_nobody_else() { return 1; }
} // namespace dataflow

DATAFLOW_JOB(out_of_tree) {
  env.from_elements<std::int64_t>({1, 2, 3})
      .map([factor = args.get("factor", 10)](std::int64_t n) { return n * factor; })
      .print();
}
