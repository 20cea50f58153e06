#!/bin/sh
# Shows rscvi at work on real cells. Sets the machine up first, which does nothing when that has been done.
#
#   sh tools/demo.sh [arguments of tools/demo.R]
set -eu

. "$(dirname "$0")/common.sh"
sh "$root/tools/setup.sh"
exec Rscript "$root/tools/demo.R" "$@"
