"""The files of the tree, and C++ text without comments and literals; shared by the checks."""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def files(*suffixes, under=(".",), root=ROOT):
    """Paths relative to the root, sorted; without build trees, caches and version control."""
    found = []
    for top in under:
        for folder, folders, names in os.walk(os.path.join(root, top)):
            here = os.path.relpath(folder, root)
            folders[:] = [f for f in folders if f not in (".git", ".cache", "__pycache__")
                          and not (here == "." and f.startswith("build"))]
            for name in names:
                if not suffixes or name.endswith(suffixes):
                    found.append(os.path.normpath(os.path.join(here, name)))
    return sorted(found)


def read(path, root=ROOT):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


_NOT_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^()\s\\]{0,16})\(.*?\)\1"|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)+\'', re.DOTALL)


def code_of(text):
    """The text with comments and literals blanked out; line numbers stay. #include lines keep their names."""

    def blank(match):
        start = text.rfind("\n", 0, match.start()) + 1
        if text[match.start()] == '"' and text[start:match.start()].lstrip().startswith("#"):
            return match.group(0)
        return re.sub(r"[^\n]", " ", match.group(0))

    # 1'000'000 is a number, not a character literal
    return _NOT_CODE.sub(blank, re.sub(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])", " ", text))


_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', re.MULTILINE)


def includes_of(text):
    """(line number, included name) of each #include that is not in a comment."""
    code = code_of(text)
    return [(code.count("\n", 0, m.start()) + 1, m.group(1)) for m in _INCLUDE.finditer(code)]
