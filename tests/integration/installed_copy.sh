#!/bin/bash
# Installs into a temporary prefix, builds the project of tests/installed against it, outside the tree, and runs what
# came out. Usage: installed_copy.sh BINARY_DIR
set -euo pipefail
binary_dir=$1
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "installed_copy: $*" >&2; exit 1; }

cmake --install "$binary_dir" --prefix "$work/prefix" >"$work/log" || { cat "$work/log"; fail "cmake --install failed"; }
cp -r "$source_dir/tests/installed" "$work/project"

build() { # build <name> [cmake options]
  local name=$1
  shift
  { cmake -G Ninja -S "$work/project" -B "$work/$name" -DCMAKE_PREFIX_PATH="$work/prefix" "$@" &&
    cmake --build "$work/$name"; } >"$work/log" 2>&1 || { cat "$work/log"; fail "building the project ($name) failed"; }
}

# Users of the DataStream API need no CAF: it must not be looked for, nor may one of its headers be reached.
build plain -DCMAKE_DISABLE_FIND_PACKAGE_CAF=ON
if (cd "$work/plain" && ninja -t deps | grep -F /caf/); then fail "a CAF header reaches a user of the DataStream API"; fi
"$work/plain/program" || fail "the program exits with $?"

# A job library shows its entry point and nothing else, and no symbol of it is unique in the process.
job=$work/plain/libout_of_tree_job.so
symbols=$(nm -D --defined-only -C "$job" | cut -d' ' -f2-)
if grep '^u ' <<<"$symbols"; then fail "a job library has GNU-unique symbols"; fi
if grep visible_to_nobody_else <<<"$symbols"; then fail "a job library exports what is its own"; fi

# A project that `dataflow new` writes builds as it is, and its job runs with the installed program.
dataflow=$work/prefix/bin/dataflow
"$dataflow" new fresh_job "$work/fresh" >/dev/null || fail "dataflow new exits with $?"
began=$EPOCHREALTIME
{ cmake -S "$work/fresh" -B "$work/fresh/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_DISABLE_FIND_PACKAGE_CAF=ON &&
  cmake --build "$work/fresh/build"; } >"$work/log" 2>&1 || { cat "$work/log"; fail "building a new project failed"; }
printf 'a new project was configured and built in %d ms\n' $(((${EPOCHREALTIME/./} - ${began/./}) / 1000))
words=$("$dataflow" run -q "$work/fresh/build/libfresh_job.so" --input "$work/fresh/.gitignore") ||
  fail "the job of a new project exits with $?"
[[ $words == *build*1* ]] || fail "the job of a new project prints: $words"

# The installed command line runs it.
if [ -x "$work/prefix/bin/dataflow" ]; then
  output=$("$work/prefix/bin/dataflow" run --quiet "$job" --factor 7) || fail "dataflow run exits with $?"
  [ "$(sort -n <<<"$output" | tr '\n' ' ')" = "7 14 21 " ] || fail "dataflow run printed: $output"
fi

build actors -DWITH_ACTORS=ON
"$work/actors/with_actors" || fail "the program with actors exits with $?"
