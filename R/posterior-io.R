# Posteriors in folders.

#' Save and load a posterior
#'
#' `save_posterior()` writes a posterior, with its model and its data set, to a new folder; `load_posterior()` needs
#' nothing but that folder. What is loaded is what was saved, bit for bit: the same weights, counts, corrupted counts,
#' cells, labels with their codes and levels, and so the same results with the same `seed`.
#'
#' # When something goes wrong
#' The folder is written under another name and renamed when it is complete: it is whole, or not there. What cannot be
#' written is an error, and the posterior stays as it is. `load_posterior()` checks every file against its checksum, so
#' that a copy that was cut short or changed is noticed.
#'
#' # Format
#' Four files, which other programs can read as well:
#' \describe{
#'   \item{`posterior.json`}{format and version; class, cells (`indices`) and settings of the posterior; class, options,
#'     and names of genes, batches and labels of the model; and a description of the data set that says which tensor is
#'     what. Indices and codes count from 1.}
#'   \item{`model.safetensors`}{the weights, named as in scvi 0.6.8, in single precision; [load_model()] takes it, too.}
#'   \item{`dataset.safetensors`}{the numbers of the data set. `counts/p`, `counts/i` (from 0) and `counts/x` are the
#'     compressed columns of genes x cells. Each tensor has the narrowest type that holds its values exactly: counts up
#'     to 255 take one byte each.}
#'   \item{`MD5SUMS`}{checksums of the other three: `md5sum -c MD5SUMS` checks a folder without R. They show damage, not
#'     forgery.}
#' }
#' The files hold vectors, lists and tables, and nothing that could be run: unlike an `.rds` file, a folder from a
#' stranger cannot execute code when it is loaded. For the same reason a column of `cell_data()` that is none of these
#' (an S4 object other than a `DataFrame` or `Rle`, a function) is left out, with a warning that names it.
#'
#' # Differences from scvi 0.6.8
#' There the labels are numbered anew on loading, in the order in which they first appear, so that a model that depends
#' on them sees others; cells without counts are dropped while the indices stay; the model has to be built again by
#' hand, with the same arguments; and the order of the cells is random. A folder that scvi 0.6.8 wrote cannot be read
#' here, nor the other way round.
#'
#' @param post a [Posterior()].
#' @param dir path of the folder. `save_posterior()` makes it: it must not be there yet, the folder that it is in must.
#' @param model `NULL`: the model is made anew. Or a model built with the same arguments as the saved one: the saved
#'   weights are loaded into it, **it is changed in place** and becomes the posterior's, as in 0.6.8.
#' @param use_cuda see [Posterior()]. `NULL`: as it was saved; but a posterior that asked for a GPU uses the CPU where
#'   there is none.
#' @param ... other settings to change, as [update()] takes them: `batch_size`, `shuffle`.
#' @return `save_posterior()`: the path, invisibly. `load_posterior()`: a [Posterior()].
#' @section Errors: `rscvi_save_failed`: the folder is there already, or cannot be written (also: a full disk).
#'   `rscvi_bad_save`: the folder lacks a file, a file was cut short or changed, or it is of a newer version; the
#'   message names the file. `rscvi_model_mismatch`: `model` was built with other arguments. `rscvi_not_saved` (a
#'   warning): parts of `cell_data()` were left out.
#' @seealso [save_model()]
#' @examples
#' dataset <- GeneExpressionDataset(example_pbmc(), batch = "batch", labels = "cell_type")
#' dataset <- subsample_genes(dataset, 100, mode = "variance")
#' post <- Posterior(VAE(dataset, n_hidden = 16, seed = 1), dataset, indices = batch_indices(dataset) == "stim")
#' dir <- tempfile("posterior")
#' save_posterior(post, dir)
#' file.size(file.path(dir, list.files(dir)))
#' again <- load_posterior(dir)
#' identical(get_latent(again), get_latent(post))
#' @name save_posterior
NULL

posterior_files <- c(description = "posterior.json", model = "model.safetensors", dataset = "dataset.safetensors")

#' @rdname save_posterior
#' @export
setMethod("save_posterior", "Posterior", function(post, dir) {
    dir <- check_destination(dir, "dir", "folder")
    check_savable(post)
    left_out <- NULL
    write_whole(dir, function(unfinished) {
        create_folder(unfinished)
        at <- function(what) file.path(unfinished, posterior_files[[what]])
        cells <- enc2utf8(cell_names(post@gene_dataset))
        tensors <- new_tensors(shared = list(cells = cells))
        dataset <- describe_dataset(post@gene_dataset, tensors)
        write_tensors(tensors, at("dataset"))
        write_model(post@model, at("model"))
        about <- list(format = "rscvi posterior", format_version = save_format_version,
            rscvi_version = as.character(utils::packageVersion("rscvi")),
            posterior = describe_posterior(post), model = describe_model(post@model), dataset = dataset,
            cells = json_array(cells))
        write_text(to_json_text(about), at("description"))
        write_checksums(unfinished, posterior_files)
        left_out <<- tensors$left_out
    })
    if (length(left_out)) {
        warn_rscvi(c("Left out what is no plain data: {.val {left_out}}.",
            i = "These are parts of {.fn cell_data}; no result depends on them."), class = "not_saved")
    }
    invisible(dir)
})

# What a subclass adds would be lost, and what is not valid could not be loaded.
check_savable <- function(post) {
    slots <- function(class) methods::slotNames(methods::getClass(class))
    if (!setequal(methods::slotNames(post), slots("Posterior")) ||
        !identical(as.character(class(post@gene_dataset)), "GeneExpressionDataset")) {
        abort_rscvi(c("A {.cls {class(post)[1L]}} of a {.cls {class(post@gene_dataset)[1L]}} cannot be saved to a
            folder of rscvi.", i = "Use {.fn saveRDS}."), class = "save_failed")
    }
    problems <- methods::validObject(post@gene_dataset, test = TRUE, complete = TRUE)
    names_are_text <- all_text(unlist(c(post@gene_dataset@counts@Dimnames, levels(post@gene_dataset@batch),
        levels(post@gene_dataset@labels), colnames(post@gene_dataset@proteins))))
    if (!names_are_text) problems <- "names are text in an unknown encoding"
    if (!isTRUE(problems)) {
        abort_rscvi(c("The data set of this posterior is not valid, and could not be loaded again.", x = "{problems}"),
            class = "save_failed")
    }
    check_savable_model(post@model)
}

describe_posterior <- function(post) {
    list(class = as.character(class(post)), version = post@version, shuffle = post@shuffle,
        use_corrupted = post@use_corrupted, use_cuda = post@use_cuda, data_loader_kwargs = post@data_loader_kwargs,
        indices = json_array(post@indices))
}

# Everything but the names of the cells, which are the description's `cells`.
describe_dataset <- function(dataset, tensors) {
    counts <- dataset@counts
    add <- function(x, name) pack(x, name, tensors)
    list(
        version = dataset@version, n_genes = nrow(counts), n_cells = ncol(counts),
        genes = json_array(rownames(counts)),
        p = add(counts@p, "counts/p"), i = add(counts@i, "counts/i"), x = add(counts@x, "counts/x"),
        corrupted = add(dataset@corrupted, "corrupted/x"), batch = add(dataset@batch, "batch"),
        labels = add(dataset@labels, "labels"), local_means = add(dataset@local_means, "local_means"),
        local_vars = add(dataset@local_vars, "local_vars"),
        covariates = add(dataset@covariates, "covariates"), proteins = add(dataset@proteins, "proteins"),
        cell_data = add(dataset@cell_data, "cell_data")
    )
}

#' @rdname save_posterior
#' @export
load_posterior <- function(dir, model = NULL, use_cuda = NULL, ...) {
    dir <- path.expand(check_string(dir, "dir"))
    check_optional(model, "model", check_class, "SCVIModel")
    use_cuda <- check_use_cuda(use_cuda)
    about <- read_posterior_description(dir)
    at <- function(what) file.path(dir, posterior_files[[what]])
    dataset <- reading(at("dataset"), rebuild_dataset(about, at("dataset")))
    saved_model <- reading(at("description"), rebuild_model(about$model))
    if (!is.null(model)) check_same_model(model, saved_model)
    post <- reading(at("description"), rebuild_posterior(about$posterior, saved_model, dataset))
    post@use_cuda <- if (is.null(use_cuda)) usable_cuda(post@use_cuda) else use_cuda
    post <- update(post, ...)
    # Last, when nothing can fail any more but this: a model that was given is changed.
    if (!is.null(model)) post@model <- model
    read_weights(post@model, at("model"))
    post
}

read_posterior_description <- function(dir) {
    file <- file.path(dir, posterior_files[["description"]])
    if (!dir.exists(dir)) {
        bad_save("There is no folder {.path {dir}}.", advice = "The current folder is {.path {getwd()}}.")
    }
    if (file.exists(file.path(dir, "posterior_type.txt"))) {
        bad_save("{.path {dir}} was saved by scvi in Python, whose files rscvi does not read.",
            advice = "Weights can be brought over, see {.fn read_safetensors}.")
    }
    if (!file.exists(file)) bad_save("{.path {dir}} lacks the file {.file {basename(file)}}.")
    about <- reading(file, from_json_text(read_text(file)))
    # First: a newer format may have other files.
    check_format(about, "rscvi posterior", file)
    check_checksums(dir, posterior_files)
    about
}

# The files may be forged: what the core reads in place or uses as an index is checked here, most of it by the validity
# of the classes.
rebuild_dataset <- function(about, file) {
    d <- about$dataset
    cells <- json_strings(about$cells)
    source <- list(file = file, shared = list(cells = cells))
    get <- function(what) unpack(d[[what]], source)
    counts <- methods::new("dgCMatrix",
        p = get("p"), i = get("i"), x = get("x"), Dim = c(json_integers(d$n_genes), json_integers(d$n_cells)),
        Dimnames = list(json_strings(d$genes), cells)
    )
    if (counts@p[length(counts@p)] != length(counts@x)) abort_rscvi("the counts have values outside all columns")
    dataset <- methods::new("GeneExpressionDataset",
        counts = counts, corrupted = get("corrupted"), batch = get("batch"), labels = get("labels"),
        local_means = get("local_means"), local_vars = get("local_vars"),
        covariates = if (is.null(d$covariates)) S4Vectors::make_zero_col_DFrame(ncol(counts)) else get("covariates"),
        proteins = get("proteins"),
        cell_data = get("cell_data"), version = check_string(d$version, "version"),
        cache = new.env(parent = emptyenv())
    )
    check_raw(dataset@counts)
    if (!is.null(dataset@corrupted)) check_raw(corrupted_counts(dataset))
    dataset
}

check_raw <- function(counts) {
    problem <- counts_report_cpp(counts)$problem
    if (problem != "none") abort_rscvi("it holds {sub('_', ' ', problem)} counts")
}

rebuild_posterior <- function(about, model, dataset) {
    class <- check_string(about$class, "class")
    if (!methods::extends(class, "Posterior")) abort_rscvi("unknown class of posterior: {.val {class}}")
    check_model_fits(model, dataset)
    kwargs <- about$data_loader_kwargs
    post <- methods::new(class,
        model = model, gene_dataset = dataset,
        indices = check_indices(json_integers(about$indices), "indices", nb_cells(dataset)),
        shuffle = check_flag(about$shuffle, "shuffle"),
        use_cuda = check_optional(about$use_cuda, "use_cuda", check_flag),
        data_loader_kwargs = check_data_loader_kwargs(if (is.null(kwargs)) list() else kwargs),
        use_corrupted = check_flag(about$use_corrupted, "use_corrupted"),
        version = check_string(about$version, "version")
    )
    if (post@use_corrupted && is.null(dataset@corrupted)) abort_rscvi("there are no corrupted counts to read")
    post
}

usable_cuda <- function(saved) {
    if (!isTRUE(saved) || cuda_is_available()) return(saved)
    inform_rscvi(c("The saved posterior asks for a GPU, and there is none here.", i = "It uses the CPU."),
        class = "no_gpu")
    NULL
}

# Weights are loaded into a model of the same class, built with the same arguments.
check_same_model <- function(model, saved) {
    describe <- function(x) paste(names(x), vapply(x, format, character(1L)), sep = " = ")
    if (!identical(class(model), class(saved))) {
        abort_rscvi("{.arg model} is a {.cls {class(model)}}, but the saved model is a {.cls {class(saved)}}.",
            class = "model_mismatch")
    }
    if (!identical(model@options, saved@options)) {
        abort_rscvi(c(
            "{.arg model} was built with other arguments than the saved model.",
            x = "{.arg model} has {.code {setdiff(describe(model@options), describe(saved@options))}}.",
            x = "The saved model has {.code {setdiff(describe(saved@options), describe(model@options))}}.",
            i = "Leave out {.arg model}: it is made anew."
        ), class = "model_mismatch")
    }
    for (slot in c("genes", "batch_levels", "label_levels")) {
        given <- methods::slot(model, slot)
        if (!is.null(given) && !identical(given, methods::slot(saved, slot))) {
            abort_rscvi(c("{.arg model} was built for other {.field {slot}} than the saved model.",
                i = "Leave out {.arg model}: it is made anew."), class = "model_mismatch")
        }
    }
}
