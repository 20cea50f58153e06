# How fast is rscvi, beside plain PyTorch and beside the bare matrix products of a training step?
#
#   Rscript bench/run.R [--threads 1] [--repetitions 3] [--jobs all] [--results bench/RESULTS.md] ...  (options: below)
#
# Each job (goals.R) is done by rscvi (jobs.R), by plain PyTorch or scikit-learn (jobs_pytorch.py), and for training by
# the dense products alone, in turn, in processes with the same number of threads and the same made-up counts
# (simulate.R), once to warm up and then `repetitions` times. Prints medians, ratios and goals, and writes them to
# RESULTS.md; what stands there from "## Notes" on stays. Nothing else should run on the machine meanwhile.
#
# With --threads 1,2 the jobs are done with either number, in turn, and compared. --jobs million trains on 1,000,000
# cells (5 GB of memory, 3 GB of disk, minutes); "all" does not include it. Linux only: memory is read from /proc.
# Needs rscvi and a Python with torch, numpy, scipy and scikit-learn (Debian: python3-torch python3-sklearn).

defaults <- list(
    cells = 20000L, genes = 2000L, density = 0.1,
    `small-cells` = 3005L, `small-genes` = 558L,
    neighbours = c(20000L, 100000L),  # cells in latent space
    threads = 1L,                     # or two numbers, to compare
    repetitions = 3L,
    seconds = 30,                     # a job is not repeated once its turns took this long, warm-up included
    jobs = "all",                     # or names, e.g. epoch,elbo,million
    memory = "yes",                   # "no" leaves out the peak memory, which takes processes of its own
    `million-cells` = 1000000L, `million-genes` = 2000L, `million-density` = 0.05,
    python = "",                      # default: the first of python3, /usr/bin/python3 that has torch
    results = "RESULTS.md"            # default: beside this script
)

sides <- c(rscvi = "rscvi", pytorch = "pytorch")

script_folder <- function() {
    dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))))
}

parse_options <- function(arguments) {
    options <- defaults
    options$results <- file.path(script_folder(), options$results)
    while (length(arguments) > 0L) {
        name <- sub("^--", "", arguments[1L])
        if (!name %in% names(defaults) || length(arguments) < 2L) {
            stop("unknown option or no value: ", arguments[1L], "; options: ", toString(paste0("--", names(defaults))))
        }
        values <- strsplit(arguments[2L], ",")[[1L]]
        options[[name]] <- methods::as(values, class(defaults[[name]]))
        if (anyNA(options[[name]])) stop(arguments[1L], " takes numbers, not ", arguments[2L])
        arguments <- arguments[-(1:2)]
    }
    if (options$python == "") options$python <- find_python()
    options
}

find_python <- function() {
    for (python in c("python3", "/usr/bin/python3")) {
        status <- suppressWarnings(system2(python, c("-c", shQuote("import torch, sklearn")), stderr = FALSE))
        if (status == 0L) return(python)
    }
    stop("no Python with torch and scikit-learn found; name one: --python /path/to/python3")
}

# One turn of a job on each side, and with each number of threads.
take_turn <- function(job, workers) {
    asked <- list(rscvi = job$name, pytorch = job$asked, products = if (!is.null(job$products)) "products")
    asked <- asked[lengths(asked) > 0L]
    rows <- list()
    for (threads in names(workers)) {
        for (side in names(asked)) {
            worker <- workers[[threads]][[if (side == "rscvi") "rscvi" else "pytorch"]]
            seconds <- ask_job(worker, asked[[side]], job$set$name)[["seconds"]]
            rows[[length(rows) + 1L]] <- data.frame(title = job$title, side = side, threads = as.integer(threads),
                seconds = seconds)
        }
    }
    do.call(rbind, rows)
}

# Rounds of all jobs, so that a job's repetitions lie apart in time.
measure_speed <- function(jobs, workers, options) {
    spent <- numeric(length(jobs))
    measured <- list()
    for (round in 0:options$repetitions) {
        for (k in seq_along(jobs)) {
            if (round > 1L && spent[k] > options$seconds) next
            turn <- take_turn(jobs[[k]], workers)
            spent[k] <- spent[k] + sum(turn$seconds)
            if (round > 0L) measured[[length(measured) + 1L]] <- turn
            message(sprintf("%s, %s: %s", if (round == 0L) "warm-up" else paste("round", round), jobs[[k]]$title,
                paste(sprintf("%s %.3f s", turn$side, turn$seconds), collapse = ", ")))
        }
    }
    do.call(rbind, measured)
}

run_million <- function(folder, options) {
    if (!"million" %in% options$jobs) return(NULL)
    message("a million cells: simulated, then trained on")
    result <- list(cells = options$`million-cells`, genes = options$`million-genes`,
        density = options$`million-density`, few = options$cells)
    folder <- file.path(folder, "million")
    rscript <- function(script, ...) {
        variables <- paste0(c("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "=", options$threads[1L])
        system2(file.path(R.home("bin"), "Rscript"), c(shQuote(file.path(script_folder(), script)), shQuote(folder),
            ...), env = variables, stdout = TRUE)
    }
    rscript("simulate.R", format(result$cells, scientific = FALSE), result$genes, result$density)
    answer <- as.numeric(strsplit(utils::tail(rscript("million.R", result$few), 1L), " ")[[1L]])
    c(result, stats::setNames(as.list(answer), c("per_cell", "per_cell_few", "counts", "peak")))
}

# Speed and memory of all jobs but the million: lines of the report.
run_jobs <- function(jobs, folder, options) {
    if (length(jobs) == 0L) return(NULL)
    sets <- lapply(jobs, `[[`, "set")
    for (set in sets[!duplicated(vapply(sets, `[[`, "", "name"))]) set$write(file.path(folder, set$name))
    workers <- lapply(stats::setNames(nm = as.character(options$threads)), function(threads) {
        lapply(sides, start_worker, folder, options, threads)
    })
    measured <- measure_speed(jobs, workers, options)
    for (worker in unlist(workers, recursive = FALSE)) close(worker)
    with_memory <- Filter(function(job) !is.null(job$memory), jobs)
    memory <- if (options$memory == "yes" && length(with_memory)) {
        measure_memory(with_memory, folder, options)
    }
    first <- options$threads[1L]
    c(sprintf("## Speed, threads: %d", first), "", speed_lines(jobs, measured, first),
        floor_lines(jobs, measured, first), threads_lines(jobs, measured, options$threads),
        memory_lines(with_memory, memory))
}

main <- function() {
    for (file in c("goals.R", "simulate.R", "workers.R", "report.R")) source(file.path(script_folder(), file))
    options <- parse_options(commandArgs(trailingOnly = TRUE))
    use_fitting_kernels()
    folder <- tempfile("bench")
    dir.create(folder)
    on.exit(unlink(folder, recursive = TRUE))
    jobs <- select_jobs(benchmark_jobs(options), options$jobs)
    lines <- c("# Speed and memory", "", "Written by `bench/run.R`.", "",
        machine_lines(ask_versions(folder, options), options),
        run_jobs(jobs, folder, options),
        million_lines(run_million(folder, options)))
    writeLines(lines)
    write_results(lines, options$results)
}

main()
