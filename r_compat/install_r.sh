#!/usr/bin/env bash
# Install R, the R packages that the tests compare against, and the Python extra "r" (rpy2).
#
# usage: install_r.sh [VENV]      VENV: a Python virtual environment, by default .venv beside this folder
#
# Does nothing, quickly, where all is there. On Debian and its relatives it installs what is missing with apt-get
# (as root, or with sudo); elsewhere it says what to install. It does not install the reference R package `dsl`:
# for `make test-r-dsl` follow that package's own instructions.
#
# exit codes: 2 bad argument, 3 not Debian and something is missing, 4 neither root nor sudo, 5 apt-get failed,
# 6 pip failed, 7 installed but not usable.
set -u -o pipefail

HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
VENV="${1:-$HERE/../.venv}"
PYTHON="$VENV/bin/python"
R_PACKAGES="sandwich estimatr lmtest plm survey glmnet ranger nnls jsonlite MASS nnet reticulate generics knitr rmarkdown"
DEBIAN="r-base-core r-base-dev build-essential libtirpc-dev pandoc"
# rpy2-rinterface 3.6.6 and later need a newer R than Debian 12 has (4.2.2); the extra "r" says the same
RPY2=("rpy2>=3.5" "rpy2-rinterface<3.6.6")

fail() { # code, message
    echo "install_r.sh: $2" >&2
    exit "$1"
}

missing_r_packages() {
    Rscript --vanilla -e 'for (p in commandArgs(TRUE)) if (!nzchar(system.file(package = p))) cat(p, "")' \
        $R_PACKAGES 2>/dev/null
}

has_r() { command -v R >/dev/null && command -v Rscript >/dev/null; }

has_rpy2() {
    "$PYTHON" -c 'import importlib.util as u, sys
sys.exit(not all(u.find_spec(name) for name in ("rpy2", "_rinterface_cffi_api", "rdata")))' 2>/dev/null
}

has_headers() { # of the Python that will compile rpy2
    "$PYTHON" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
}

debian_packages() { # what is missing, in Debian's names
    local missing="$R_PACKAGES"
    if has_r; then missing="$(missing_r_packages)"; fi
    for name in $missing; do echo "r-cran-${name,,}"; done
    if ! has_r || ! has_rpy2; then echo "$DEBIAN"; fi
    has_rpy2 || has_headers || echo python3-dev
}

explain_elsewhere() {
    echo "this system has no apt-get, so that R cannot be installed for you. Please install"
    has_r || echo "  - R 4.0 or later, from the R project or your package manager"
    echo "  - the R packages, from within R:"
    echo "      install.packages(c('${R_PACKAGES// /\', \'}'))"
    echo "and run this script again."
}

apt() {
    # other programs may hold the lock: wait for them
    DEBIAN_FRONTEND=noninteractive $SUDO apt-get -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -q "$@"
}

install_debian() {
    local wanted
    wanted="$(debian_packages | tr '\n' ' ')"
    [ -n "${wanted// /}" ] || return 0
    if ! command -v apt-get >/dev/null; then
        if has_r && [ -z "$(missing_r_packages)" ]; then
            return 0 # rpy2 may still build
        fi
        fail 3 "$(explain_elsewhere)"
    fi
    SUDO=""
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail 4 "neither root nor sudo; ask an administrator to run: apt-get install $wanted"
        SUDO="sudo -n"
        $SUDO true 2>/dev/null || SUDO="sudo"
    fi
    echo "install_r.sh: installing $wanted"
    # an old list of packages often suffices
    apt install -y --no-install-recommends $wanted >/dev/null 2>&1 && return 0
    apt update >/dev/null || fail 5 "apt-get update failed; is there a network? Wanted: $wanted"
    apt install -y --no-install-recommends $wanted >/dev/null || fail 5 "apt-get install failed for: $wanted"
}

install_rpy2() {
    has_rpy2 && return 0
    echo "install_r.sh: installing rpy2 into $VENV"
    "$PYTHON" -m pip install --quiet --quiet "${RPY2[@]}" "rdata>=0.11" || fail 6 "pip could not install ${RPY2[*]} rdata into $VENV"
}

check() {
    has_r || fail 7 "R is installed but not on PATH"
    local left
    left="$(missing_r_packages)"
    [ -z "$left" ] || fail 7 "R packages that do not load: $left"
    has_rpy2 || fail 7 "rpy2 was built without its compiled part; remove rpy2-rinterface and run this script again"
}

[ $# -le 1 ] || fail 2 "usage: install_r.sh [VENV]"
[ -x "$PYTHON" ] || fail 2 "no virtual environment at $VENV (no bin/python); make one, or name another one"
install_debian
install_rpy2
check
