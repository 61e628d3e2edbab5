#include <dataflow/connectors/text_file.hpp>
#include <dataflow/util/faulty_file_system.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <tests/support/error_of.hpp>
#include <tests/support/source_harness.hpp>
#include <tests/support/temporary_directory.hpp>

using namespace dataflow;
using dataflow::test::error_of;
using harness = test::source_harness<std::string>;
using lines = std::vector<std::string>;

namespace {

lines sorted(lines l) {
  std::sort(l.begin(), l.end());
  return l;
}

/// The slow and obvious way.
lines lines_of(std::string_view text) {
  lines out;
  while (!text.empty()) {
    auto end = text.find('\n');
    auto line = text.substr(0, end);
    if (end != std::string_view::npos && !line.empty() && line.back() == '\r') line.remove_suffix(1);
    out.emplace_back(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return out;
}

std::string random_text(random_source& random, std::size_t size) {
  std::string text;
  while (text.size() < size) {
    switch (random.below(8)) {
    case 0:
      text += '\n';
      break;
    case 1:
      text += "\r\n";
      break;
    case 2:
      text += '\r';
      break;
    case 3:
      text += static_cast<char>(random.below(256)); // any byte: 0 and invalid UTF-8, too
      break;
    default:
      text.append(random.below(12), static_cast<char>('a' + random.below(26)));
    }
  }
  return text;
}

lines read(const text_file_source& source, std::uint32_t parallelism, test::test_platform& world) {
  harness h{source, parallelism, world};
  h.run();
  return h.records();
}

} // namespace

TEST_CASE("lines end at a newline or at carriage return and newline; the last one needs no end") {
  test::test_platform world;
  auto read_text = [&](std::string_view text) {
    world.disk.write_file("/f", text);
    return read(text_file_source{"/f"}, 1, world);
  };
  CHECK(read_text("a\nb\r\n\n c\n") == lines{"a", "b", "", " c"});
  CHECK(read_text("a\nb") == lines{"a", "b"});
  CHECK(read_text("\n") == lines{""});
  CHECK(read_text("\r\n\r\n") == lines{"", ""});
  CHECK(read_text("a\rb\r\r\nc\r") == lines{"a\rb\r", "c\r"});
  CHECK(read_text("").empty());
  CHECK(read_text(std::string_view{"nul \0 and \xff\xfe\xc3\n", 14}) ==
        lines{std::string{"nul \0 and \xff\xfe\xc3", 13}});
}

TEST_CASE("the readers' lines together are the files' lines, for any text, range and block size, and any faults") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    random_source random{seed};
    test::test_platform world;
    world.disk.create_directories("/in/sub");
    lines expected;
    const char* names[] = {"/in/a", "/in/b", "/in/sub/c"};
    for (auto* name : names) {
      auto text = random_text(random, random.below(3000));
      world.disk.write_file(name, text);
      auto more = lines_of(text);
      expected.insert(expected.end(), more.begin(), more.end());
    }
    text_file_options options;
    options.split_size = 1 + random.below(400);
    options.read_size = 1 + random.below(300);
    text_file_source source{"/in", options};
    const auto parallelism = static_cast<std::uint32_t>(1 + random.below(4));
    harness first{source, parallelism, world, {1 + random.below(50), 1 + random.below(2000)}};
    first.run_some(random, random.below(40));
    auto snapshot = first.snapshot();
    first.run_some(random, random.below(40));
    first.kill(static_cast<std::uint32_t>(random.below(parallelism)));
    first.run();
    CHECK(sorted(first.records()) == sorted(expected));

    harness second{source, static_cast<std::uint32_t>(1 + random.below(4)), world, snapshot};
    second.run();
    CHECK(sorted(second.records()) == sorted(expected));
  }
}

TEST_CASE("files are read in the order of their names, ranges in the order of the file") {
  test::test_platform world;
  world.disk.create_directories("/in");
  world.disk.write_file("/in/b", "3\n4\n");
  world.disk.write_file("/in/a", "1\n2\n");
  world.disk.write_file("/in/.hidden", "no\n");
  CHECK(read(text_file_source{"/in", {.split_size = 2}}, 1, world) == lines{"1", "2", "3", "4"});
  CHECK(read(text_file_source{lines{"/in/b", "/in/a", "/in/b"}}, 1, world) == lines{"3", "4", "1", "2", "3", "4"});
}

TEST_CASE("one large file is shared by the readers, small files are not cut") {
  test::test_platform world;
  std::string text;
  while (text.size() < (9u << 20))
    text += "a line of a large file, number " + std::to_string(text.size()) + "\n";
  world.disk.write_file("/large", text);
  text_file_source source{"/large"};
  harness large{source, 2, world};
  large.run();
  CHECK(large.splits_assigned() >= 8);
  CHECK(large.records_of(0).size() > 0);
  CHECK(large.records_of(1).size() > 0);
  CHECK(sorted(large.records()) == sorted(lines_of(text)));

  world.disk.write_file("/small", std::string(1u << 20, '\n'));
  text_file_source small_source{"/small"};
  harness small{small_source, 8, world};
  CHECK(small.splits_assigned() == 1);
}

TEST_CASE("a missing or unreadable file and a directory for a file are errors at the start") {
  test::test_platform world;
  world.disk.create_directories("/in");
  world.disk.write_file("/in/good", "x\n");
  auto start = [&](const std::string& path, text_file_options options = {}) {
    text_file_source source{path, options};
    return error_of([&] { harness h{source, 1, world}; });
  };
  auto missing = start("/in/missing");
  CHECK(missing.code() == errc::file_not_found);
  CHECK(missing.cause().find("/in/missing") != std::string::npos);
  CHECK_FALSE(missing.advice().empty());
  CHECK(start("/in", {.directories = false}).code() == errc::not_a_file);
  CHECK(start("/in").code() == errc::none);
  world.disk.write_file("/in/secret", "x\n");
  world.disk.make_unreadable("/in/secret");
  auto secret = start("/in");
  CHECK(secret.code() == errc::permission_denied);
  CHECK(secret.cause().find("/in/secret") != std::string::npos);
  CHECK(error_of([] { text_file_source{lines{}}; }).code() == errc::invalid_argument);
}

TEST_CASE("a file that vanishes or shrinks under the job is an error that names it") {
  test::test_platform world;
  world.disk.write_file("/f", "one\ntwo\nthree\n");
  text_file_source source{"/f", {.split_size = 4}};
  harness vanished{source, 1, world};
  world.disk.remove("/f");
  CHECK(error_of([&] { vanished.run(); }).code() == errc::file_not_found);

  world.disk.write_file("/f", "one\ntwo\nthree\n");
  harness shrunk{source, 1, world};
  world.disk.write_file("/f", "one\n");
  auto e = error_of([&] { shrunk.run(); });
  CHECK(e.code() == errc::io_failed);
  CHECK(e.cause().find("'/f' became shorter") != std::string::npos);

  faulty_file_system faulty{world.disk};
  world.files = &faulty;
  harness broken{source, 1, world};
  faulty.fail_call(faulty_file_system::call::read, 1);
  CHECK(error_of([&] { broken.run(); }).code() == errc::io_failed);
}

TEST_CASE("a line above the limit is an error that names file and offset; one at the limit is fine") {
  test::test_platform world;
  text_file_source source{"/f", {.max_line_size = 1000, .read_size = 64}};
  for (auto* end : {"", "\n", "\r\n", "\nnext\n"}) {
    CAPTURE(end);
    world.disk.write_file("/f", "first\n" + std::string(1000, 'x') + end);
    auto got = read(source, 2, world);
    CHECK(got.size() >= 2);
    CHECK(got[1].size() == 1000);
    world.disk.write_file("/f", "first\n" + std::string(1001, 'x') + end);
    auto e = error_of([&] { read(source, 2, world); });
    CHECK(e.code() == errc::record_too_large);
    CHECK(e.cause().find("byte 6 of '/f'") != std::string::npos);
  }
}

TEST_CASE("the configured largest record is the longest line unless the source says otherwise") {
  test::test_platform world;
  world.disk.write_file("/f", std::string(100, 'x'));
  batch_limits limits;
  limits.record_bytes = 99;
  text_file_source source{"/f"};
  harness h{source, 1, world, limits};
  CHECK(error_of([&] { h.run(); }).code() == errc::record_too_large);
  limits.record_bytes = 100;
  harness fits{source, 1, world, limits};
  fits.run();
  CHECK(fits.records().size() == 1);
}

TEST_CASE("a line of 100 MB stops at the limit without being read to its end") {
  test::temporary_directory directory;
  const auto path = directory / "long";
  {
    auto file = system_files().open_write(path, write_mode::truncate);
    const std::string block(1u << 20, 'x');
    for (int i = 0; i < 100; ++i)
      file->append(block);
  }
  test::test_platform world;
  world.files = &system_files();
  text_file_source source{path};
  auto e = error_of([&] { read(source, 2, world); });
  CHECK(e.code() == errc::record_too_large);
  CHECK(e.cause().find("byte 0 of '" + path + "' is longer than 67108864 bytes") != std::string::npos);
  batch_limits limits;
  limits.record_bytes = 100u << 20;
  harness h{source, 2, world, limits};
  h.run();
  CHECK(h.records().front().size() == 100u << 20);
}
