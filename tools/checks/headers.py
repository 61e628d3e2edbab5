"""Every header compiles alone: it includes what it needs. Usage: headers.py BINARY_DIR

Syntax only, and in chains: of two headers, the second of which includes the first, directly or not, one translation
unit includes the first, then the second. That is no help to the second: what comes before it is what it includes
anyway, and the headers that it includes have been proven in their turn. So 270 headers take 110 translation units. What
passed is not compiled again before a header of the chain, or one of the tree that it reaches, changes.
"""
import concurrent.futures
import functools
import hashlib
import os
import shutil
import subprocess
import sys

from tree_files import ROOT, files, includes_of, read

FLAGS = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-unused"]
PLACES = ("libdataflow", "actors", "apps", "tests")


def path_of(include):
    """Where the tree keeps an included header, or None when it is not of the tree."""
    for prefix, folder in (("dataflow/actors/", "actors/"), ("dataflow/", "libdataflow/dataflow/"), ("", "")):
        if include.startswith(prefix) and os.path.isfile(os.path.join(ROOT, folder + include[len(prefix):])):
            return folder + include[len(prefix):]
    return None


def include_of(path):
    if path.startswith("libdataflow/"):
        return path[len("libdataflow/"):]
    if path.startswith("actors/"):
        return "dataflow/" + path
    return path


@functools.lru_cache(None)
def closure(path):
    """The headers of the tree that a header reaches."""
    found, stack = set(), [path]
    while stack:
        for _, name in includes_of(read(stack.pop())):
            included = path_of(name)
            if included and included not in found:
                found.add(included)
                stack.append(included)
    return frozenset(found)


def chains(headers, reached=closure):
    """As few lists as will hold each header once, each list such that a header reaches all that stand before it."""
    # A header that includes itself by a detour includes something after its own text, which must not help it.
    below = {h: sorted((x for x in headers if x in reached(h)), key=lambda x: -len(reached(x)))
             if h not in reached(h) else [] for h in headers}
    before, after = {}, {}

    def place(header, seen):  # a path that augments the matching of headers with those that stand right before them
        for lower in below[header]:
            if lower not in seen:
                seen.add(lower)
                if lower not in after or place(after[lower], seen):
                    before[header], after[lower] = lower, header
                    return True
        return False

    for header in sorted(headers, key=lambda h: len(reached(h))):
        place(header, set())
    result = []
    for last in (h for h in headers if h not in after):
        chain = [last]
        while chain[-1] in before:
            chain.append(before[chain[-1]])
        result.append(chain[::-1])
    return result


def digest(chain):
    """Hash of headers and of every header of the tree that they reach."""
    everything = sorted({*chain, *(p for header in chain for p in closure(header))})
    return hashlib.sha256("\0".join([*chain, *(f"{p}\0{read(p)}" for p in everything)]).encode()).hexdigest()


def main():
    binary_dir = sys.argv[1]
    compiler = os.environ.get("CXX") or shutil.which("g++") or "c++"
    version = subprocess.run([compiler, "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()
    command = [compiler, *FLAGS, f"-I{ROOT}/libdataflow", f"-I{binary_dir}/include", f"-I{ROOT}"]
    key = hashlib.sha256("\0".join([version, *FLAGS]).encode()).hexdigest()[:12]
    cache = os.path.join(binary_dir, "header_check", key)
    os.makedirs(cache, exist_ok=True)

    headers = files(".hpp", under=PLACES)
    once = [f"{p}: begins without #pragma once" for p in headers if "#pragma once\n" not in read(p)]
    to_do = []
    for chain in chains(headers):
        mark = os.path.join(cache, digest(chain))
        if not os.path.exists(mark):
            to_do.append((chain, mark))

    def compile_alone(item):
        chain, mark = item
        unit = "".join(f"#include <{include_of(path)}>\n" for path in chain)
        result = subprocess.run([*command, "-x", "c++", "-"], input=unit.encode(), stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
        if result.returncode == 0:
            open(mark, "w").close()
            return None
        return f"{', '.join(chain)}: do not compile in this order:\n{result.stdout.decode(errors='replace')[:2000]}"

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        problems = once + [p for p in pool.map(compile_alone, to_do) if p]
    print("\n".join(problems + [f"{len(headers)} headers, {len(to_do)} chains compiled now, {len(problems)} problems"]))
    return 1 if problems or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
