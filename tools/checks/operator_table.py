"""No operator escapes the table of tests/golden: every operator class of the library has a row there, which restarts it
from a snapshot after every line of a case, or is named here as one that remembers nothing.
Usage: operator_table.py [ROOT]
"""
import re
import sys

from tree_files import ROOT, code_of, files, read

# Operators between whose calls nothing is remembered. One that declares state, or has a part that does, cannot be here.
STATELESS = {
    "map_operator", "filter_operator", "flat_map_operator", "pass_through_operator", "collect_operator",
    "discard_operator", "sink_operator", "actor_sink_operator", "finished_operator",
}
# Sinks have no output that a golden case could show. The test that restarts them after every record; it names them.
SINKS = {"committing_operator": "tests/unit/connectors/committing_sink_test.cpp"}
# What makes a class one that event time or records flow through.
BASES = {"stream_operator", "source_event_time"}
# Its own state, or that of a part which is opened with the context. (What the writer of a sink keeps is the writer's.)
DECLARES = re.compile(r"\bstates\s*\(\s*\)|\b(?!writer_)\w+(?:\.|->)open\s*\(\s*context\s*[,)]")
TABLE = re.compile(r"tests/golden/.*_rows\.cpp$")

CLASS = re.compile(r"\b(?:class|struct)\s+(\w+)(?:\s+final)?\s*(:[^;{(]*)?\{")


def body_at(code, brace):
    """The text between the brace at this position and its partner."""
    depth = 0
    for i in range(brace, len(code)):
        depth += {"{": 1, "}": -1}.get(code[i], 0)
        if depth == 0:
            return code[brace:i]
    return code[brace:]


def classes_of(texts):
    """Name -> (bases, body) of all classes in these texts."""
    found = {}
    for text in texts:
        code = code_of(text)
        for match in CLASS.finditer(code):
            bases = set(re.findall(r"\w+", match.group(2) or ""))
            found[match.group(1)] = (bases, body_at(code, match.end() - 1))
    return found


def derived_from(name, roots, classes):
    bases = classes[name][0]
    return any(b in roots or (b in classes and b != name and derived_from(b, roots, classes)) for b in bases)


def problems_of(sources, table, stateless=frozenset(STATELESS), restarted=()):
    """sources: texts of the library; table: texts of the rows; restarted: operators with a test of their own."""
    classes = classes_of(sources)
    operators = {c for c in classes if derived_from(c, BASES, classes)}
    inner = {b for c in operators for b in classes[c][0]}  # what others build upon is in the table through them
    named = set(re.findall(r'"(\w+)"', "\n".join(table)))

    def declares(name):
        bases, body = classes[name]
        return "declared_state" in bases or DECLARES.search(body)

    for name in sorted(operators - inner - BASES):
        if name in stateless:
            if declares(name):
                yield f"{name} declares state, and STATELESS in tools/checks/operator_table.py says that it has none"
        elif name not in named and name not in restarted:
            yield (f"{name} is an operator without a row in the table of tests/golden: give it one in a *_rows.cpp "
                   "there, or name it in tools/checks/operator_table.py if it remembers nothing")
    for name in sorted(stateless - operators):
        yield f"{name} is no operator any more: take it out of STATELESS in tools/checks/operator_table.py"


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else ROOT
    sources = [read(p, root) for p in files(".hpp", ".cpp", under=("libdataflow", "actors"), root=root)]
    table = [read(p, root) for p in files(".cpp", under=("tests/golden",), root=root) if TABLE.search(p)]
    restarted = {s for s, test in SINKS.items() if f"a {s} that is restored after every record" in read(test, root)}
    problems = list(problems_of(sources, table, restarted=restarted))
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
