#!/bin/sh
# Runs every test: the C++ core, the R package, the real data, the layers, and R CMD check. Sets the machine up first.
#
#   sh tools/test.sh [--no-check]
#
# The last line is "N passed, N failed, N skipped" over all of them; the exit status is 0 when none failed. C++ counts
# its assertions, R its expectations; a layer, or R CMD check as a whole, counts as one.
set -u

. "$(dirname "$0")/common.sh"
cd "$root" || exit 1

run_check=yes
case "${1:-}" in
  '') ;;
  --no-check) run_check='' ;;
  *) warn "usage: sh tools/test.sh [--no-check]"; exit 2 ;;
esac

passed=0 failed=0 skipped=0
began=$(now)
part_began=$began
scratch=$(mktemp -d "${TMPDIR:-/tmp}/rscvi-test.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

part() { part_began=$(now); step "$1"; }

# Adds $2 passed, $3 failed and $4 skipped, of the part called $1, to the sum.
add() {
  say "$1: $2 passed, $3 failed, $4 skipped ($(($(now) - part_began)) s)"
  passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
}

finish() {
  printf '\nAll of it took %s s.\n' "$(($(now) - began))"
  say "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
  exit
}

# --- the C++ core --------------------------------------------------------------------------------

# The number before word $2 in the summary line of file $3 that starts with "[doctest] $1".
doctest_count() {
  sed 's/\x1b\[[0-9;]*m//g' "$3" | sed -n "s/^\[doctest\] $1:.*[^0-9]\([0-9][0-9]*\) $2.*/\1/p" | tail -n 1
}

test_core() {
  part "C++ core: build"
  if ! has cmake; then add "C++ core (no cmake here)" 0 0 1; return; fi
  standard=$(sed -n 's/^CXX_STD *= *CXX//p' src/Makevars 2>/dev/null)  # as configure found that LibTorch needs
  if ! { cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_STANDARD="${standard:-17}" &&
         cmake --build build --parallel "$(jobs_to_run)" --target core_tests; }; then
    add "C++ core: does not build" 0 1 0
    return
  fi
  say "built in $(($(now) - part_began)) s"
  part "C++ core: tests"
  ./build/core_tests > "$scratch/doctest" 2>&1
  status=$?
  cat "$scratch/doctest"
  ok=$(doctest_count assertions passed "$scratch/doctest")
  bad=$(doctest_count assertions failed "$scratch/doctest")
  bad_cases=$(doctest_count 'test cases' failed "$scratch/doctest")
  left_out=$(doctest_count 'test cases' skipped "$scratch/doctest")
  # A test case that throws fails without a failed assertion, and a crash leaves no summary.
  [ "${bad:-0}" -ge "${bad_cases:-0}" ] || bad=$bad_cases
  if [ "$status" -ne 0 ] && [ "${bad:-0}" -eq 0 ]; then say "core_tests ended with status $status"; bad=1; fi
  if [ "$status" -eq 0 ] && [ -z "$ok" ]; then say "core_tests ran no test"; bad=1; fi
  add "C++ core" "${ok:-0}" "${bad:-0}" "${left_out:-0}"
}

# --- the R package -------------------------------------------------------------------------------

# Runs the testthat files of folder $2; $1 names the part.
test_r() {
  ls "$2"/test*.R >/dev/null 2>&1 || return 0
  part "$1"
  rm -f "$scratch/counts"
  Rscript tools/testthat.R "$2" "$scratch/counts"
  if [ -r "$scratch/counts" ]; then
    read -r ok bad left_out < "$scratch/counts"
    add "$1" "$ok" "$bad" "$left_out"
  else
    add "$1: R stopped before the end" 0 1 0
  fi
}

# --- the layers ----------------------------------------------------------------------------------

# Counts as one test: no line of the files $3... matches the pattern $2; $1 says what that means.
nowhere() {
  what=$1
  pattern=$2
  shift 2
  if found=$(grep -nE "$pattern" "$@" /dev/null); then
    printf 'FAILED  %s\n%s\n' "$what" "$found"
    layers_bad=$((layers_bad + 1))
  else
    say "ok      $what"
    layers_ok=$((layers_ok + 1))
  fi
}

# Every header that the glue includes, directly or not: LibTorch's are on Debian's standard path, so that compiling does
# not show that they stay out.
headers_of_glue() {
  cxx=$(R CMD config CXX17)
  flags="-std=gnu++17 -Isrc $(R CMD config --cppflags) $(Rscript -e \
    'cat(paste0("-I", vapply(c("Rcpp", "RcppEigen"), function(p) system.file("include", package = p), "")))')"
  for file in src/*.cpp; do
    # shellcheck disable=SC2086
    $cxx $flags -M "$file" | tr ' ' '\n'
  done | sort -u
}

test_layers() {
  part "Layers"
  headers_of_glue > "$scratch/headers" 2>&1
  layers_ok=0 layers_bad=0
  core=$(find src/core -type f \( -name '*.h' -o -name '*.cpp' \))
  glue=$(find src -maxdepth 1 -type f \( -name '*.h' -o -name '*.cpp' \) ! -name RcppExports.cpp)
  torch='#[[:space:]]*include[[:space:]]*[<"](torch|ATen|c10|caffe2)/'
  # File names of the project have no spaces.
  # shellcheck disable=SC2086
  {
    nowhere "the core includes nothing of R" \
      '#[[:space:]]*include[[:space:]]*[<"](R|Rcpp|RcppEigen|Rinternals|Rmath|R_ext/.*)(\.h)?[>"]' $core
    nowhere "the glue includes nothing of LibTorch" "$torch" $glue
    nowhere "the glue sees core/api alone of the core" '#include "core/([^a]|a[^p])' $glue
    nowhere "no using namespace" '^[[:space:]]*using[[:space:]]+namespace' $core $glue
    nowhere "the core does not print" 'std::(cout|cerr|clog)|[^a-z_n](f?printf|puts)[[:space:]]*\(' $core
  }
  # Folder $1 of the core includes nothing of the layers $2, which lie above it or beside it.
  above() { nowhere "core/$1 includes nothing of $2" "#include \"core/($2)/" src/core/"$1"/*; }
  above base 'api|training|io|posterior|model|nn|distributions|differential|data'
  for layer in data distributions differential nn; do above $layer 'api|training|io|posterior|model'; done
  above model 'api|training|io|posterior|differential'
  above io 'api|training|posterior|differential'
  above posterior 'api|training|io'
  above training 'api|io|differential'
  nowhere "what the glue includes is there, and has no LibTorch header anywhere down" \
    '/(torch|ATen|c10)/|error:' "$scratch/headers"
  add "Layers" "$layers_ok" "$layers_bad" 0
}

# --- all of it -----------------------------------------------------------------------------------

part "Set-up"
if ! sh tools/setup.sh; then
  add "Set-up" 0 1 0
  finish
fi

test_layers
test_core
test_r "R package" tests/testthat
test_r "Real data" tests/realdata

if [ -n "$run_check" ]; then
  part "R CMD check"
  # The R tests ran above.
  if RSCVI_SETUP_DONE=yes sh tools/check.sh --no-tests; then add "R CMD check" 1 0 0; else add "R CMD check" 0 1 0; fi
fi
finish
