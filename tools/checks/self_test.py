"""The checks notice what they are there for: each rule is broken once, in text that never reaches a file of the tree."""
import json
import os
import sys
import tempfile
import unittest

import headers
import includes
import operator_table
import tree
from tree_files import code_of, includes_of


def found(path, text):
    return list(includes.problems_of(path, text))


class include_directions(unittest.TestCase):
    def test_an_arrow_up(self):
        self.assertTrue(found("libdataflow/dataflow/record/a.hpp", "#include <dataflow/operators/operator.hpp>\n"))
        self.assertTrue(found("libdataflow/dataflow/util/a.hpp", "#include <dataflow/dataflow.hpp>\n"))
        self.assertTrue(found("libdataflow/dataflow/api/a.cpp", "#include <dataflow/actors/client.hpp>\n"))
        self.assertTrue(found("actors/client/a.cpp", "#include <apps/dataflow/command.hpp>\n"))

    def test_an_arrow_down(self):
        self.assertFalse(found("libdataflow/dataflow/api/a.hpp", "#include <dataflow/util/error.hpp>\n"))
        self.assertFalse(found("actors/client/a.cpp", "#include <dataflow/api/environment.hpp>\n"))

    def test_an_exception_is_one_header(self):
        self.assertFalse(found("libdataflow/dataflow/record/a.hpp", "#include <dataflow/time/timestamp.hpp>\n"))
        self.assertTrue(found("libdataflow/dataflow/record/a.hpp", "#include <dataflow/time/timers.hpp>\n"))

    def test_a_module_outside_the_table(self):
        self.assertTrue(found("libdataflow/dataflow/misc/a.hpp", ""))

    def test_third_party(self):
        self.assertTrue(found("libdataflow/dataflow/util/a.cpp", '#include "caf/all.hpp"\n'))
        self.assertTrue(found("libdataflow/dataflow/api/a.cpp", "#include <rocksdb/db.h>\n"))
        self.assertFalse(found("libdataflow/dataflow/state/a.cpp", "#include <rocksdb/db.h>\n"))

    def test_a_heavy_header(self):
        self.assertTrue(found("libdataflow/dataflow/util/a.hpp", "#include <iostream>\n"))
        self.assertFalse(found("libdataflow/dataflow/util/a.cpp", "#include <iostream>\n"))

    def test_the_outside_world(self):
        self.assertTrue(found("actors/a.cpp", "auto t = std::chrono::steady_clock::now();\n"))
        self.assertTrue(found("actors/a.cpp", "std::random_device d;\n"))
        self.assertTrue(found("libdataflow/dataflow/time/a.hpp", "auto n = typeid(T).name();\n"))
        self.assertTrue(found("actors/a.cpp", "std::thread t{f};\n"))
        self.assertTrue(found("tests/unit/a_test.cpp", "std::this_thread::sleep_for(1s);\n"))
        self.assertTrue(found("actors/a.cpp", "const auto child = ::fork();\n"))
        self.assertFalse(found("apps/dataflow/a.cpp", "::posix_spawn(&child, p, a, b, c, d);\n"))
        self.assertFalse(found("actors/a.cpp", "// not std::thread, nor sleep_for\nauto s = \"usleep\";\n"))
        self.assertFalse(found("actors/a.cpp", "std::thread::id owner;\n"))

    def test_the_table_has_no_cycle(self):
        self.assertIsNone(includes.table_cycle())


class text_of_the_tree(unittest.TestCase):
    def problems(self, path, text, built=()):
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
            with open(os.path.join(root, "compile_commands.json"), "w", encoding="utf-8") as file:
                json.dump([{"directory": root, "file": f} for f in built], file)
            return [*tree.unbuilt_tests(root, root), *tree.misplaced_tests(root), *tree.text_problems(root)]

    def test_a_test_that_nobody_builds(self):
        self.assertTrue(self.problems("tests/other/a_test.cpp", ""))
        self.assertFalse(self.problems("tests/unit/a_test.cpp", "", built=["tests/unit/a_test.cpp"]))
        self.assertTrue(self.problems("libdataflow/dataflow/util/a_test.cpp", ""))

    def test_a_test_that_is_compiled_with_others(self):
        with tempfile.TemporaryDirectory() as root:
            for path in ("tests/unit/a_test.cpp", "tests/unit/b_test.cpp", "build/Unity/unit_tests_g0.cpp"):
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write('#include "tests/unit/b_test.cpp"\n' if "Unity" in path else "")
            with open(os.path.join(root, "build", "compile_commands.json"), "w", encoding="utf-8") as file:
                json.dump([{"directory": root, "file": "build/Unity/unit_tests_g0.cpp"}], file)
            problems = list(tree.unbuilt_tests(root, os.path.join(root, "build")))
            self.assertEqual(len(problems), 1)
            self.assertIn("a_test.cpp", problems[0])

    def test_a_path_of_a_machine(self):
        self.assertTrue(self.problems("docs/a.md", "see /home/someone/dataflow\n"))
        self.assertTrue(self.problems("tools/a", "cd " + "/".join(["", "work", "main"]) + "\n"))
        self.assertFalse(self.problems("docs/a.md", "see docs/work/main and /usr/share/common-licenses\n"))

    def test_a_host(self):
        self.assertTrue(self.problems("tools/a.sh", "deb http://" + ".".join(["deb", "debian", "org"]) + "/debian\n"))

    def test_unfinished_work_and_long_files(self):
        self.assertTrue(self.problems("actors/a.cpp", "// TODO\n"))
        self.assertTrue(self.problems("actors/a.cpp", "\n" * 601))
        self.assertFalse(self.problems("actors/a.cpp", "\n" * 600))


class chains_of_headers(unittest.TestCase):
    def chains(self, **reached):
        return sorted(headers.chains(list(reached), lambda h: frozenset(reached[h])))

    def test_a_header_stands_behind_what_it_includes_only(self):
        self.assertEqual(self.chains(a="", b="a", c="ab"), [["a", "b", "c"]])
        self.assertEqual(len(self.chains(a="", b="a", c="a")), 2)
        self.assertEqual(self.chains(a="", b=""), [["a"], ["b"]])

    def test_as_few_as_can_be(self):
        self.assertEqual(self.chains(a="", b="", c="ab", d="a"), [["a", "d"], ["b", "c"]])

    def test_a_circle_gets_no_help(self):
        self.assertEqual(self.chains(a="", b="abc", c="abc"), [["a"], ["b"], ["c"]])


class rows_of_operators(unittest.TestCase):
    OPERATOR = ("class summing final : public stream_operator {\n  void open(operator_context& context) override {\n"
                "    context.states().declare(sum_);\n  }\n};\n")

    def problems(self, source, table="", stateless=()):
        return list(operator_table.problems_of([source], [table], frozenset(stateless)))

    def test_an_operator_without_a_row(self):
        self.assertTrue(self.problems(self.OPERATOR))
        self.assertTrue(self.problems(self.OPERATOR, "// summing\n"))
        self.assertFalse(self.problems(self.OPERATOR, 'add("summing");\n'))

    def test_one_that_derives_from_a_base_of_several(self):
        base = "class folding : public stream_operator {};\n"
        derived = "template <class T>\nclass least final : public detail::folding {};\n"
        self.assertTrue(self.problems(base + derived))
        self.assertFalse(self.problems(base + derived, 'add("least");\n'))

    def test_one_that_is_said_to_remember_nothing(self):
        self.assertTrue(self.problems(self.OPERATOR, stateless=["summing"]))
        part = "class f final : public stream_operator {\n  void open(operator_context& context) { sum_.open(context); }\n};\n"
        self.assertTrue(self.problems(part, stateless=["f"]))
        self.assertFalse(self.problems("class f final : public stream_operator {};\n", stateless=["f"]))
        self.assertTrue(self.problems("", stateless=["f"]))


class reading_code(unittest.TestCase):
    def test_comments_and_literals_are_blank(self):
        self.assertEqual(code_of("a /* b\n */ c // d\n").split(), ["a", "c"])
        self.assertEqual(code_of("f(\"x // y\", 'z', 1'000);\n").count("1 000"), 1)
        self.assertNotIn("sleep", code_of('R"(sleep")";'))

    def test_includes(self):
        self.assertEqual(includes_of('// #include <a>\n#include "b.hpp"\n  # include <c/d.hpp> // e\n'),
                         [(2, "b.hpp"), (3, "c/d.hpp")])


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main(verbosity=1)
