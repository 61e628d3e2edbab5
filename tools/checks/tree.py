"""Every test source is built, no file knows the machine it was written on, and nothing grows without bound.
Usage: tree.py BINARY_DIR [ROOT]
"""
import json
import os
import re
import sys

from tree_files import ROOT, files, read

# Sources under tests/ that some other build compiles.
BUILT_BY_A_SCRIPT = ("tests/installed/",)
# Text that would tie the tree to one machine or one network.
MACHINE = [
    (re.compile(r"(?<![\w.$}~])/(?:home|root|work|Users|mnt|workspace)/\w"), "an absolute path of a machine"),
    (re.compile(r"\.\./shared\b"), "a path outside the tree"),
    (re.compile(r"\b(?:deb|security|snapshot|ftp)\.debian\.org\b|\bpypi\.(?:org|python)\b|\bregistry\.(?:npmjs|k8s|hub)\b|"
                r"\b(?:ghcr|quay|docker|gcr)\.io\b|\bcrates\.io\b|\bartifactory\b|\bproxy\.golang\b"), "a registry's host"),
]
WORK_LEFT = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
MAX_LINES = 600
TEXT = (".hpp", ".cpp", ".py", ".sh", ".md", ".txt", ".cmake", ".in", ".json", ".yaml", ".yml", ".supp", ".html", ".js")
# These name what they look for.
ABOUT_THE_RULES = ("tools/checks/tree.py", "tools/checks/self_test.py")


def unbuilt_tests(root, binary_dir):
    with open(os.path.join(binary_dir, "compile_commands.json"), encoding="utf-8") as file:
        built = {os.path.realpath(os.path.join(c["directory"], c["file"])) for c in json.load(file)}
    for path in [p for p in built if "/Unity/" in p]:  # several sources compiled as one: it includes them
        with open(path, encoding="utf-8") as file:
            included = re.findall(r'^#include "([^"]+)"', file.read(), re.MULTILINE)
        built.update(os.path.realpath(os.path.join(root, p)) for p in included)
    for path in files(".cpp", ".cc", ".cxx", under=("tests",), root=root):
        if not path.startswith(BUILT_BY_A_SCRIPT) and os.path.realpath(os.path.join(root, path)) not in built:
            yield (f"{path}: nobody builds it: put it in tests/unit, actors, golden, integration or fault and name it "
                   f"*_test.cpp (helpers in tests/support, job libraries in tests/jobs), then configure again")


def text_problems(root):
    for path in files(root=root):
        name = os.path.basename(path)
        if not path.endswith(TEXT) and "." in name.lstrip("."):
            continue
        if path in ABOUT_THE_RULES or name == ".git":
            continue
        text = read(path, root)
        code = path.endswith((".hpp", ".cpp", ".py"))
        for number, line in enumerate(text.split("\n"), 1):
            for pattern, what in MACHINE:
                found = pattern.search(line)
                if found:
                    yield f"{path}:{number}: {what}: {found.group(0)}"
            if code and WORK_LEFT.search(line):
                yield f"{path}:{number}: unfinished work is a note for the issue tracker, not for the code"
        if code and text.count("\n") > MAX_LINES:
            yield f"{path}:{MAX_LINES}: longer than {MAX_LINES} lines: split it"


def misplaced_tests(root):
    for path in files("_test.cpp", root=root):
        if not path.startswith("tests/"):
            yield f"{path}: test files live under tests/"


def main():
    binary_dir = sys.argv[1]
    root = sys.argv[2] if len(sys.argv) > 2 else ROOT
    problems = [*unbuilt_tests(root, binary_dir), *misplaced_tests(root), *text_problems(root)]
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
