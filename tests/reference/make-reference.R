# Turns folders of numbers that scvi 0.6.8 computed (JSON, CSV and MatrixMarket) into tests/testthat/reference/*.rds,
# one file a folder, which reference() in tests/testthat/helper-reference.R reads.
#
#   Rscript tests/reference/make-reference.R SOURCE OUTPUT [FOLDER ...]
#
# SOURCE holds the folders, OUTPUT is tests/testthat/reference. Without FOLDER names, those in `default_folders`
# are converted. Needs jsonlite and Matrix. README.md beside this script describes the result.

default_folders <- c("_common", "p1_vae_zinb_gene", "p2_vae_nb_genebatch_2layers", "p3_vae_poisson_ln_nobatch",
    "p4_ldvae_nb_gene", "p5_vaec_zinb_genelabel", "p6_scanvi_zinb_genecell")

# JSON has no Inf and no NaN: they are the strings "Inf", "-Inf" and "NaN" in the source. Values are read one by one,
# as a simplified array with a string in it would turn into strings as a whole, rounded to 15 digits.
numbers <- function(data) vapply(data, as.numeric, numeric(1))

# The source prints a float32 with 9 digits, which names it exactly: rounding gives its very bits back, and half of the
# bytes of each double are then zero, which halves the file.
to_float32 <- function(x) readBin(writeBin(x, raw(), size = 4L), "numeric", n = length(x), size = 4L)

values <- function(tensor) {
    data <- switch(tensor$dtype,
        float32 = to_float32(numbers(tensor$data)),
        float64 = numbers(tensor$data),
        int64 = as.integer(numbers(tensor$data)),
        string = vapply(tensor$data, as.character, character(1)),
        stop("unknown dtype ", tensor$dtype)
    )
    if (anyNA(data) && !all(is.nan(data[is.na(data)]))) stop("a value could not be read")
    data
}

# Torch stores the last index fastest, R the first: filling an array of reversed dimensions and turning them round
# makes x[i, j] in R the element (i, j) of the tensor. Vectors and scalars stay without dimensions.
tensor_to_array <- function(tensor) {
    shape <- as.integer(unlist(tensor$shape))
    data <- values(tensor)
    stopifnot(length(data) == prod(shape))
    if (length(shape) < 2L) return(data)
    aperm(array(data, dim = rev(shape)))
}

is_tensor <- function(x) is.list(x) && all(c("shape", "data") %in% names(x))

convert <- function(x) {
    if (is_tensor(x)) return(tensor_to_array(x))
    if (!is.list(x)) return(x)
    if (!is.null(names(x))) return(lapply(x, convert))
    unlist(x)
}

read_json <- function(file) convert(jsonlite::fromJSON(file, simplifyVector = FALSE))

read_table <- function(file) utils::read.csv(file, stringsAsFactors = FALSE)

# genes x cells, as the package takes it, with the names of genes.csv and cells.csv.
read_counts <- function(file, genes, cells) {
    counts <- methods::as(methods::as(Matrix::readMM(file), "CsparseMatrix"), "dMatrix")
    dimnames(counts) <- list(genes$gene, cells$cell)
    counts
}

read_folder <- function(folder) {
    files <- list.files(folder, full.names = TRUE)
    part <- function(file) sub("[.][a-z]+$", "", basename(file))
    tables <- grep("[.]csv$", files, value = TRUE)
    jsons <- grep("[.]json$", files, value = TRUE)
    result <- c(
        setNames(lapply(jsons, read_json), part(jsons)),
        setNames(lapply(tables, read_table), part(tables))
    )
    counts <- file.path(folder, "counts.mtx")
    if (file.exists(counts)) result$counts <- read_counts(counts, result$genes, result$cells)
    left <- setdiff(files, c(jsons, tables, counts))
    if (length(left) > 0L) warning("not converted: ", toString(basename(left)))
    result
}

main <- function(source, output, folders) {
    for (folder in folders) {
        file <- file.path(output, paste0(folder, ".rds"))
        saveRDS(read_folder(file.path(source, folder)), file, version = 2L, compress = "xz")
        message(sprintf("%s: %.0f kB", file, file.size(file) / 1e3))
    }
}

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) < 2L) stop("usage: Rscript make-reference.R SOURCE OUTPUT [FOLDER ...]")
folders <- arguments[-(1:2)]
main(arguments[[1L]], arguments[[2L]], if (length(folders) > 0L) folders else default_folders)
