#!/bin/sh
# R CMD check on the package as a user would get it: a tarball built from the project's files, checked without the
# manual.
#
#   sh tools/check.sh [more arguments for R CMD check, such as --no-tests]
#
# Errors and warnings make it fail; notes are shown. What it leaves is in build/check.
set -u

. "$(dirname "$0")/common.sh"
[ -n "${RSCVI_SETUP_DONE:-}" ] || sh "$root/tools/setup.sh" || exit 1

place="$root/build/check"
rm -rf "$place"
mkdir -p "$place/rscvi" || exit 1

# A copy, so that nothing that was built or is ignored can slip into the tarball.
project_files > "$place/files"
tar -C "$root" -c -f - -T "$place/files" | tar -C "$place/rscvi" -x -f - || exit 1

cd "$place" || exit 1
MAKEFLAGS="-j$(jobs_to_run)"
export MAKEFLAGS
use_compiler_cache

# What the vignette cannot do without. R CMD build compiles the package once more to run it.
can_build_vignettes() {
  has pandoc && Rscript --no-init-file --no-site-file -e '
    needed <- c("knitr", "rmarkdown", "BiocStyle")
    quit(status = !all(vapply(needed, requireNamespace, NA, quietly = TRUE)))' >/dev/null 2>&1
}

# The vignette is run once, here: R CMD check would run its code, and then build it again.
if can_build_vignettes; then
  step "R CMD build, with the vignette"
  R CMD build rscvi || exit 1
  vignettes=--no-vignettes
else
  step "R CMD build, without the vignette (it needs pandoc and the R packages knitr, rmarkdown and BiocStyle)"
  R CMD build --no-build-vignettes rscvi || exit 1
  vignettes=--ignore-vignettes
fi

step "R CMD check"
export _R_CHECK_FORCE_SUGGESTS_=false _R_CHECK_CRAN_INCOMING_=false
# R CMD check asks CRAN about dependencies. An empty repository of our own keeps it off the network.
mkdir -p repository/src/contrib && : > repository/src/contrib/PACKAGES
printf 'options(repos = c(CRAN = "file://%s/repository"))\n' "$place" > profile.R
export R_PROFILE="$place/profile.R" _R_CHECK_XREFS_REPOSITORIES_="file://$place/repository"
R CMD check --no-manual "$vignettes" "$@" rscvi_*.tar.gz
log="$place/rscvi.Rcheck/00check.log"
status=$(grep '^Status:' "$log" 2>/dev/null)
say "R CMD check: ${status:-Status: it did not finish}"
case "$status" in
  *ERROR* | *WARNING*)
    if grep -q "can be installed ... ERROR" "$log"; then tail -n 40 "$place/rscvi.Rcheck/00install.out"; fi
    exit 1 ;;
  *OK* | *NOTE*) exit 0 ;;
  *) exit 1 ;;
esac
