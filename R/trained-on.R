# Which cells a model was trained on, so that whoever has the model can ask it about others.

# Kept with the model's weights: names and totals of the cells, which set each was in, and the history. A cell that was
# ever trained on stays one. The fingerprint tells weights that were changed since from those that this is said of.
remember_training <- function(trainer) {
    dataset <- trainer@gene_dataset
    state <- trainer@model@state
    set <- rep("other", nb_cells(dataset))
    for (held_out in c("validation_set", "test_set")) set[trainer@sets[[held_out]]] <- held_out
    set[training_cells(trainer)] <- "train_set"
    known <- data.frame(cell = cell_names(dataset), total = cell_totals(dataset), set = set)
    before <- state$training$cells
    if (!is.null(before)) {
        seen <- before[before$set == "train_set", , drop = FALSE]
        again <- match(seen$cell, known$cell)
        known$set[again[!is.na(again)]] <- "train_set"
        known <- rbind(known, seen[is.na(again), , drop = FALSE])
    }
    state$training <- list(cells = known, history = trainer@state$history,
        options = trainer@options[c("max_kl_weight", "n_iter_fixed_dispersion")], n_iter = trainer@state$n_iter,
        fingerprint = fingerprint(trainer@model))
}

# What is known of the training of a posterior's model: `set`, one a cell of the data set ("other" where nothing is
# known), `history`, the trainer's `options` and how many minibatches it has seen; or why nothing is.
recall_training <- function(post) {
    training <- post@model@state$training
    if (is.null(training)) {
        return(list(reason = "it is not known which cells the model was trained on"))
    }
    if (!identical(training$fingerprint, fingerprint(post@model))) {
        return(list(reason = "the model's weights were changed after its training"))
    }
    dataset <- post@gene_dataset
    found <- match(cell_names(dataset), training$cells$cell)
    # Made-up names (cell1, ...) are those of other cells after subsetting.
    found[!(training$cells$total[found] %in% NA) & training$cells$total[found] != cell_totals(dataset)] <- NA
    set <- training$cells$set[found]
    set[is.na(set)] <- "other"
    list(set = set, history = training$history, options = training$options, n_iter = training$n_iter)
}
