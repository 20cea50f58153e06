# Tables of what bench/run.R measured. Sourced by run.R.

# "0.512 (0.500 to 0.530)"
times <- function(seconds) {
    number <- function(x) formatC(x, digits = 3L, format = "fg", flag = "#")
    sprintf("%s (%s to %s)", number(stats::median(seconds)), number(min(seconds)), number(max(seconds)))
}

ratio <- function(x) formatC(x, digits = 2L, format = "f")
megabytes <- function(x) paste(count(round(x / 1e6)), "MB")
verdict <- function(met) if (is.na(met)) "" else if (met) "yes" else "**no**"

table_lines <- function(header, rows) {
    line <- function(cells) paste0("| ", paste(cells, collapse = " | "), " |")
    c(line(header), line(rep("---", length(header))), vapply(rows, line, ""), "")
}

seconds_of <- function(measured, job, side, threads) {
    measured$seconds[measured$title == job$title & measured$side == side & measured$threads == threads]
}

# All goals but memory and threads.
speed_lines <- function(jobs, measured, threads) {
    rows <- lapply(jobs, function(job) {
        rscvi <- seconds_of(measured, job, "rscvi", threads)
        pytorch <- seconds_of(measured, job, "pytorch", threads)
        if (length(pytorch) == 0L) return(c(job$title, times(rscvi), "-", "-", "", ""))
        faster <- stats::median(pytorch) / stats::median(rscvi)
        goal <- if (is.na(job$faster)) "" else paste(">=", job$faster)
        c(job$title, times(rscvi), times(pytorch), ratio(faster), goal, verdict(faster >= job$faster))
    })
    table_lines(c("job", "rscvi, s", "PyTorch, s", "PyTorch / rscvi", "goal", "met"), rows)
}

floor_lines <- function(jobs, measured, threads) {
    rows <- lapply(jobs, function(job) {
        rscvi <- stats::median(seconds_of(measured, job, "rscvi", threads))
        if (!is.null(job$below)) {
            return(c(job$title, "seconds", ratio(rscvi), paste("<", job$below), verdict(rscvi < job$below)))
        }
        products <- seconds_of(measured, job, "products", threads)
        if (length(products) == 0L) return(NULL)
        share <- rscvi / stats::median(products)
        c(job$title, sprintf("rscvi / its dense products, %s s", times(products)), ratio(share),
            if (is.na(job$products)) "" else paste("<=", job$products), verdict(share <= job$products))
    })
    rows <- Filter(Negate(is.null), rows)
    if (length(rows)) table_lines(c("job", "what", "measured", "goal", "met"), rows)
}

memory_lines <- function(jobs, memory) {
    if (is.null(memory)) return(NULL)
    rows <- lapply(jobs, function(job) {
        of_side <- function(side) memory[memory$title == job$title & memory$side == side, ]
        rscvi <- of_side("rscvi")
        pytorch <- of_side("pytorch")
        limit <- job$memory(rscvi$bytes)
        c(job$title, megabytes(rscvi$bytes), megabytes(rscvi$peak), paste("<=", megabytes(limit)),
            verdict(rscvi$peak <= limit), megabytes(pytorch$bytes), megabytes(pytorch$peak))
    })
    c("## Memory", "",
        "Peak of a process that does just this job, above what it had before. A number has 8 bytes in R and 4 in",
        "PyTorch.", "",
        table_lines(c("job", "result", "peak", "goal", "met", "PyTorch: result", "peak"), rows))
}

threads_lines <- function(jobs, measured, threads) {
    if (length(threads) < 2L) return(NULL)
    few <- threads[1L]
    many <- threads[2L]
    rows <- lapply(jobs, function(job) {
        gain <- function(side) {
            stats::median(seconds_of(measured, job, side, few)) / stats::median(seconds_of(measured, job, side, many))
        }
        c(job$title, times(seconds_of(measured, job, "rscvi", few)), times(seconds_of(measured, job, "rscvi", many)),
            ratio(gain("rscvi")), paste(">=", job$threads), verdict(gain("rscvi") >= job$threads),
            ratio(gain("pytorch")))
    })
    c(sprintf("## %d threads against %d", many, few), "",
        table_lines(c("job", sprintf("rscvi, s, %d", few), sprintf("rscvi, s, %d", many), "gain", "goal", "met",
            "PyTorch's gain"), rows))
}

million_lines <- function(million) {
    if (is.null(million)) return(NULL)
    per_cell <- million$per_cell / million$per_cell_few
    limit <- million$counts + million_allowance
    c(sprintf("## %s cells x %s genes, %g %% of the counts not zero", count(million$cells), count(million$genes),
        100 * million$density), "",
    table_lines(c("what", "measured", "goal", "met"), list(
        c("one epoch", sprintf("%.1f s", million$per_cell * million$cells), "", ""),
        c("time per cell", sprintf("%.1f us", 1e6 * million$per_cell), "", ""),
        c(sprintf("against that of the first %s of these cells alone, %.1f us", count(million$few),
            1e6 * million$per_cell_few), ratio(per_cell), paste("<=", million_per_cell),
        verdict(per_cell <= million_per_cell)),
        c(sprintf("peak memory of the process; the dgCMatrix takes %s", megabytes(million$counts)),
            megabytes(million$peak), paste("<=", megabytes(limit)), verdict(million$peak <= limit)))))
}

machine_lines <- function(versions, options) {
    # Some names stand for several generations of processors: numbers tell them apart.
    cpu <- vapply(c("model name", "cpu family", "model"), function(field) {
        trimws(sub("^[^:]*:", "", grep(paste0("^", field, "\\s*:"), readLines("/proc/cpuinfo"), value = TRUE)[1L]))
    }, "")
    memory <- as.numeric(gsub("[^0-9]", "", readLines("/proc/meminfo", 1L))) * 1024
    kernels <- Sys.getenv("OPENBLAS_CORETYPE")
    c(sprintf("* %s, `%s`", format(Sys.Date()), paste(c("Rscript bench/run.R", commandArgs(TRUE)), collapse = " ")),
        sprintf("* %s%s, %d cores, %.0f GB of memory; %s", cpu[1L],
            if (anyNA(cpu)) "" else sprintf(" (family %s, model %s)", cpu[2L], cpu[3L]), parallel::detectCores(),
            memory / 1e9, utils::sessionInfo()$running),
        paste("*", versions),
        if (nzchar(kernels)) sprintf("* OPENBLAS_CORETYPE=%s for all of them, see `?rscvi`", kernels),
        sprintf("* threads: %s; medians of up to %d repetitions (no more of a job once it took %g s), in brackets the",
            paste(options$threads, collapse = " and "), options$repetitions, options$seconds),
        "  smallest and the largest; rscvi, PyTorch and the bare products took turns", "")
}

# What people wrote below this line stays when the results are written anew.
notes_heading <- "## Notes"

write_results <- function(lines, file) {
    old <- if (file.exists(file)) readLines(file) else character()
    at <- match(notes_heading, old)
    writeLines(c(lines, if (!is.na(at)) old[at:length(old)]), file)
}
