# Threads: those that the core computes with, while it does. What stands in `process` belongs to this process alone.

#' How many threads rscvi computes with
#'
#' Training and the methods of posteriors compute with several threads on the CPU: LibTorch's operators and matrix
#' products, and loops of the package's own; so does the search for neighbours of thousands of cells (BiocNeighbors'
#' threads; before its version 2.0 forked processes, but not in RStudio or on Windows). `num_threads()` says with how
#' many, `num_threads(n)` sets it.
#'
#' The default is the number of physical cores that this process may run on (two hardware threads of one core count
#' once: together they are hardly faster at matrix products than one), but never more than
#' * the CPU quota of the process's control group, as containers and batch systems set it, rounded down;
#' * the environment's `OMP_NUM_THREADS` and `OMP_THREAD_LIMIT`;
#' * 2 within `R CMD check`, that is, where `_R_CHECK_LIMIT_CORES_` is set to anything but `false`.
#'
#' `options(rscvi.num_threads = n)`, or else the environment variable `RSCVI_NUM_THREADS`, replaces the default if set
#' before the package is loaded. Both may be `"default"`. What cannot be understood is ignored with a warning.
#'
#' The number holds while rscvi computes, and for nothing else: each call sets the threads of OpenMP, of LibTorch and of
#' the BLAS that LibTorch calls, and puts back what was there when it ends. Loading the package changes none of them,
#' and R's own matrix products, the torch package and others keep theirs. A BLAS with threads of its own beside OpenMP's
#' (OpenBLAS built with pthreads) works on one while rscvi computes, since the two kinds get in each other's way; with
#' OpenBLAS built with OpenMP, with MKL or with oneDNN (see [rscvi]), products use `n`.
#'
#' The same seed, machine and number of threads give the same results to the last bit. Another number of threads sums in
#' another order, and gives the same up to rounding.
#'
#' Worker processes, as `BiocParallel::SnowParam()` has them, each use the default, so several of them ask for more
#' cores than there are: call `num_threads(1)` in each, or set `RSCVI_NUM_THREADS` before they start. A forked process,
#' as `BiocParallel::MulticoreParam()` has them, always computes with one thread, as OpenMP's do not survive a fork.
#'
#' Threads that wait for each other do so busily for a while, by default for milliseconds. Where other programs want the
#' same cores, two threads can be several times slower than one. `num_threads(1)` is a remedy; `GOMP_SPINCOUNT=1000` in
#' the shell that starts R (in `~/.profile`, say) is another. OpenMP reads it when R is started: `~/.Renviron` and
#' `Sys.setenv()` come too late, and so would rscvi.
#' @param n Number of threads, from 1 to 1024, or `NULL` or `"default"` for the default. More threads than cores make
#'   everything slower. It holds until the session ends.
#' @return The number of threads; with `n`, the one before, invisibly.
#' @section Errors: `rscvi_invalid_argument` if `n` is none of these; `rscvi_forked` if `n` is more than 1 in a forked
#'   process.
#' @examples
#' num_threads()
#' before <- num_threads(1)
#' num_threads(before)
#' @export
num_threads <- function(n) {
    before <- threads_to_use()
    if (missing(n)) return(before)
    asked <- check_threads(n)
    if (is_forked() && !is.null(asked) && asked > 1L) {
        abort_rscvi(c("{.arg n} is {n}, but a process that was forked computes with one thread.",
            i = "Use processes of their own: {.code BiocParallel::SnowParam()} instead of {.code MulticoreParam()}."),
        class = "forked")
    }
    process$asked <- asked
    invisible(before)
}

# Each thread costs memory and a place in the system's table, and OpenMP ends the process when there is none.
max_threads <- 1024L

# NULL stands for the default.
check_threads <- function(n) {
    if (is.null(n) || identical(n, "default")) return(NULL)
    legal <- is.numeric(n) && length(n) == 1L && !is.na(n) && n == floor(n) && n >= 1 && n <= max_threads
    if (!legal) {
        abort_rscvi(c("{.arg n} must be one whole number from 1 to {max_threads}, not {describe_value(n)}.",
            i = "{.code num_threads(NULL)} goes back to the default, which is {default_threads()} here."))
    }
    as.integer(n)
}

# `id`: the process that loaded rscvi. `asked`: the number asked for, NULL for the default.
process <- new.env(parent = emptyenv())

start_process <- function() {
    process$id <- Sys.getpid()
    process$asked <- threads_asked_at_load()
}

is_forked <- function() !identical(process$id, Sys.getpid())

threads_to_use <- function() {
    if (is_forked()) return(1L)
    if (!is.null(process$asked)) return(process$asked)
    if (is.null(process$default)) process$default <- default_threads()
    process$default
}

default_threads <- function() {
    limit <- tolower(Sys.getenv("_R_CHECK_LIMIT_CORES_"))
    min(granted_threads_cpp(), if (nzchar(limit) && limit != "false") 2L)
}

threads_asked_at_load <- function() {
    variable <- Sys.getenv("RSCVI_NUM_THREADS")
    option <- getOption("rscvi.num_threads")
    value <- if (!is.null(option)) option else if (nzchar(variable)) variable
    number <- if (is.character(value)) suppressWarnings(as.numeric(value)) else value
    tryCatch(check_threads(if (identical(value, "default")) NULL else number), rscvi_invalid_argument = function(e) {
        source <- if (is.null(option)) "the environment variable RSCVI_NUM_THREADS" else "the option rscvi.num_threads"
        warn_rscvi(c("{source} is {describe_value(value)}, and ignored.",
            i = "It must be a whole number from 1 to {max_threads}, or {.val default}."), class = "bad_setting")
        NULL
    })
}

# Runs `work` with the threads that are due; others' are put back. In a forked process one thread stays: those of OpenMP
# did not survive the fork, and whoever waits for them hangs, R's own matrix products too.
with_threads <- function(work) {
    before <- compute_with_threads_cpp(threads_to_use())
    if (!is_forked()) on.exit(set_threads_cpp(before))
    work
}
