"""Puts sources into groups that can be compiled as one translation unit each: "<path> <group>" per line.
Usage: unity_groups.py [SIZE] < paths

Sources that define a name of the same spelling at namespace scope (mostly: helpers in anonymous namespaces) go into
different groups, and so do a name and a namespace. Each into one of its own go those that define macros, and those of
the library that include an operator: they are what is compiled again when one changes.
"""
import re
import sys
import os

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools", "checks"))
from headers import closure, path_of  # noqa: E402
from tree_files import ROOT, code_of, includes_of  # noqa: E402

TOKEN = re.compile(r"[A-Za-z_]\w*|::|[^\s\w]")
LIBRARY = ("libdataflow/", "actors/")
OPERATOR = "libdataflow/dataflow/operators/map.hpp"  # whoever includes any of those that jobs use includes this one
KEYWORDS = {"class", "struct", "enum", "union", "namespace", "template", "operator", "return", "const", "noexcept",
            "override", "final", "default", "delete", "requires", "decltype", "alignas", "explicit", "concept"}


def defined_names(code):
    """Names that the text defines at namespace scope; rather some too many than one too few."""
    names, tokens = set(), TOKEN.findall(re.sub(r"^[ \t]*#(?:.*\\\n)*.*$", "", code, flags=re.MULTILINE))
    scopes = []  # True: a namespace's brace, False: any other bracket
    before, initialisers = ("", ""), False  # those between a constructor's colon and its body
    for i, token in enumerate(tokens):
        following = tokens[i + 1] if i + 1 < len(tokens) else ""
        if token in "({[":
            begin = i - 1
            while begin >= 0 and tokens[begin] not in (";", "}", "{", ")"):
                begin -= 1
            scopes.append(token == "{" and "namespace" in tokens[begin + 1:i])
        elif token in ")}]":
            if scopes:
                scopes.pop()
            if all(scopes) and token == "}" and following not in (",", "{"):
                initialisers = False
        elif not all(scopes):
            pass
        elif token in ":;":
            initialisers = token == ":"
        elif re.match(r"[A-Za-z_]", token) and token not in KEYWORDS and not token.isupper():
            # Not: A::name, using a::name.
            if before[1] in ("class", "struct", "enum", "union", "concept") or \
                    (following in ("(", "{", "=", ";", "[") and before[1] != "::" and not initialisers):
                if not (before[1] == "namespace" or before[0] == "namespace" or re.fullmatch(r"[A-Z0-9_]+", token)):
                    names.add(token)
        before = before[1], token
    return names


def namespaces_of(code):
    """Namespaces that the text names: a helper of the same name would be ambiguous."""
    return {part for path in re.findall(r"\bnamespace\s+([\w:]+)", code) for part in path.split("::")}


def includes_an_operator(path, code):
    if os.path.relpath(path, ROOT).startswith(LIBRARY):
        included = {p for _, name in includes_of(code) if (p := path_of(name))}
        return any(OPERATOR in {p, *closure(p)} for p in included)
    return False


def main():
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    open_groups, count = [], 0
    for path in sorted(line.strip() for line in sys.stdin if line.strip()):
        with open(path, encoding="utf-8", errors="replace") as file:
            code = code_of(file.read())
        names, spaces = defined_names(code), namespaces_of(code)
        alone = re.search(r"^[ \t]*#[ \t]*define\b", code, re.MULTILINE) or includes_an_operator(path, code)
        group = None if alone else next((g for g in open_groups if not (names & (g[1] | g[3]) or spaces & g[1])), None)
        if group is None:
            group = [f"g{count}", set(), 0, set()]
            count += 1
            if not alone:
                open_groups.append(group)
        group[1] |= names
        group[3] |= spaces
        group[2] += 1
        if group[2] == size:
            open_groups.remove(group)
        print(path, group[0])


main()
