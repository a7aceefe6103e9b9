# The Python side: which Python, the bridge's functions, conditions.

bridge_cache <- new.env(parent = emptyenv())

# The functions of inst/python/dslpy_bridge.py; starts Python on first use.
bridge <- function() {
  if (is.null(bridge_cache$module)) {
    choose_python()
    start_python()
    folder <- system.file("python", package = "dslpy", mustWork = TRUE)
    bridge_cache$module <- reticulate::import_from_path("dslpy_bridge", path = folder, convert = TRUE)
  }
  bridge_cache$module
}

# options(dslpy.python = ) comes before RETICULATE_PYTHON, which reticulate itself reads.
choose_python <- function() {
  wanted <- getOption("dslpy.python")
  if (is.null(wanted)) return(invisible())
  if (!is.character(wanted) || length(wanted) != 1 || !file.exists(wanted)) {
    stop_dsl("options(dslpy.python = ) names no file: ", deparse1(wanted), "; give the path of a Python interpreter")
  }
  if (reticulate::py_available()) {
    running <- reticulate::py_config()$python
    if (!same_file(running, wanted)) {
      stop_dsl("this R session already runs Python from ", running, ", not ", wanted, " (options(dslpy.python = )); ",
               "restart R and set the option before anything uses Python")
    }
    return(invisible())
  }
  # reticulate lets the variable win over use_python()
  Sys.setenv(RETICULATE_PYTHON = wanted)
}

same_file <- function(a, b) identical(unname(file.path(normalizePath(dirname(a)), basename(a))),
                                      unname(file.path(normalizePath(dirname(b)), basename(b))))

start_python <- function() {
  how <- paste0("Install it with dslpy::install(), or with 'pip install dsl' in some Python (3.11 or later), and name that Python ",
                "before its first use: options(dslpy.python = \"path/to/python\"), or the environment variable RETICULATE_PYTHON")
  started <- tryCatch(reticulate::py_available(initialize = TRUE), error = function(e) conditionMessage(e))
  if (!isTRUE(started)) {
    stop_dsl("no Python could be started", if (is.character(started)) paste0(": ", trimws(started)), ". ",
             "dslpy needs the Python package 'dsl'. ", how, class = "dsl_python_missing")
  }
  # another package may be called dsl too
  found <- tryCatch(reticulate::py_has_attr(reticulate::import("dsl", convert = FALSE), "folds_like_r"),
                    error = function(e) conditionMessage(e))
  if (!isTRUE(found)) {
    why <- if (is.character(found)) trimws(found) else "a package of that name is there, but another one"
    stop_dsl("the Python package 'dsl' is not found in ", reticulate::py_config()$python, " (", why, "). ", how,
             class = "dsl_python_missing")
  }
}

# Makes a virtual environment of its own for the Python package, which dslpy then uses in this session.
install <- function(package = "dsl", envname = "r-dslpy", ...) {
  call <- sys.call()
  if (!is.character(package) || !length(package) || anyNA(package) || !all(nzchar(package))) {
    stop_dsl("package must be what pip installs: a name, the path of a wheel or of a folder, or an address; found ",
             deparse1(package), call = call)
  }
  if (reticulate::py_available()) {
    stop_dsl("Python runs in this session already, from ", reticulate::py_config()$python,
             "; restart R and call dslpy::install() before anything uses Python", call = call)
  }
  reticulate::virtualenv_create(envname, packages = NULL, ...)
  reticulate::virtualenv_install(envname, packages = package, ignore_installed = FALSE)
  python <- reticulate::virtualenv_python(envname)
  # another package may be called dsl too
  right <- system2(python, c("-c", shQuote("import dsl; dsl.folds_like_r")), stdout = FALSE, stderr = FALSE) == 0
  if (!right) {
    stop_dsl("what ", paste(package, collapse = ", "), " installed is not the Python package 'dsl' that dslpy calls; remove it, ",
             "reticulate::virtualenv_remove(\"", envname, "\"), and name the right one: dslpy::install(\"path/to/dsl\")",
             class = "dsl_python_missing", call = call)
  }
  options(dslpy.python = python)
  message("dslpy uses ", python, ". For later sessions, in .Rprofile: options(dslpy.python = ", deparse(python), ")")
  invisible(python)
}

dsl_available <- function() {
  tryCatch({
    bridge()
    TRUE
  }, dsl_error = function(e) FALSE)
}

# Call a function of the bridge; its errors and warnings become R's.
call_python <- function(name, ..., call) {
  out <- bridge()[[name]](...)
  for (w in out$warnings) {
    warning(structure(class = c(as.character(unlist(w$classes)), "dsl_warning", "warning", "condition"),
                      list(message = w$message, call = call)))
  }
  if (!is.null(out$error)) {
    stop(structure(class = c(as.character(unlist(out$error$classes)), "dsl_error", "error", "condition"),
                   list(message = out$error$message, call = call, traceback = out$error$traceback)))
  }
  out$value
}

stop_dsl <- function(..., class = character(), call = NULL) {
  stop(structure(class = c(class, "dsl_error", "error", "condition"), list(message = paste0(...), call = call)))
}
