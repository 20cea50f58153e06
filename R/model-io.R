# Models in files.

#' Save and load a model
#'
#' `save_model()` writes the weights of a model and how it was built to one file, in the
#' [safetensors](https://github.com/huggingface/safetensors) format; `load_model()` makes the model anew.
#' `read_safetensors()` reads the arrays of any such file.
#'
#' The tensors have the names, shapes and types of scvi 0.6.8's `state_dict()` (single precision; `num_batches_tracked`
#' as 64-bit integers), so that weights go both ways: in Python, `safetensors.torch.load_file()` gives a state that
#' `load_state_dict()` takes there, and a state that `safetensors.torch.save_file()` wrote there is loaded here with
#' `load_state_dict(model, read_safetensors(file))` into a model built with the same arguments. How the model was built
#' is in the file's metadata, as JSON under the key `rscvi`.
#'
#' To keep the data set as well, see [save_posterior()].
#'
#' @param model a model, see [VAE()].
#' @param file path of the file. `save_model()` writes it under another name first, so that it is whole or not there.
#' @return `save_model()`: the path, invisibly. `load_model()`: the model. `read_safetensors()`: a named list of arrays
#'   of doubles in torch's index order, as [state_dict()] gives it.
#' @section Errors: `rscvi_save_failed`: the file is there already, or cannot be written. `rscvi_bad_save`: the file
#'   cannot be read, was cut short, holds no model of rscvi, or one of a newer format; for `read_safetensors()` also a
#'   file with other types than U8, U16, I32, I64, F32 and F64.
#' @examples
#' vae <- VAE(n_input = 20, n_hidden = 8, n_latent = 2, seed = 1)
#' file <- tempfile(fileext = ".safetensors")
#' save_model(vae, file)
#' identical(state_dict(load_model(file)), state_dict(vae))
#' dim(read_safetensors(file)[["z_encoder.mean_encoder.weight"]])
#' @export
save_model <- function(model, file) {
    check_class(model, "model", "SCVIModel")
    check_savable_model(model)
    file <- check_destination(file, "file", "file")
    write_whole(file, function(unfinished) write_model(model, unfinished))
}

#' @rdname save_model
#' @export
load_model <- function(file) {
    file <- check_readable(file)
    metadata <- core(safetensors_metadata_cpp(enc2native(file)))
    if (!"rscvi" %in% names(metadata)) {
        bad_save("{.path {file}} does not say how its model was built.",
            advice = "Build it as it was, and load the weights with
                {.code load_state_dict(model, read_safetensors(file))}.")
    }
    about <- reading(file, from_json_text(metadata[["rscvi"]]))
    check_format(about, "rscvi model", file)
    model <- reading(file, rebuild_model(about$model))
    read_weights(model, file)
    model
}

#' @rdname save_model
#' @export
read_safetensors <- function(file) core(safetensors_read_cpp(enc2native(check_readable(file))))

check_readable <- function(file) {
    file <- path.expand(check_string(file, "file"))
    if (!file.exists(file) || dir.exists(file)) {
        bad_save("There is no file {.path {file}}.", advice = "The current folder is {.path {getwd()}}.")
    }
    file
}

# What makes a model, but for its weights; options are what its constructor takes.
describe_model <- function(model) {
    list(
        class = as.character(class(model)), version = model@version, options = json_exactly(model@options),
        genes = json_array(model@genes), batch_levels = json_array(model@batch_levels),
        label_levels = json_array(model@label_levels)
    )
}

# A model that could not be made anew from its description must not be saved at all.
check_savable_model <- function(model) {
    back <- tryCatch(rebuild_model(from_json_text(to_json_text(describe_model(model)))), error = function(e) NULL)
    same <- function(slot) identical(methods::slot(back, slot), methods::slot(model, slot))
    slots <- setdiff(methods::slotNames(model), "state")
    if (is.null(back) || !all(vapply(slots, same, logical(1L)))) {
        abort_rscvi(c("A {.cls {class(model)[1L]}} with these options cannot be saved to a file of rscvi.",
            i = "Use {.fn saveRDS}."), class = "save_failed")
    }
}

write_model <- function(model, file) {
    about <- list(format = "rscvi model", format_version = save_format_version,
        rscvi_version = as.character(utils::packageVersion("rscvi")), model = describe_model(model))
    core(model_save_state_cpp(model_handle(model), enc2native(file), c(rscvi = unclass(to_json_text(about)))))
}

# Options that came after the first version of the format, with the value that says what models were like before.
later_options <- list(library = "latent", encode_covariates = FALSE, covariates = NULL, dispersion_start = "normal",
    library_start = "random", scale_start = "random", normalisation = "batch")

# The constructor checks the options, which come from a file, as it checks those of a user.
rebuild_model <- function(about) {
    class <- check_string(about$class, "class")
    known <- methods::isClass(class) && methods::extends(class, "SCVIModel") && !methods::isVirtualClass(class)
    if (!known) abort_rscvi("unknown class of model: {.val {class}}")
    names <- lapply(about[c("genes", "batch_levels", "label_levels")], json_strings)
    options <- restore_options(about$options)
    if (class != "Classifier") options <- c(options, later_options[setdiff(names(later_options), names(options))])
    model <- new_model(class, options, names, seed = 0)
    model@version <- check_string(about$version, "version")
    model
}

# Options as the constructors keep them: vectors, or a list of such where it has names. JSON does not tell whole numbers
# from others.
restore_options <- function(options, real = c("dropout_rate", "y_prior")) {
    restore <- function(name) {
        x <- options[[name]]
        # Their names are the user's.
        if (name == "covariates") return(if (length(x)) lapply(x, restore_options, real = c("mean", "sd")))
        if (is.list(x) && !is.null(names(x))) return(restore_options(x))
        if (is.list(x)) x <- unlist(x)
        if (name %in% real && !is.null(x)) as.double(x) else x
    }
    stats::setNames(lapply(names(options), restore), names(options))
}

# All or nothing: the core checks every tensor before it changes one.
read_weights <- function(model, file) {
    reading(file, change_model(model, model_load_file_cpp(model_handle(model), enc2native(file))))
}
