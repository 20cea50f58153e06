# Plain R values <-> a description that JSON can hold, beside tensors with the numbers.
#
# A description names types, attributes and tensors, and nothing else: a file that is read can make vectors, lists and
# data frames, but no function, call or environment, and its text is never parsed as R. That is why no part of a saved
# posterior goes through readRDS(), which gives all of that to whoever wrote the file.

# Classes that a value may have, besides those without a class attribute. Each is data alone, and printing or subsetting
# it runs nothing that the data say.
plain_classes <- c("factor", "ordered", "Date", "POSIXct", "POSIXt", "difftime", "integer64", "data.frame", "tbl_df",
    "tbl", "AsIs")

# Where pack() puts tensors. `shared` are strings that recur, such as the names of the cells: they are written once.
new_tensors <- function(shared = list()) {
    tensors <- new.env(parent = emptyenv())
    tensors$values <- list()
    tensors$shapes <- list()
    tensors$shared <- shared
    tensors$left_out <- character(0)
    tensors
}

write_tensors <- function(tensors, file) core(tensors_write_cpp(enc2native(file), tensors$values, tensors$shapes))

bare <- function(x) {
    attributes(x) <- NULL
    x
}

add_tensor <- function(tensors, name, x) {
    while (name %in% names(tensors$values)) name <- paste0(name, "'")
    shape <- dim(x)
    # Files are row-major.
    tensors$values[[name]] <- if (length(shape) > 1L) bare(aperm(array(bare(x), shape))) else bare(x)
    tensors$shapes[name] <- list(if (length(shape) > 1L) shape)
    name
}

# Why a value cannot be saved, or NULL if it can.
unsavable <- function(x) {
    if (is.null(x) || is_exactly(x, "DFrame")) return(NULL)
    if (is_exactly(x, "Rle")) return(unsavable(S4Vectors::runValue(x)))
    if (isS4(x)) return(paste("of class", class(x)[1L]))
    if (!typeof(x) %in% c("logical", "integer", "double", "character", "list")) return(paste("of type", typeof(x)))
    strange <- setdiff(attr(x, "class"), plain_classes)
    if (length(strange)) return(paste("of class", strange[1L]))
    if (is.character(x) && !all_text(x)) return("text in an unknown encoding")
    for (part in c(if (is.list(x)) unclass(x), attributes(x))) {
        why <- unsavable(part)
        if (!is.null(why)) return(paste("with parts", why))
    }
    NULL
}

is_exactly <- function(x, class) isS4(x) && identical(as.character(class(x)), class)

# Whether enc2utf8() gives what was meant: for bytes that are no text it makes something up.
all_text <- function(x) all(validEnc(x) & Encoding(x) != "bytes")

# `x` must be savable; `name` is that of its tensor.
pack <- function(x, name, tensors) {
    if (is.null(x)) return(NULL)
    if (is_exactly(x, "DFrame")) return(pack_data_frame(x, name, tensors))
    if (is_exactly(x, "Rle")) {
        return(list(type = "Rle", values = pack(S4Vectors::runValue(x), paste0(name, "/values"), tensors),
            lengths = pack(S4Vectors::runLength(x), paste0(name, "/lengths"), tensors)))
    }
    description <- c(list(type = typeof(x)), switch(typeof(x),
        character = pack_strings(bare(x), tensors),
        list = list(items = pack_items(unclass(x), name, tensors)),
        list(tensor = add_tensor(tensors, name, x))
    ))
    extra <- attributes(x)
    if (length(extra)) description$attributes <- Map(pack, extra, sprintf("%s@%s", name, names(extra)), list(tensors))
    description
}

pack_strings <- function(x, tensors) {
    for (known in names(tensors$shared)) {
        if (identical(x, tensors$shared[[known]])) return(list(strings_of = known))
    }
    list(strings = json_array(x))
}

pack_items <- function(x, name, tensors) {
    lapply(seq_along(x), function(i) pack(x[[i]], paste0(name, "/", i), tensors))
}

# Columns are left out one by one: a column that cannot be saved, which no method of a posterior asks for, must not
# stand in the way of a model that took hours.
pack_data_frame <- function(x, name, tensors) {
    reasons <- lapply(as.list(x), unsavable)
    bad <- !vapply(reasons, is.null, logical(1L))
    if (any(bad)) {
        tensors$left_out <- c(tensors$left_out, sprintf("%s (%s)", colnames(x)[bad], unlist(reasons[bad])))
        x <- x[, !bad, drop = FALSE]
    }
    labels <- make.unique(colnames(x))
    list(
        type = "DataFrame", nrow = nrow(x),
        columns = lapply(seq_len(ncol(x)), function(i) pack(x[[i]], paste0(name, "/", labels[i]), tensors)),
        names = pack(colnames(x), "", tensors), rownames = pack(rownames(x), "", tensors),
        mcols = pack(x@elementMetadata, paste0(name, "@mcols"), tensors),
        metadata = pack(savable_items(S4Vectors::metadata(x), "metadata", tensors), paste0(name, "@metadata"), tensors)
    )
}

savable_items <- function(x, name, tensors) {
    reasons <- lapply(x, unsavable)
    bad <- !vapply(reasons, is.null, logical(1L))
    if (!any(bad)) return(x)
    tensors$left_out <- c(tensors$left_out, sprintf("%s (%s)", name, unlist(reasons[bad])))
    x[!bad]
}

# The way back. `source` is list(file = , shared = ); every error of it means that the file is not what it should be.
unpack <- function(description, source) {
    if (is.null(description)) return(NULL)
    type <- check_choice(description$type, "type",
        c("DataFrame", "Rle", "list", "character", "logical", "integer", "double"))
    if (type == "DataFrame") return(unpack_data_frame(description, source))
    if (type == "Rle") {
        return(S4Vectors::Rle(unpack(description$values, source), unpack(description$lengths, source)))
    }
    extra <- lapply(description$attributes, unpack, source)
    strange <- setdiff(extra$class, plain_classes)
    if (length(strange)) abort_rscvi("it holds a value of class {.cls {strange[1L]}}")
    x <- switch(type,
        list = lapply(description$items, unpack, source),
        character = unpack_strings(description, source),
        read_tensor(description$tensor, type, extra$dim, source)
    )
    attributes(x) <- extra
    if (is.factor(x)) check_factor_codes(x)
    x
}

unpack_strings <- function(description, source) {
    if (is.null(description$strings_of)) return(json_strings(description$strings))
    known <- source$shared[[check_string(description$strings_of, "strings_of")]]
    if (is.null(known)) abort_rscvi("it refers to text that it does not hold")
    known
}

read_tensor <- function(name, type, dim, source) {
    x <- core(tensor_read_cpp(enc2native(source$file), enc2utf8(check_string(name, "tensor")), type))
    if (length(dim) > 1L) {
        if (length(x) != prod(dim)) abort_rscvi("tensor {.val {name}} has {length(x)} values, not {prod(dim)}")
        x <- bare(aperm(array(x, rev(dim))))
    }
    if (type == "logical") as.logical(x) else x
}

# Codes are indices into what the core allocates.
check_factor_codes <- function(x) {
    codes <- as.integer(x)
    codes <- codes[!is.na(codes)]
    if (!is.character(levels(x)) || any(codes < 1L | codes > nlevels(x))) {
        abort_rscvi("it holds a factor whose codes are not those of its levels")
    }
}

unpack_data_frame <- function(description, source) {
    x <- S4Vectors::make_zero_col_DFrame(check_count(description$nrow, "nrow", lower = 0L))
    labels <- unpack(description$names, source)
    if (length(labels) != length(description$columns)) abort_rscvi("it holds a table with {length(labels)} names")
    for (i in seq_along(description$columns)) {
        # One that is too short would be recycled.
        column <- unpack(description$columns[[i]], source)
        if (NROW(column) != nrow(x)) abort_rscvi("it holds a column of {NROW(column)} rows, not {nrow(x)}")
        x[[paste0("column", i)]] <- column
    }
    names(x) <- labels
    rownames(x) <- unpack(description$rownames, source)
    S4Vectors::mcols(x) <- unpack(description$mcols, source)
    S4Vectors::metadata(x) <- unpack(description$metadata, source)
    x
}
