#include <dataflow/operators/output_tag.hpp>
#include <dataflow/record/hash.hpp>

namespace dataflow::detail {

std::uint64_t output_tag_id(const std::string& name, const record_type& type) {
  if (name.empty())
    throw error{errc::invalid_argument, "an output_tag without a name",
                "name the side output: output_tag<T>{\"late\"}"};
  const auto text = name + '\n' + to_string(type.describe());
  const auto id = hash_bytes(text.data(), text.size());
  return id == 0 ? 1 : id;
}

} // namespace dataflow::detail
