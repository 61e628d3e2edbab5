"""The code in README.md and docs/ compiles. Usage: samples.py BINARY_DIR

A block that starts with ```cpp program or ```cpp job is complete and is compiled as it stands (syntax only, so that it
takes seconds); plain ```cpp blocks are fragments.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

from precompiled import Precompiled
from tree_files import ROOT, files, read

BLOCK = re.compile(r"^```cpp (program|job)[ \t]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def main():
    binary_dir = sys.argv[1]
    compiler = os.environ.get("CXX") or shutil.which("g++") or "c++"
    command = [compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/libdataflow",
               f"-I{binary_dir}/include"]
    blocks = []
    for path in ["README.md", *files(".md", under=("docs",))]:
        text = read(path)
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start(2)) + 1
            blocks.append((path, line, match.group(2)))

    def compile_block(block):
        path, line, code = block
        result = subprocess.run([*command, *flags_for(code), "-x", "c++", "-"],
                                input=f'#line {line} "{path}"\n{code}'.encode(), stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
        return "" if result.returncode == 0 else result.stdout.decode(errors="replace")[:4000]

    with Precompiled(command) as flags_for, concurrent.futures.ThreadPoolExecutor(2) as pool:
        problems = [p for p in pool.map(compile_block, blocks) if p]
    print("\n".join(problems + [f"{len(blocks)} blocks, {len(problems)} do not compile"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
