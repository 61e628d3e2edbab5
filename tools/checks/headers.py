"""Every header compiles alone: it includes what it needs. Usage: headers.py BINARY_DIR

A header that a .cpp file of the build includes first is proven by the build, and so is the one that such a header
includes first. The others are compiled here, syntax only, and a header that passed is not compiled again before it, or
a header of the tree that it reaches, changes.
"""
import concurrent.futures
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


def first_includes(path):
    """The header that a file of the tree includes first, the one that this one includes first, and so on: the compiler
    sees nothing before any of them."""
    found = []
    while path and path not in found:
        found.append(path)
        path = path_of(next(iter(includes_of(read(path))), (0, ""))[1])
    return found[1:]


def digest(path, seen):
    """Hash of a header and of every header of the tree that it reaches."""
    stack, texts = [path], {}
    while stack:
        here = stack.pop()
        if here in texts:
            continue
        if here not in seen:
            text = read(here)
            seen[here] = (text, [p for _, name in includes_of(text) if (p := path_of(name))])
        texts[here] = seen[here][0]
        stack += seen[here][1]
    return hashlib.sha256("\0".join(f"{p}\0{texts[p]}" for p in sorted(texts)).encode()).hexdigest()


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
    proven = {h for source in files(".cpp", under=PLACES) for h in first_includes(source)}
    rest = [p for p in headers if p not in proven]
    proven.update(h for p in rest for h in first_includes(p))
    seen, to_do = {}, []
    for path in rest:
        mark = os.path.join(cache, digest(path, seen))
        if path not in proven and not os.path.exists(mark):
            to_do.append((path, mark))

    def compile_alone(item):
        path, mark = item
        unit = f"#include <{include_of(path)}>\n"
        result = subprocess.run([*command, "-x", "c++", "-"], input=unit.encode(), stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
        if result.returncode == 0:
            open(mark, "w").close()
            return None
        return f"{path}: does not compile alone:\n{result.stdout.decode(errors='replace')[:2000]}"

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        problems = once + [p for p in pool.map(compile_alone, to_do) if p]
    print("\n".join(problems + [f"{len(headers)} headers, {len(to_do)} compiled now, {len(problems)} do not compile"]))
    return 1 if problems or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
