#!/bin/sh
# Makes this machine ready for rscvi, then builds and installs it. Run it as often as you like: what is there is kept.
#
#   sh tools/setup.sh
#
# Debian or Ubuntu, as root or through sudo: installs the missing packages with apt. Anywhere else, and without the
# rights to install: names what is missing and how to get it, and changes nothing.
#
# Environment:
#   LIBTORCH_HOME     a LibTorch to use in place of the one that configure would find
#   CUDA_HOME         where CUDA's headers are, for steps as CUDA graphs, if not in /usr/local/cuda or the system
#   RSCVI_KEEP_BLAS   set: leave the system's choice of BLAS as it is
set -u

. "$(dirname "$0")/common.sh"
cd "$root" || exit 1

# What the build needs, and what only the tests, the demo, the vignette or speed need. Names are Debian's.
BUILD_DEBS="r-base-dev g++ make"
EXTRA_DEBS="cmake ccache doctest-dev libopenblas0-openmp pandoc"
TORCH_DEB=libtorch-dev

apt_log=build/apt.log

# --- what kind of machine ------------------------------------------------------------------------

is_debian() {
  has apt-get && has dpkg-query && [ -r /etc/os-release ] &&
    grep -Eq '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release
}

# Sets as_root to what makes a command run as root ("" or "sudo"), or fails.
find_root() {
  if [ "$(id -u)" -eq 0 ]; then as_root=; return 0; fi
  has sudo || return 1
  # Without a terminal nobody can type a password.
  if sudo -n true 2>/dev/null || [ -t 0 ]; then as_root=sudo; return 0; fi
  return 1
}

# R packages from apt are of use to Debian's own R alone.
r_is_debians() { ! has R || [ "$(R RHOME)" = /usr/lib/R ]; }

deb_installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -q '^installed$'; }

deb_available() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'; }

# A bare system has no lists. What is installed looks available even so: asking for a package does not tell.
apt_has_lists() { ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; }

# --- what is missing -----------------------------------------------------------------------------

# The packages in field $1 of DESCRIPTION, one a line, with the least version after a space if there is one.
description_field() {
  awk -v field="$1:" '
    /^[^ \t]/ { inside = ($1 == field); sub(/^[^ ]*/, "") }
    inside { text = text " " $0 }
    END {
      gsub(/[()>=]/, "", text)
      n = split(text, item, ",")
      for (i = 1; i <= n; i++) { $0 = item[i]; if (NF) print $1 (NF > 1 ? " " $2 : "") }
    }' DESCRIPTION
}

# Of the packages on standard input, those that R does not have (or not in that version). Without R, all but R's own.
missing_r_packages() {
  if ! has Rscript; then
    grep -Ev '^(R|base|methods|stats|utils|graphics|grDevices|tools|parallel|grid|splines|stats4|compiler)( |$)' |
      cut -d ' ' -f 1
    return
  fi
  Rscript --no-init-file --no-site-file -e '
    for (line in readLines(file("stdin"))) {
      need <- strsplit(line, " ")[[1]]
      if (need[1] == "R") next
      have <- tryCatch(as.character(packageVersion(need[1])), error = function(e) NULL)
      if (is.null(have) || (length(need) > 1 && package_version(have) < need[2])) cat(need[1], "\n", sep = "")
    }'
}

# The Debian package of R package $1, if apt knows one.
deb_of_r_package() {
  lower=$(printf '%s' "$1" | tr '[:upper:]' '[:lower:]')
  for deb in "r-cran-$lower" "r-bioc-$lower"; do
    if deb_available "$deb"; then printf '%s\n' "$deb"; return 0; fi
  done
  return 1
}

# What the build needs of LibTorch is there when configure says so. It is asked only where a package cannot answer.
libtorch_there() {
  if [ -z "${LIBTORCH_HOME:-}" ] && is_debian && deb_installed "$TORCH_DEB"; then return 0; fi
  has R || return 1
  libtorch_report=$(RSCVI_PROBE_ONLY=1 sh ./configure 2>&1)
}

blas_is_mkl() { readlink -f "/usr/lib/$(multiarch)/libblas.so.3" 2>/dev/null | grep -q mkl; }
multiarch() { dpkg-architecture -q DEB_HOST_MULTIARCH 2>/dev/null || gcc -print-multiarch 2>/dev/null; }

# Sets build_tools, extra_tools, build_r, extra_r and torch_missing.
look_around() {
  build_tools='' extra_tools='' torch_missing=''
  if is_debian; then
    for deb in $BUILD_DEBS; do
      # Another R than Debian's brings its own headers and compiler settings.
      [ "$deb" = r-base-dev ] && ! r_is_debians && continue
      deb_installed "$deb" || build_tools="$build_tools $deb"
    done
    for deb in $EXTRA_DEBS; do
      [ "$deb" = libopenblas0-openmp ] && blas_is_mkl && continue
      deb_installed "$deb" || extra_tools="$extra_tools $deb"
    done
  else
    has R || build_tools="$build_tools R"
    has g++ || has clang++ || build_tools="$build_tools g++"
    has make || build_tools="$build_tools make"
    has cmake || extra_tools="$extra_tools cmake"
    has pandoc || extra_tools="$extra_tools pandoc"
    [ -e /usr/include/doctest/doctest.h ] || [ -e /usr/local/include/doctest/doctest.h ] ||
      [ -e /opt/homebrew/include/doctest/doctest.h ] || extra_tools="$extra_tools doctest"
  fi
  build_r=$({ description_field Depends; description_field Imports; description_field LinkingTo; } |
    sort -u | missing_r_packages | sort -u)
  # scRNAseq serves CortexDataset() alone, which downloads its data: neither tests nor demo need it.
  extra_r=$(description_field Suggests | grep -v '^scRNAseq' | missing_r_packages)
  libtorch_there || torch_missing=yes
}

nothing_missing() { [ -z "$build_tools$extra_tools$build_r$extra_r$torch_missing" ]; }
build_can_start() { [ -z "$build_tools$build_r$torch_missing" ]; }

# --- apt -----------------------------------------------------------------------------------------

# Runs apt-get quietly: what it says goes to the log, and is shown when it fails.
apt_get() {
  mkdir -p build
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" \
    </dev/null >>"$apt_log" 2>&1
}

# Fetches apt's lists, once a run.
apt_update() {
  [ -z "${apt_updated:-}" ] || return 0
  apt_updated=yes
  apt_get update || warn "apt-get update failed (see $apt_log); going on with the lists that are here."
}

# Sets debs to the packages that apt can install of what is missing.
choose_debs() {
  debs=
  for deb in $build_tools $extra_tools; do
    deb_available "$deb" && debs="$debs $deb"
  done
  if r_is_debians; then
    for package in $build_r $extra_r; do
      deb=$(deb_of_r_package "$package") && debs="$debs $deb"
    done
  fi
  [ -n "$torch_missing" ] && [ -z "${LIBTORCH_HOME:-}" ] && deb_available "$TORCH_DEB" && debs="$debs $TORCH_DEB"
  debs=${debs# }
}

install_missing() {
  apt_has_lists || apt_update
  choose_debs
  [ -n "$debs" ] || return 0
  apt_update
  choose_debs
  # shellcheck disable=SC2086
  {
    step "Installing with apt (a few minutes; what it says goes to $apt_log):"
    say $debs | fold -s -w 100
    if ! apt_get install -y --no-install-recommends $debs; then
      tail -n 20 "$apt_log" >&2
      warn "apt-get could not install them."
      exit 1
    fi
  }
  hash -r
  look_around
}

# --- BLAS ----------------------------------------------------------------------------------------

# LibTorch computes on OpenMP's threads. An OpenBLAS with threads of its own fights them for the processors (a training
# step was measured 4 times slower), so where nobody chose a BLAS by hand, the OpenMP one is chosen.
choose_blas() {
  [ -z "${RSCVI_KEEP_BLAS:-}" ] && is_debian && has update-alternatives || return 0
  triplet=$(multiarch)
  state=$(LC_ALL=C update-alternatives --query "libblas.so.3-$triplet" 2>/dev/null) || return 0
  current=$(printf '%s\n' "$state" | sed -n 's/^Value: //p' | head -n 1)
  wanted="/usr/lib/$triplet/openblas-openmp"
  case "$current" in "$wanted"/* | *mkl*) return 0 ;; esac
  [ -e "$wanted/libblas.so.3" ] || return 0

  case "$state" in *"Status: auto"*) by_hand='' ;; *) by_hand=yes ;; esac
  if [ -z "$by_hand" ] && find_root; then
    for library in libblas.so.3 liblapack.so.3 libopenblas.so.0; do
      $as_root update-alternatives --quiet --set "$library-$triplet" "$wanted/$library" 2>/dev/null
    done
    say "BLAS: the system now uses $wanted, which shares LibTorch's threads; it was"
    say "      $current. To go back: update-alternatives --auto libblas.so.3-$triplet,"
    say "      and the same for liblapack.so.3-$triplet and libopenblas.so.0-$triplet."
  else
    say "BLAS: $current is in use. Training is several times faster with the one in"
    say "      $wanted; as root: update-alternatives --config libblas.so.3-$triplet"
  fi
}

# --- what to say when it cannot be installed -----------------------------------------------------

# Names what is missing, then how to get it.
report_missing() {
  # shellcheck disable=SC2086
  {
    [ -z "$build_tools" ] || say "  to build it:" $build_tools
    [ -z "$build_r" ] || say "  R packages:" $build_r
    [ -z "$torch_missing" ] || say "  LibTorch, 1.13 or newer"
    [ -z "$extra_tools" ] || say "  for the tests, the vignette and for speed:" $extra_tools
    [ -z "$extra_r" ] || say "  R packages for tests, demo and vignette, which skip what needs them:" $extra_r
  }
  say "How to get it:"
  debs=
  if is_debian; then choose_debs; fi
  [ -z "$debs" ] || say "  apt-get install $debs"
  if [ -n "$build_tools" ] && [ -z "$debs" ]; then
    say "  R 4.2 or newer, a C++17 compiler and GNU make, from your system's packages"
  fi
  if [ -n "$extra_tools" ] && ! is_debian; then say "  from your system's packages, too:$extra_tools"; fi
  how_to_get_r_packages
  case " $debs " in *" $TORCH_DEB "*) ;; *) how_to_get_libtorch ;; esac
}

# For the R packages that apt does not have.
how_to_get_r_packages() {
  list=
  for package in $build_r $extra_r; do
    is_debian && r_is_debians && deb_of_r_package "$package" >/dev/null && continue
    list="$list, \"$package\""
  done
  [ -z "$list" ] || say "  Rscript -e 'install.packages(\"BiocManager\"); BiocManager::install(c(${list#, }))'"
}

how_to_get_libtorch() {
  [ -n "$torch_missing" ] || return 0
  if [ -n "${libtorch_report:-}" ]; then
    printf '%s\n' "$libtorch_report" | sed -n '/error:/,$p' | sed 's/^configure: error: /LibTorch: /; s/^/  /'
  else
    say "  LibTorch: Debian 12 or newer has it (apt-get install $TORCH_DEB); elsewhere unpack the C++ LibTorch of"
    say "  pytorch.org and set LIBTORCH_HOME to its folder"
  fi
}

# --- build and install ---------------------------------------------------------------------------

# The R library to install into: R's first, or the user's own where that cannot be written to.
r_library() {
  # shellcheck disable=SC2016
  Rscript --no-init-file --no-site-file -e '
    lib <- .libPaths()[1]
    if (file.access(lib, 2) != 0) {
      lib <- path.expand(strsplit(Sys.getenv("R_LIBS_USER", "~/R/library"), .Platform$path.sep)[[1]][1])
      dir.create(lib, recursive = TRUE, showWarnings = FALSE)
    }
    cat(lib)'
}

# One line that changes when the installed package would: sources, R, LibTorch, and where to look for LibTorch.
fingerprint() {
  {
    project_files | grep -E '^(\./)?(R|src|inst|man)/|^(\./)?(DESCRIPTION|NAMESPACE|configure|tools/probe.cpp)$' |
      LC_ALL=C sort | xargs cksum
    R --version | head -n 1
    if is_debian; then dpkg-query -W "$TORCH_DEB" r-cran-rcpp r-cran-rcppeigen 2>/dev/null; fi
    printf '%s\n' "${LIBTORCH_HOME:-}" "${TORCH_HOME:-}" "${RETICULATE_PYTHON:-}" "${CUDA_HOME:-}"
  } | cksum
}

# Whether the C++ side still finds the LibTorch that it was linked with. Loading all of rscvi would take three times as
# long, and its R packages have been looked for already.
links() { Rscript --vanilla -e "dyn.load('$library/rscvi/libs/rscvi.so')" >/dev/null 2>&1; }

up_to_date() {
  stamp="$library/rscvi/.built-from"
  [ -r "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ] && links
}

install_rscvi() {
  step "Building rscvi with $(jobs_to_run) jobs (some minutes), to install in $library"
  print=$(fingerprint)
  started=$(now)
  use_compiler_cache
  if ! MAKEFLAGS="-j$(jobs_to_run)" R CMD INSTALL --preclean --clean --no-multiarch --library="$library" .; then
    warn ""
    warn "rscvi could not be built; the first error is above."
    exit 1
  fi
  printf '%s\n' "$print" > "$library/rscvi/.built-from"
  say "rscvi is installed in $library ($(($(now) - started)) s)."
}

# --- main ----------------------------------------------------------------------------------------

look_around
if ! nothing_missing && is_debian && find_root; then install_missing; fi
choose_blas

if ! build_can_start; then
  warn "rscvi cannot be built here yet. Missing:"
  report_missing >&2
  if is_debian && ! find_root; then
    warn "This script installs them itself when run as root or by somebody with sudo."
  fi
  exit 1
fi
if ! nothing_missing; then
  say "Not here, and could not be installed (rscvi works without):"
  report_missing
fi

library=$(r_library)
if up_to_date; then
  say "rscvi is installed and up to date ($library)."
else
  install_rscvi
fi
