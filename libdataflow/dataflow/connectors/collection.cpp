#include <dataflow/connectors/collection.hpp>
#include <dataflow/util/error.hpp>

namespace dataflow::detail {

std::string collection_split::encode() const {
  byte_writer out;
  out.varint(next);
  return out.take();
}

collection_split collection_split::decode(const source_split& split) {
  byte_reader in{split.payload};
  return {split.id, in.varint()};
}

std::unique_ptr<split_enumerator> collection_enumerator(const std::string* snapshot) {
  auto discover = [](enumerator_context&) {
    collection_split all{"0", 0};
    return std::vector<source_split>{{all.id, all.encode()}};
  };
  if (snapshot != nullptr) return std::make_unique<list_enumerator>(discover, split_assignment::first_come, *snapshot);
  return std::make_unique<list_enumerator>(discover, split_assignment::first_come);
}

void collection_changed(std::uint64_t next, std::size_t size) {
  throw error{errc::malformed_record,
              "the collection was read up to record " + std::to_string(next) + ", but has only " +
                  std::to_string(size) + " records now",
              "a job that goes on from a snapshot must build the same collection"};
}

} // namespace dataflow::detail
