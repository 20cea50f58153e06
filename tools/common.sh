# What the scripts in tools/ share. Sourced, never run: `. "$(dirname "$0")/common.sh"`.
# shellcheck shell=sh

root=$(cd "$(dirname "$0")/.." && pwd) || exit 1

step() { printf '\n== %s\n' "$*"; }
say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }

# Threads of OpenMP that wait for work spin, by default for milliseconds. Where other programs want the processors too, that
# was measured to make training up to ten times slower. Spinning shorter costs next to nothing on an idle machine.
# libgomp reads this when R starts, so R itself could not set it any more.
: "${GOMP_SPINCOUNT:=1000}"
export GOMP_SPINCOUNT

# Number of processors, for make.
jobs_to_run() { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1; }

now() { date +%s; }

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
