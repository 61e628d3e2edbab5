"""Who may include whom, and who may touch the outside world. The tables below are the rule; docs/architecture.md says
why. Usage: includes.py [ROOT]
"""
import re
import sys

from tree_files import ROOT, code_of, files, includes_of, read

# Modules of libdataflow/dataflow/ -> modules they may include besides themselves. Arrows point one way only.
ALLOWED = {
    "util": [],
    "config": ["util"],
    "metrics": ["util"],
    "record": ["config", "util"],
    "state": ["record", "metrics", "config", "util"],
    "time": ["state", "record", "config", "util"],
    "exchange": ["record", "time", "metrics", "config", "util"],
    "checkpoint": ["state", "exchange", "record", "time", "metrics", "config", "util"],
    "operators": ["checkpoint", "state", "exchange", "record", "time", "metrics", "config", "util"],
    "windows": ["operators", "state", "record", "time", "config", "util"],
    "connectors": ["operators", "checkpoint", "state", "exchange", "record", "time", "metrics", "config", "util"],
    "network": ["checkpoint", "exchange", "record", "time", "config", "util"],
    "task": ["connectors", "operators", "checkpoint", "state", "exchange", "record", "time", "metrics", "config", "util"],
    "graph": ["connectors", "windows", "operators", "checkpoint", "state", "exchange", "record", "time", "metrics",
              "config", "util"],
    "recovery": ["graph", "metrics", "config", "util"],
    "high_availability": ["checkpoint", "config", "util"],
    "operations": ["config", "util"],
    "resources": ["config", "util"],
    "api": ["graph", "connectors", "recovery", "windows", "operators", "checkpoint", "state", "exchange", "record", "time",
            "metrics", "config", "util"],
}
# Single headers that may be included against the arrows: they hold a few types and nothing of their module.
EXCEPTIONS = {
    ("record", "dataflow/time/timestamp.hpp"): "a number with a unit, below everything",
    ("state", "dataflow/time/timestamp.hpp"): "a number with a unit, below everything",
    ("recovery", "dataflow/record/record_origin.hpp"): "a few texts",
}
# A header that belongs to several modules and only forwards includes.
UMBRELLAS = {"libdataflow/dataflow/dataflow.hpp": "api"}

# Third-party headers -> the only places that may include them.
THIRD_PARTY = {
    r"caf/": ["actors/", "apps/", "tests/", "tools/benchmarks/"],
    r"rocksdb/": ["libdataflow/dataflow/state/"],
    r"librdkafka/": ["libdataflow/dataflow/connectors/"],
    r"httplib\.h|httplib/": ["actors/", "apps/examples/http_shop"],
    r"sqlite3\.h": ["apps/examples/", "libdataflow/dataflow/connectors/sqlite_sink.cpp", "tests/"],
    r"doctest/": ["tests/"],
    r"benchmark/": ["tools/benchmarks/"],
    r"CLI/": ["apps/", "tools/benchmarks/"],
    r"(lz4|zstd)\.h": ["libdataflow/dataflow/util/compression.cpp"],
    r"zookeeper/": ["libdataflow/dataflow/high_availability/zookeeper_client.cpp"],
    r"yaml-cpp/": ["libdataflow/dataflow/config/", "tests/"],
}
# Heavy headers that no header of the library may include: a user's 50-line job compiles in seconds.
HEAVY = re.compile(r"^(spdlog|fmt|nlohmann|yaml-cpp|CLI|boost/(asio|spirit|mpl|multi_index)|rocksdb|librdkafka)/|"
                   r"^(iostream|regex|filesystem)$")

# What only the named implementation files may do; everybody else gets it through an interface (util/platform.hpp).
OUTSIDE_WORLD = {
    "the operating system's clocks": (
        r"\b(steady_clock|system_clock|high_resolution_clock)\s*::\s*now\b|\bclock_gettime\b|\bgettimeofday\b",
        ["libdataflow/dataflow/util/clock.cpp", "tools/benchmarks/", "tests/job_libraries/skewed_clock.cpp"]),
    "typeid: the identity of a type is the library's descriptor": (
        r"\btypeid\b|\btype_index\b", ["libdataflow/dataflow/util/error.cpp", "tests/"]),
    "a random device": (r"\brandom_device\b|\bgetrandom\b|\bgetentropy\b", ["libdataflow/dataflow/util/random.cpp"]),
    "threads": (r"\bstd\s*::\s*(thread|jthread|async)\b(?!\s*::)|\bpthread_create\b",
                ["libdataflow/dataflow/util/platform.cpp", "tests/", "tools/benchmarks/"]),
    "processes": (r"\b(fork|vfork|posix_spawnp?|execv[pe]*|execl[pe]?|popen)\s*\(",
                  ["apps/dataflow/", "tests/", "tools/benchmarks/"]),
    "sleeping": (r"\b(sleep_for|sleep_until|usleep|nanosleep)\b",
                 ["libdataflow/dataflow/util/platform.cpp", "tools/benchmarks/"]),
}


def layer_of(path):
    if path in UMBRELLAS:
        return UMBRELLAS[path]
    parts = path.split("/")
    if path.startswith("libdataflow/dataflow/") and len(parts) > 3:
        return parts[2]
    return parts[0]  # actors, apps, tests, tools


def layer_included(name):
    """The module or top-level folder that an include names, or None for the rest of the world."""
    if name.startswith("dataflow/actors/") or name.startswith("actors/"):
        return "actors"
    if name.startswith(("apps/", "tests/", "tools/")):
        return name.split("/")[0]
    if f"libdataflow/{name}" in UMBRELLAS:
        return UMBRELLAS[f"libdataflow/{name}"]
    if name.startswith("dataflow/") and name.count("/") >= 2:
        return name.split("/")[1]
    return None


def problems_of(path, text):
    layer = layer_of(path)
    in_library = path.startswith("libdataflow/")
    if in_library and layer not in ALLOWED:
        yield f"{path}:1: module '{layer}' is not in the table: add it to tools/checks/includes.py"
        return
    for line, name in includes_of(text):
        where = f"{path}:{line}"
        target = layer_included(name)
        if target and target != layer:
            if in_library:
                if target not in ALLOWED[layer] and (layer, name) not in EXCEPTIONS:
                    yield f"{where}: {layer} must not include <{name}> (the arrow would point up)"
            elif layer == "actors" and target in ("apps", "tests", "tools"):
                yield f"{where}: actors must not include <{name}>"
            elif layer == "apps" and target in ("tests", "tools"):
                yield f"{where}: apps must not include <{name}>"
        if in_library and name.startswith("../"):
            yield f"{where}: include as <dataflow/module/part.hpp>, not <{name}>"
        for pattern, places in THIRD_PARTY.items():
            if re.match(pattern, name) and not path.startswith(tuple(places)):
                yield f"{where}: <{name}> may be included only in {', '.join(places)}"
        if in_library and path.endswith(".hpp") and HEAVY.match(name):
            yield f"{where}: <{name}> is too heavy for a header: include it in the .cpp file"
    if path.startswith(("libdataflow/", "actors/", "apps/", "tests/")):
        code = code_of(text)
        for what, (pattern, places) in OUTSIDE_WORLD.items():
            if path.startswith(tuple(places)):
                continue
            for match in re.finditer(pattern, code):
                line = code.count("\n", 0, match.start()) + 1
                yield f"{path}:{line}: {what} ({match.group(0)}) only in {', '.join(places)}: use util/platform.hpp"


def table_cycle():
    """A way through the table that comes back to where it began, or None."""
    done, active = set(), []

    def visit(module):
        if module in active:
            return active[active.index(module):] + [module]
        if module not in done:
            active.append(module)
            for below in ALLOWED[module]:
                cycle = visit(below)
                if cycle:
                    return cycle
            active.pop()
            done.add(module)
        return None

    return next((c for c in map(visit, ALLOWED) if c), None)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else ROOT
    cycle = table_cycle()
    problems = [f"tools/checks/includes.py: the table has a cycle: {' -> '.join(cycle)}"] if cycle else []
    for path in files(".hpp", ".cpp", under=("libdataflow", "actors", "apps", "tests", "tools"), root=root):
        problems += problems_of(path, read(path, root))
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
