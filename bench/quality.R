# How good are fits? Held-out likelihood against a null model, the library's error and the latent space, on real data,
# for options ("levers") of the model and of training. QUALITY.md has the results, and the rule by which one set of them
# was chosen.
#
#   Rscript bench/quality.R --data pbmc3k --options K+A --seeds 0,1,2        fits what the results do not have yet
#   Rscript bench/quality.R --report bench/QUALITY.md                        makes the tables from the results
#
#   --data      a name, several with commas, or "all"      --options  sets with commas; their parts: quality-fit.R
#   --seeds     of the splits                              --fits     of each split: 0, or 0,1,...
#   --epochs    otherwise those of scvi 0.6.8's numbers; "recommended" has its own, whatever stands there
#   --shared    folder with data/ and reference/quality/   --results  csv that results are added to and read from
#   --threads   of the fits                                --seconds  begin no fit after so many
#
# Splits, protocol and the numbers of scvi 0.6.8: reference/quality/README.md there.

defaults <- list(data = "all", options = "plain", seeds = "0", fits = "0", epochs = "", shared = "../shared",
    results = "bench/quality.csv", threads = "1", seconds = "Inf", report = "")

script_folder <- function() {
    dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))))
}

parse_options <- function(arguments) {
    options <- defaults
    while (length(arguments) > 0L) {
        name <- sub("^--", "", arguments[1L])
        if (!name %in% names(defaults) || length(arguments) < 2L) {
            stop("unknown option or no value: ", arguments[1L], "; options: ", toString(paste0("--", names(defaults))))
        }
        options[[name]] <- arguments[2L]
        arguments <- arguments[-(1:2)]
    }
    options
}

listed <- function(text) strsplit(text, ",", fixed = TRUE)[[1L]]

result_columns <- c("data", "options", "seed", "fit", "epochs", "metric", "value")

read_results <- function(file) {
    if (!file.exists(file)) return(NULL)
    results <- utils::read.csv(file, colClasses = c(data = "character", options = "character"))
    if (!identical(names(results), result_columns)) stop(file, " has other columns than ", toString(result_columns))
    results
}

# One row a metric: a run that is cut short leaves whole fits behind it.
add_results <- function(file, data, options, seed, fit, epochs, values) {
    rows <- data.frame(data, options, seed, fit, epochs, metric = names(values), value = signif(unname(values), 7L))
    utils::write.table(rows, file, append = file.exists(file), col.names = !file.exists(file), row.names = FALSE,
        sep = ",", quote = FALSE)
}

run_fits <- function(options) {
    suppressPackageStartupMessages({
        library(rscvi)
        library(Matrix)
    })
    num_threads(as.integer(options$threads))
    start <- proc.time()[["elapsed"]]
    for (name in if (options$data == "all") names(quality_sets) else listed(options$data)) {
        data <- NULL
        epochs <- if (nzchar(options$epochs)) as.integer(options$epochs) else quality_sets[[name]]$epochs
        todo <- expand.grid(set = listed(options$options), seed = as.integer(listed(options$seeds)),
            fit = as.integer(listed(options$fits)), stringsAsFactors = FALSE)
        for (k in seq_len(nrow(todo))) {
            set <- todo$set[k]
            seed <- todo$seed[k]
            done <- read_results(options$results)
            if (any(done$data == name & done$options == set & done$seed == seed & done$fit == todo$fit[k] &
                done$epochs == epochs)) next
            if (proc.time()[["elapsed"]] - start > as.numeric(options$seconds)) return(message("out of time"))
            if (is.null(data)) data <- read_quality_data(options$shared, name)
            test <- held_out_cells(options$shared, name, seed)
            of_fit <- seed + 1000L * todo$fit[k]
            values <- measure_quality(fit_quality(data, test, parse_levers(set), of_fit, epochs), data, test, of_fit)
            add_results(options$results, name, set, seed, todo$fit[k], epochs, values)
            message(sprintf("%s, %s, split %d, fit %d: %s", name, set, seed, todo$fit[k],
                paste(names(values), signif(values, 4L), collapse = ", ")))
        }
    }
}

options <- parse_options(commandArgs(trailingOnly = TRUE))
for (file in c("quality-data.R", "quality-fit.R", "quality-report.R")) source(file.path(script_folder(), file))
if (nzchar(options$report)) write_report(options) else run_fits(options)
