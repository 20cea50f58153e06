# The model against the numbers that scvi 0.6.8 computed with the same weights and the same noise.
# They are single precision with noise of up to 3e-5 of their own; see helper-reference.R for what "close" means.

folders <- c("p1_vae_zinb_gene", "p2_vae_nb_genebatch_2layers", "p3_vae_poisson_ln_nobatch", "p4_ldvae_nb_gene",
    "p5_vaec_zinb_genelabel", "p6_scanvi_zinb_genecell")
has <- function(list, name) !is.null(list[[name]])

for (folder in folders) {
    ref <- reference(folder)
    expected <- ref$expected
    noise <- list(z = ref$noise$z, library = ref$noise$l)
    first <- seq_len(ref$config$n_forward)
    zeros <- function(n, l = ref$config$n_latent) list(z = matrix(0, n, l), library = matrix(0, n, 1))
    ask <- function(model, ..., cells = first) {
        batch <- reference_minibatch(ref, cells)
        inference(model, batch$x, batch$batch_index, batch$y, ...)
    }

    test_that(paste(folder, "encodes as 0.6.8 does"), {
        all <- ask(reference_model(ref), cells = seq_len(ref$config$n_cells))
        for (name in c("qz_m", "qz_v", "ql_m", "ql_v")) expect_close(all[[name]], expected[[name]])
    })

    test_that(paste(folder, "infers as 0.6.8 does, with given noise and with none"), {
        model <- reference_model(ref)
        runs <- list(inf_eps = ask(model, noise = noise), inf_mean = ask(model, noise = zeros(length(first))))
        n_compared <- 0
        for (run in names(runs)) {
            for (name in c("z", "library", "px_scale", "px_rate", "px_dropout", "px_r")) {
                expect_close(runs[[run]][[name]], expected[[paste0(run, ".", name)]])
                n_compared <- n_compared + 1
            }
        }
        expect_equal(n_compared, 12)
    })

    test_that(paste(folder, "takes several draws as 0.6.8 does"), {
        cells <- seq_len(dim(expected$ns3.z)[2])
        draws <- ask(reference_model(ref), n_samples = 3, cells = cells,
            noise = list(z = ref$noise$ns3_z, library = ref$noise$ns3_l))
        for (name in c("z", "library", "px_scale", "px_rate", "px_dropout")) {
            expect_close(draws[[name]], expected[[paste0("ns3.", name)]])
        }
    })

    if (has(expected, "inf_tb1.px_scale")) {
        test_that(paste(folder, "decodes as another batch as 0.6.8 does"), {
            cells <- seq_len(nrow(expected$inf_tb1.px_scale))
            # transform_batch = 1 of the reference is the second batch
            out <- ask(reference_model(ref), transform_batch = 2, cells = cells,
                noise = lapply(noise, function(e) e[cells, , drop = FALSE]))
            for (name in c("px_scale", "px_rate", "px_r")) {
                expect_close(out[[name]], expected[[paste0("inf_tb1.", name)]])
            }
        })
    }

    test_that(paste(folder, "has the loss terms of 0.6.8"), {
        model <- reference_model(ref)
        batch <- reference_minibatch(ref)
        terms <- do.call(loss_terms, c(list(model), batch, list(noise = noise)))
        expect_close(terms$reconst_loss, expected$inf_eps.reconst_loss)
        expect_close(terms$kl_l, expected$kl_l)
        # What models with labels add is in test-reference-labelled.R.
        if (!has_classifier(model)) {
            expect_close(terms$kl_z, expected$kl_z)
            expect_close(rowSums(terms), expected$elbo_per_cell)
            expect_close(terms$reconst_loss + terms$kl_l, expected$forward.reconst_plus_kl_l)
            expect_close(terms$kl_z, expected$forward.kl_z)
        }
        at_mean <- do.call(loss_terms, c(list(model), batch, list(noise = zeros(length(first)))))
        expect_close(at_mean$reconst_loss, expected$inf_mean.reconst_loss)
    })

    test_that(paste(folder, "answers as a Posterior as 0.6.8 does"), {
        dataset <- reference_dataset(ref)
        expect_close(local_means(dataset), ref$cells$local_mean)
        expect_close(local_vars(dataset), ref$cells$local_var)
        model <- reference_model(ref)
        post <- Posterior(model, dataset)
        some <- Posterior(model, dataset, indices = first)
        n <- nb_cells(dataset)

        if (!has_classifier(model)) {
            expect_close(unname(elbo(post, noise = zeros(n))), expected$posterior.elbo_zero_noise)
            expect_close(elbo(some, noise = noise), expected$posterior.elbo_eps_first)
        }
        expect_close(reconstruction_error(post, noise = zeros(n)), expected$posterior.reconstruction_error_zero_noise)
        expect_close(reconstruction_error(some, noise = noise), expected$posterior.reconstruction_error_eps_first)
        expect_close(get_stats(post, noise = zeros(n)), expected$posterior.get_stats_zero_noise)
        expect_close(get_sample_scale(some, noise = zeros(length(first))),
            expected$posterior.sample_scale_zero_noise_first)
        genes <- expected$posterior.sample_scale_gene_list.columns
        chosen <- get_sample_scale(some, gene_list = genes, library_size = 1e4, noise = zeros(length(first)))
        expect_s3_class(chosen, "data.frame")
        expect_identical(colnames(chosen), genes)
        expect_close(as.matrix(chosen), expected$posterior.sample_scale_gene_list_1e4)
        if (has(expected, "posterior.marginal_ll_K5_first")) {
            expect_close(
                marginal_ll(some, n_mc_samples = 5, noise = list(z = ref$noise$mll_z, library = ref$noise$mll_l)),
                expected$posterior.marginal_ll_K5_first)
        }
        latent <- grep("^latent_", names(get_latent(post)), value = TRUE)
        if (has(expected, "latent")) expect_close(as.matrix(get_latent(post)[latent]), expected$latent)
        if (has(expected, "latent_ln_mean20")) {
            mean20 <- get_latent(post, noise = list(z = ref$noise$ln_latent_eps))
            expect_close(as.matrix(mean20[latent]), expected$latent_ln_mean20)
        }
    })

    if (!ref$config$model %in% c("VAEC", "SCANVI")) {
        test_that(paste(folder, "takes three optimiser steps as 0.6.8 does"), {
            model <- reference_model(ref, dropout_rate = 0)
            minibatches <- lapply(0:2, function(step) {
                c(reference_minibatch(ref), list(noise = list(
                    z = ref$noise[[paste0("train.z.", step)]], library = ref$noise[[paste0("train.l.", step)]])))
            })
            losses <- fit_minibatches(model, minibatches, kl_weight = 0.25)
            expect_close(losses, expected$train.losses_kl0.25, tolerance = 1e-3)
            expect_trained_state(model, ref$train3_state)
        })
    }
}

test_that("log_nb and log_zinb are those of 0.6.8 in double precision, also where its single precision is wrong", {
    grid <- reference("_common")$loglik
    nb <- log_nb(grid$x, grid$mu, grid$theta)
    zinb <- log_zinb(grid$x, grid$mu, grid$theta, grid$pi)
    # By the value's own size, but no finer than 1e-5: the column itself cancels to a few digits where it is near 0.
    off <- function(x, wanted) max(abs(x - wanted) / pmax(1, abs(wanted)))
    expect_lt(off(nb, grid$log_nb_float64), 1e-5)
    expect_lt(off(zinb, grid$log_zinb_float64), 1e-5)
    large <- grid$theta > 9e5
    expect_gt(sum(large), 0)
    expect_gt(max(abs(grid$log_nb_float32 - grid$log_nb_float64)[large]), 0.5)
    expect_lt(max(abs(nb - grid$log_nb_float64)[large]), 1e-5)
})
