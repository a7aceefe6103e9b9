# Run the installed reference package `dsl` and record what its estimation and prediction steps were given and
# gave back, by wrapping these two functions for the time of the call. Loaded after support.R.

run_reference <- function(arguments, power) {
  record <- new.env()
  record$fits <- record$folds <- list()
  wrapped <- wrap_steps(record)
  on.exit(for (name in names(wrapped)) utils::assignInNamespace(name, wrapped[[name]], ns = "dsl"))
  env <- new.env(parent = globalenv())
  for (name in names(arguments)) assign(name, arguments[[name]], envir = env)
  arguments$formula <- env$formula <- stats::as.formula(arguments$formula, env)
  called <- lapply(names(arguments), as.name)
  names(called) <- names(arguments)
  began <- proc.time()[["elapsed"]]
  out <- eval(as.call(c(list(quote(dsl::dsl)), called)), env)
  elapsed <- proc.time()[["elapsed"]] - began
  list(
    out = out, vcov = as.matrix(of_nearest(out$vcov)), nearest = inherits(out$vcov, "nearPD"), elapsed = elapsed, splits = record$fits, folds = record$folds,
    staged = length(wrapped) > 0L,
    summary = utils::capture.output(summary(out)),
    power = if (power) dsl::power_dsl(dsl_out = out)[c("labeled_size", "predicted_se")],
    versions = versions(c("dsl", "SuperLearner", "grf"))
  )
}

# Nothing is wrapped in versions of the package that lack these steps: the result then has no stages.
wrap_steps <- function(record) {
  home <- asNamespace("dsl")
  steps <- c("dsl_general_moment_est", "fit_test")
  if (!all(vapply(steps, exists, NA, envir = home, inherits = FALSE))) return(list())
  original <- mget(steps, envir = home)
  estimate <- original[[1]]
  predict_fold <- original[[2]]
  utils::assignInNamespace("dsl_general_moment_est", function(...) {
    result <- estimate(...)
    record$fits[[length(record$fits) + 1L]] <- stage(list(...), result)
    result
  }, ns = "dsl")
  utils::assignInNamespace("fit_test", function(...) {
    given <- list(...)
    step <- list(variable = given$outcome, rows = as.integer(rownames(given$data)))
    record$folds[[length(record$folds) + 1L]] <- step
    predict_fold(...)
  }, ns = "dsl")
  original
}

# Where a covariance is not positive definite the package gives the nearest one, inside the whole value of Matrix::nearPD.
of_nearest <- function(x) if (inherits(x, "nearPD")) x$mat else x

stage <- function(given, result) {
  plain <- function(x) unname(as.matrix(of_nearest(x)))
  predicted <- given$data_pred
  list(
    rows = as.integer(rownames(given$data_orig)), predictions = as.list(predicted),
    sample_prob = if (is.null(given$sample_prob)) NULL else given$data_orig[[given$sample_prob]],
    params = unname(result$coefficients), bse = unname(result$standard_errors), vcov = plain(result$vcov),
    jacobian = plain(result$J), meat_1 = plain(result$Meat_decomp$main_1), meat_23 = plain(result$Meat_decomp$main_23),
    rescale = plain(result$D)
  )
}

versions <- function(packages) {
  found <- Filter(has_package, packages)
  c(R = R.version.string, vapply(found, function(name) as.character(utils::packageVersion(name)), ""))
}
