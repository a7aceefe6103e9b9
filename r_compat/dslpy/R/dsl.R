# dsl(): the reference's arguments, the Python package's numbers.

dsl <- function(model = "lm", formula, predicted_var, prediction = NULL, data, cluster = NULL, labeled = NULL,
                sample_prob = NULL, index = NULL, fixed_effect = "oneway", sl_method = "grf", feature = NULL,
                family = "gaussian", cross_fit = 5, sample_split = 10, seed = 1234, ...) {
  call <- sys.call()
  if (!is.data.frame(data)) stop_dsl("data must be a data frame; found ", describe(data), call = call)
  more <- list(...)
  if (length(more) && (is.null(names(more)) || any(names(more) == ""))) {
    stop_dsl("arguments after 'seed' need names, such as estimator = \"gold_only\"", call = call)
  }
  given <- c(list(predicted_var = predicted_var, prediction = prediction, cluster = cluster, labeled = labeled,
                  sample_prob = sample_prob, index = index, feature = feature, model = model, fixed_effect = fixed_effect,
                  sl_method = sl_method, family = family, cross_fit = cross_fit, sample_split = sample_split, seed = seed),
             more)
  found <- call_with_formula("fit", formula, data, given, parent.frame(), call)
  dsl_result(found, given[intersect(names(given), ROLES)], list(formula = formula, model = model,
                                                                fixed_effect = fixed_effect, sl_method = sl_method))
}

# Arguments that name columns. Of the last three a value may be something else.
ROLES <- c("predicted_var", "prediction", "cluster", "labeled", "sample_prob", "index", "feature", "weights", "text",
           "trained_on")

# A function of the bridge that takes a formula, a table and arguments; those that are NULL are left out.
call_with_formula <- function(name, formula, data, given, frame, call) {
  columns <- given[intersect(names(given), ROLES)]
  also <- intersect(names(columns), c("weights", "text", "trained_on"))
  columns[also] <- Filter(is.character, columns[also])[also]
  arguments <- Filter(Negate(is.null), given)
  arguments <- setNames(lapply(names(arguments), function(one) argument_to_python(arguments[[one]], one, call)),
                        names(arguments))
  formula_read <- read_formula(formula, data, frame, call)
  table <- table_to_python(data, formula_read$variables, column_names(columns))
  call_python(name, formula_read$text, table, arguments, formula_read$values, call = call)
}

# The formula's text, the names in it (NULL where R cannot read it), and the values of those that are no columns.
read_formula <- function(formula, data, frame, call) {
  if (inherits(formula, "formula")) {
    text <- paste(deparse(formula, width.cutoff = 500L), collapse = " ")
    variables <- all.vars(formula)
    frame <- environment(formula)
  } else if (is.character(formula) && length(formula) == 1 && !is.na(formula)) {
    text <- formula
    variables <- tryCatch(all.vars(str2lang(formula)), error = function(e) NULL)
  } else {
    stop_dsl("formula must be a formula, such as y ~ x; found ", describe(formula), call = call)
  }
  other <- setdiff(variables, c(names(data), "."))
  values <- setNames(lapply(other, get0, envir = if (is.null(frame)) emptyenv() else frame), other)
  usable <- vapply(values, function(v) is.atomic(v) && !is.object(v) && length(v) > 0 && !anyNA(v), TRUE)
  values <- lapply(values[usable], function(v) if (length(v) == 1) v else as.list(v))
  list(text = enc2utf8(text), variables = variables, values = setNames(values, other[usable]))
}

# The columns that the call names; all of them where it names others too, so that Python can say which were meant.
table_to_python <- function(data, variables, named) {
  needed <- c(variables, named)
  every <- is.null(variables) || "." %in% variables
  all_there <- all(needed %in% c(names(data), "."))
  table <- frame_to_python(data, which(every | !all_there | names(data) %in% needed))
  table$columns <- lapply(table$columns, function(column) c(column, needed = every || column$name %in% needed))
  table
}

column_names <- function(columns) {
  out <- unlist(columns, use.names = FALSE)
  out <- c(if (is.list(columns$predicted_var)) names(columns$predicted_var), out)
  if (is.character(out)) unique(out[!is.na(out)]) else character()
}

# An argument as Python takes it: several names as a list, whole numbers as int.
argument_to_python <- function(value, name, call) {
  if (name == "folds") return(folds_to_python(value))
  if (is.environment(value)) return(value) # a Python object, such as a scikit-learn estimator
  if (is.list(value)) return(lapply(value, as.list))
  if (!is.atomic(value) || length(value) == 0 || anyNA(value)) {
    stop_dsl(name, " is ", if (is.atomic(value)) "empty or NA" else describe(value), "; leave it out, or give a value",
             call = call)
  }
  if (is.character(value)) value <- enc2utf8(value)
  if (is.double(value) && all(abs(value) < 2^31) && all(value == round(value))) value <- as.integer(value)
  several <- length(value) > 1 || name %in% c("predicted_var", "prediction", "index", "feature")
  if (several) as.list(unname(value)) else unname(value)
}

# Folds: one row a split, one column a row of the data; a vector is one split.
folds_to_python <- function(folds) {
  if (is.list(folds)) folds <- do.call(rbind, folds)
  if (is.null(dim(folds))) folds <- matrix(folds, nrow = 1)
  list(bytes = writeBin(as.integer(t(folds)), raw()), splits = nrow(folds))
}

dsl_result <- function(found, columns, spec) {
  terms <- as.character(unlist(found$terms))
  k <- length(terms)
  vcov <- matrix(unlist(found$vcov), k, k, byrow = TRUE, dimnames = list(terms, terms))
  per_split <- function(values, names) {
    matrix(unlist(values), ncol = length(names), byrow = TRUE, dimnames = list(NULL, names))
  }
  predicted <- as.character(unlist(found$predicted_var))
  targets <- as.character(unlist(found$targets)) # each category has a learner of its own
  internal <- c(
    spec,
    list(
      predicted_var = predicted, prediction = columns$prediction, feature = columns$feature,
      cluster = columns$cluster, index = as.character(unlist(found$index)), sample_prob = columns$sample_prob,
      num_expert = found$n_labeled, equal_prob = found$equal_prob, num_data = found$nobs,
      num_clusters = found$n_clusters, num_input = found$n_input, dropped = unlist(found$dropped),
      prob_range = unlist(found$prob_range), cross_fit = found$cross_fit, sample_split = found$sample_split,
      estimator = found$estimator, vcov_type = found$vcov_type, converged = found$converged,
      target = targets, learner = as.character(unlist(found$learners)), learner_reason = as.character(unlist(found$learner_reasons)),
      r2 = as.numeric(unlist(found$r2)), notes = as.character(unlist(found$notes)),
      split_coefficients = per_split(found$split_coefficients, terms),
      split_vcov = aperm(array(unlist(found$split_vcov), c(k, k, found$sample_split)), c(3, 2, 1)),
      df = if (!is.null(found$df)) as.numeric(unlist(found$df)), power = found$power,
      dsl_version = found$version
    )
  )
  structure(
    list(
      coefficients = setNames(as.numeric(unlist(found$coefficients)), terms),
      standard_errors = sqrt(diag(vcov)),
      vcov = vcov,
      RMSE = if (!is.null(found$rmse)) t(per_split(found$rmse, targets)),
      internal = internal
    ),
    class = c("dslpy", "dsl")
  )
}

dsl_data <- function(table = "sentiment", ...) {
  call <- sys.call()
  arguments <- list(...)
  given <- as.character(names(arguments))
  arguments <- lapply(seq_along(given), function(j) argument_to_python(arguments[[j]], given[j], call))
  frame_from_python(call_python("data", table, setNames(arguments, given), call = call))
}

available_method <- function(print_out = TRUE) {
  methods <- frame_from_python(call_python("methods", call = sys.call()))
  if (isTRUE(print_out)) print(methods[c("method", "description", "requires")], row.names = FALSE, right = FALSE)
  invisible(methods$method)
}
