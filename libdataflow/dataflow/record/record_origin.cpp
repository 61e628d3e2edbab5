#include <dataflow/record/record_origin.hpp>

namespace dataflow {

std::string record_origin::to_string() const {
  if (under_way) return "record " + described + " to operator \"" + name + "\" at the checkpoint";
  auto text = records == 1 ? std::string{"the record"} : "one of the " + std::to_string(records) + " records";
  if (!described.empty()) text += " at " + described;
  if (!split.empty()) text += " of split \"" + split + "\"";
  return text + " of source \"" + name + "\"";
}

} // namespace dataflow
