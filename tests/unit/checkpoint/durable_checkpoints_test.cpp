// What is left of a job's checkpoints when the power fails, or a removal ends half-way.
#include <dataflow/util/faulty_file_system.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <doctest/doctest.h>

#include <string>
#include <tests/support/checkpoint_samples.hpp>
#include <tests/support/error_of.hpp>

using namespace dataflow;

namespace durable_checkpoints_test {

object_handle shared_object(checkpoint_objects& storage, const std::string& directory) {
  auto out = storage.create(directory, object_scope::shared, "o");
  out->append(std::string(300'000, 'x'));
  return out->finish();
}

/// Everything that it names is there, and is what was written.
void check_whole(file_system& files, const std::string& directory) {
  file_checkpoint_storage storage{files, "/c", "job", 9};
  checkpoint_metadata m;
  REQUIRE_NOTHROW(m = storage.read(directory));
  CHECK_NOTHROW(verify_checkpoint(storage, directory, m, verification::content));
}

} // namespace durable_checkpoints_test
using namespace durable_checkpoints_test;

TEST_CASE("a checkpoint and a savepoint that have been published are there when the power fails") {
  for (const std::uint64_t threshold : {0, 20 * 1024}) { // all in files of their own; small ones in the metadata
    CAPTURE(threshold);
    memory_file_system files;
    files.remember_synced();
    std::string checkpoint, savepoint;
    {
      file_checkpoint_storage storage{files, "/c", "job", 1, threshold};
      storage.take_over(1);
      const auto publish = [&](const std::string& directory, std::uint64_t id) {
        auto m = test::write_sample(storage, directory, id, 1);
        if (parent_directory(directory) == "/c/job") m.subtasks[0].shared.push_back(shared_object(storage, directory));
        storage.publish(directory, m);
        return directory;
      };
      checkpoint = publish(storage.begin(1), 1);
      savepoint = publish(storage.begin_savepoint("/savepoints/of/mine", "job", 7), 2);
    }
    files.lose_power();
    check_whole(files, checkpoint);
    check_whole(files, savepoint);
  }
}

TEST_CASE("a checkpoint whose removal ends half-way is whole, or is none") {
  std::size_t broken_off = 0;
  for (std::uint64_t k = 1;; ++k) {
    CAPTURE(k);
    memory_file_system memory;
    faulty_file_system files{memory};
    file_checkpoint_storage storage{files, "/c", "job", 1, 0};
    storage.take_over(1);
    const auto directory = storage.begin(1);
    auto m = test::write_sample(storage, directory, 1, 1);
    auto first = storage.create(directory, object_scope::exclusive, "A"); // its name is before that of the metadata
    first->append("x");
    m.subtasks[0].shared.push_back(first->finish());
    storage.publish(directory, m);
    check_whole(memory, directory);
    files.fail_from(k);
    const auto e = test::error_of([&] { storage.remove_checkpoint(directory); });
    files.heal();
    if (!e) break;
    ++broken_off;
    if (memory.exists(directory + "/_metadata")) check_whole(memory, directory);
  }
  CHECK(broken_off > 3);
}
