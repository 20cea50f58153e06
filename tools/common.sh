# What the scripts in tools/ share. Sourced, never run: `. "$(dirname "$0")/common.sh"`.
# shellcheck shell=sh

root=$(cd "$(dirname "$0")/.." && pwd) || exit 1

step() { printf '\n== %s\n' "$*"; }
say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }

# Threads of OpenMP that wait for work spin, by default for milliseconds. Where other programs want the processors too,
# that was measured to make training up to ten times slower. Spinning shorter costs next to nothing on an idle machine.
# libgomp reads this when R starts, so R itself could not set it any more.
: "${GOMP_SPINCOUNT:=1000}"
export GOMP_SPINCOUNT

# Number of processors, for make.
jobs_to_run() { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1; }

now() { date +%s; }

# Has R's compilers called through ccache, where it is: what did not change is compiled once, though R CMD build and R
# CMD check start from nothing each.
use_compiler_cache() {
  has ccache && [ -z "${RSCVI_CACHES:-}" ] || return 0
  CCACHE_DIR=$root/build/ccache
  # What a folder is called, and when a header was written, changes nothing in an object.
  CCACHE_NOHASHDIR=true
  CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
  mkdir -p "$CCACHE_DIR" || return 0
  {
    printf -- '-include %s\n' "${R_MAKEVARS_USER:-${HOME:-}/.R/Makevars}"
    for compiler in CXX CXX17 CXX20; do
      printf '%s := $(if $(findstring ccache,$(%s)),,ccache) $(%s)\n' "$compiler" "$compiler" "$compiler"
    done
  } > "$root/build/Makevars-ccache"
  R_MAKEVARS_USER=$root/build/Makevars-ccache RSCVI_CACHES=yes
  export CCACHE_DIR CCACHE_NOHASHDIR CCACHE_SLOPPINESS R_MAKEVARS_USER RSCVI_CACHES
}

# The files that belong to the project, relative to $root: without what git ignores and what has been deleted.
project_files() {
  if has git && git -C "$root" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git -C "$root" ls-files --cached --others --exclude-standard
  else
    (cd "$root" && find . \( -path ./build -o -path ./.git \) -prune -o \
      -type f ! -name '*.o' ! -name '*.so' ! -name '*.gch' ! -name Makevars -print)
  fi | while IFS= read -r file; do
    [ -f "$root/$file" ] && printf '%s\n' "$file"
  done
}
