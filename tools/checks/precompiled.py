"""<dataflow/dataflow.hpp> compiled once for many small programs that begin with it: their meaning stays the same."""
import os
import re
import subprocess
import tempfile

FIRST = re.compile(r"\A(?:\s|//[^\n]*\n|#pragma once\n)*#include <dataflow/dataflow\.hpp>\n")


class Precompiled:
    """Use: with Precompiled(command) as flags_for: subprocess.run([*command, *flags_for(code), ...])"""

    def __init__(self, command):
        self.command = command

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        header = os.path.join(self.folder.name, "all.hpp")
        with open(header, "w") as out:
            out.write("#include <dataflow/dataflow.hpp>\n")
        # Without -fsyntax-only, which writes nothing.
        command = [a for a in self.command if a != "-fsyntax-only"]
        made = subprocess.run([*command, "-x", "c++-header", header, "-o", header + ".gch"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0
        return lambda code: ["-include", header] if made and FIRST.match(code) else []

    def __exit__(self, *_):
        self.folder.cleanup()
