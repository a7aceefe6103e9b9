*! version 0.1.0
* Design-based supervised learning by the command line of the Python package dsl. See: help dsl
program define dsl, eclass
    version 14.0
    if replay() {
        if "`e(cmd)'" != "dsl" error 301
        syntax [, Level(cilevel)]
        dsl_show `level'
        exit
    }
    gettoken formula 0 : 0
    syntax [if] [in], PREDICTED(string) [PREDICTION(string) Model(string) ESTimator(string) TUne(string) ///
        CLuster(varlist max=2) SAMPLEProb(varname) LABeled(varname) WEIghts(varname) FEATure(varlist)    ///
        LEARNer(string) SPLits(integer 10) SEED(integer 1234) MORE(string asis) EXEC(string) Level(cilevel)]
    marksample touse, novarlist
    quietly count if `touse'
    if r(N) == 0 error 2000
    if `"`exec'"' == "" local exec "dsl"
    local given `"--predicted "`predicted'" --splits `splits' --seed `seed'"'
    foreach option in prediction model estimator tune weights labeled {
        if `"``option''"' != "" local given `"`given' --`option' "``option''""'
    }
    if "`sampleprob'" != "" local given `"`given' --sample-prob "`sampleprob'""'
    if "`learner'" != "" local given `"`given' --sl-method "`learner'""'
    foreach option in cluster feature {
        local names : subinstr local `option' " " ",", all
        if "`names'" != "" local given `"`given' --`option' "`names'""'
    }
    tempfile data json log
    preserve
    quietly keep if `touse'
    quietly save `"`data'.dta"'
    restore
    * a formula with quotes in it takes single ones: factor(party, ref = 'left')
    shell `exec' fit "`data'.dta" "`formula'" `given' `more' --quiet --json "`json'" > "`log'" 2>&1
    capture erase `"`data'.dta"'
    capture confirm file `"`json'"'
    if _rc {
        type `"`log'"'
        display as error "dsl made no estimates: see its message above, and help dsl about where it is looked for"
        exit 498
    }
    mata: dsl_read(st_local("json"))
    tempname b V df
    matrix `b' = dsl_b
    matrix `V' = dsl_V
    matrix `df' = dsl_df
    matrix drop dsl_b dsl_V dsl_df
    matrix colnames `b' = `dsl_names'
    matrix colnames `V' = `dsl_names'
    matrix rownames `V' = `dsl_names'
    matrix colnames `df' = `dsl_names'
    ereturn post `b' `V', obs(`dsl_nobs') esample(`touse')
    ereturn matrix df = `df'
    ereturn scalar N_labeled = `dsl_n_labeled'
    if "`dsl_n_clusters'" != "null" ereturn scalar N_clust = `dsl_n_clusters'
    ereturn local terms `"`dsl_terms'"'
    ereturn local formula `"`formula'"'
    ereturn local model `"`dsl_model'"'
    ereturn local estimator `"`dsl_estimator'"'
    ereturn local vcetype `"`dsl_vcov'"'
    ereturn local cmd "dsl"
    dsl_show `level'
end

program define dsl_show
    args level
    tempname b V df
    matrix `b' = e(b)
    matrix `V' = e(V)
    matrix `df' = e(df)
    local names : colnames `b'
    display as text _n "Design-based supervised learning: `e(model)', `e(estimator)'" _col(59) "N = " as result %9.0fc e(N)
    display as text `"`e(formula)'"' _col(59) "labelled = " as result %9.0fc e(N_labeled)
    display as text _n %20s "" "      Coef.   Std. Err.  P>|t|   [`level'% Conf. Interval]"
    forvalues j = 1/`= colsof(`b')' {
        local name : word `j' of `names'
        local se = sqrt(`V'[`j', `j'])
        * missing degrees of freedom: the normal distribution
        local t = `b'[1, `j'] / `se'
        local p = cond(missing(`df'[1, `j']), 2 * normal(-abs(`t')), 2 * ttail(`df'[1, `j'], abs(`t')))
        local q = cond(missing(`df'[1, `j']), invnormal(0.5 + `level' / 200), invttail(`df'[1, `j'], 0.5 - `level' / 200))
        display as text %20s abbrev("`name'", 20) as result %11.0g `b'[1, `j'] %12.0g `se' %8.3f `p' ///
            %12.0g `b'[1, `j'] - `q' * `se' %11.0g `b'[1, `j'] + `q' * `se'
    }
end

version 14.0
mata:
// The command line's JSON, which stands with one value on each line, into dsl_b, dsl_V, dsl_df and local macros.
void dsl_read(string scalar path)
{
    string colvector lines, names
    string scalar line, section, terms, kept, name
    real colvector b, V, df
    real scalar i
    lines = cat(path)
    b = V = df = J(0, 1, .)
    names = J(0, 1, "")
    section = ""
    for (i = 1; i <= rows(lines); i++) {
        line = lines[i]
        if (ustrregexm(line, `"^  "([a-z_]+)": "')) section = ustrregexs(1)
        else if (section == "names_r" & ustrregexm(line, `"^    "(.*)",?$"')) names = names \ ustrregexs(1)
        else if (section == "tidy" & ustrregexm(line, `"^      "estimate": ([^,]+),?$"')) b = b \ strtoreal(ustrregexs(1))
        else if (section == "tidy" & ustrregexm(line, `"^      "df": ([^,]+),?$"')) df = df \ strtoreal(ustrregexs(1))
        else if (section == "cov" & ustrregexm(line, `"^      ([^\[\], ]+),?$"')) V = V \ strtoreal(ustrregexs(1))
        else if (section == "glance" & ustrregexm(line, `"^    "([a-z_]+)": "?([^",]*)"?,?$"')) {
            st_local("dsl_" + ustrregexs(1), ustrregexs(2))
        }
    }
    terms = kept = ""
    for (i = 1; i <= rows(names); i++) {
        // JSON writes a quote and a backslash with a backslash before it
        names[i] = subinstr(subinstr(names[i], `"\""', `"""'), "\\", "\")
        terms = terms + (i > 1 ? " | " : "") + names[i]
        name = names[i] == "(Intercept)" ? "_cons" : strtoname(names[i])
        if (strpos(" " + kept + " ", " " + name + " ")) name = substr(name, 1, 28) + "_" + strofreal(i)
        kept = kept + (i > 1 ? " " : "") + name
    }
    st_matrix("dsl_b", b')
    st_matrix("dsl_V", rowshape(V, rows(b)))
    st_matrix("dsl_df", rows(df) ? df' : J(1, rows(b), .))
    st_local("dsl_names", kept)
    st_local("dsl_terms", terms)
}
end
