#include <dataflow/actors/network/artifact_store.hpp>
#include <dataflow/actors/network/content_hash.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/faulty_file_system.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <doctest/doctest.h>

#include <tests/support/error_of.hpp>

using namespace dataflow;
using namespace dataflow::actors;
using test::error_of;

namespace {

const std::string content(1000, 'x');

struct stored {
  memory_file_system files;
  artifact_store store{files, "/blobs", 100'000};
  std::string hash = content_hash(content);
  std::size_t names() { return files.exists("/blobs") ? files.list("/blobs").size() : 0; }
};

} // namespace

TEST_CASE("SHA-256 of known texts") {
  CHECK(content_hash("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(content_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(is_content_hash(content_hash("abc")));
  CHECK_FALSE(is_content_hash("abc"));
  CHECK_FALSE(is_content_hash(std::string(64, 'G')));
  CHECK_FALSE(is_content_hash("../" + content_hash("abc").substr(3)));
}

TEST_CASE("a library that came in pieces is there as a whole, under its hash") {
  stored s;
  CHECK(s.store.find(s.hash) == artifact_store::state{false, 0});
  CHECK(s.store.append(s.hash, 1000, 0, content.substr(0, 400)) == artifact_store::state{false, 400});
  CHECK(s.store.find(s.hash) == artifact_store::state{false, 400});
  CHECK(s.store.append(s.hash, 1000, 400, content.substr(400)) == artifact_store::state{true, 1000});
  CHECK(s.store.find(s.hash) == artifact_store::state{true, 1000});
  CHECK(s.files.read_file(s.store.path(s.hash)) == content);
  CHECK(s.names() == 1);
  std::uint64_t size = 0;
  CHECK(s.store.read(s.hash, 990, 400, size) == content.substr(990));
  CHECK(size == 1000);
}

TEST_CASE("two clients that upload the same library help each other") {
  stored s;
  s.store.append(s.hash, 1000, 0, content.substr(0, 400));
  CHECK(s.store.append(s.hash, 1000, 0, content.substr(0, 300)) == artifact_store::state{false, 400}); // the other one
  CHECK(s.store.append(s.hash, 1000, 400, content.substr(400, 300)) == artifact_store::state{false, 700});
  CHECK(s.store.append(s.hash, 1000, 400, content.substr(400, 300)) == artifact_store::state{false, 700});
  CHECK(s.store.append(s.hash, 1000, 700, content.substr(700)).complete);
  CHECK(s.store.append(s.hash, 1000, 700, content.substr(700)).complete);
}

TEST_CASE("who gives another size for a library does not disturb the one that uploads it") {
  stored s;
  s.store.append(s.hash, 1000, 0, content.substr(0, 400));
  CHECK(error_of([&] { s.store.append(s.hash, 2000, 400, content.substr(400)); }).code() == errc::invalid_argument);
  CHECK(s.store.find(s.hash) == artifact_store::state{false, 400});
  CHECK(s.store.append(s.hash, 1000, 400, content.substr(400)).complete);
}

TEST_CASE("what is kept is found by the next store") {
  stored s;
  s.store.append(s.hash, 1000, 0, content);
  artifact_store next{s.files, "/blobs", 100'000};
  CHECK(next.find(s.hash).complete);
}

TEST_CASE("content of another hash, too much of it and names that are no hash are refused, and nothing stays") {
  stored s;
  const auto wrong = content_hash("something else");
  CHECK(error_of([&] { s.store.append(wrong, 1000, 0, content); }).code() == errc::invalid_argument);
  CHECK_FALSE(s.store.find(wrong).complete);
  const auto large = error_of([&] { s.store.append(wrong, 1 << 30, 0, content); });
  CHECK(large.cause().find("1073741824") != std::string::npos);
  CHECK(large.advice().find("blob.max-size") != std::string::npos);
  CHECK(error_of([&] { s.store.append(s.hash, 500, 0, content); }).code() == errc::invalid_argument);
  CHECK(error_of([&] { s.store.append("../passwd", 1000, 0, content); }).code() == errc::invalid_argument);
  CHECK(error_of([&] { s.store.path(wrong); }).code() == errc::file_not_found);
  CHECK(s.names() == 0);
}

TEST_CASE("a full disk is said, and what was uploaded is removed") {
  memory_file_system files;
  faulty_file_system disk{files};
  artifact_store store{disk, "/blobs", 100'000};
  const auto hash = content_hash(content);
  store.append(hash, 1000, 0, content.substr(0, 400));
  disk.disk_full_after(100);
  CHECK(error_of([&] { store.append(hash, 1000, 400, content.substr(400)); }).code() == errc::disk_full);
  CHECK(files.list("/blobs").empty());
  disk.heal();
  CHECK(store.find(hash) == artifact_store::state{false, 0});
  CHECK(store.append(hash, 1000, 0, content).complete);
}
