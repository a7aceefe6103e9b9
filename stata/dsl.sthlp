{smcl}
{* version 0.1.0}{...}
{title:Title}

{p2colset 5 12 14 2}{...}
{p2col:{cmd:dsl} {hline 2}}Regressions on labels from a language model, repaired with gold labels of a random part of the rows{p_end}

{title:Syntax}

{p 8 12 2}
{cmd:dsl} {cmd:"}{it:formula}{cmd:"} {ifin}{cmd:,} {cmd:predicted(}{it:variables}{cmd:)} [{it:options}]

{synoptset 26 tabbed}{...}
{synopthdr}
{synoptline}
{synopt:{opt predicted(variables)}}variables with gold labels, missing where there are none; {it:y=llm_y} names each one's prediction{p_end}
{synopt:{opt prediction(variables)}}their predictions, known in every row; several divided by commas{p_end}
{synopt:{opt m:odel(name)}}{cmd:lm}, {cmd:logit}, {cmd:felm}, {cmd:poisson}, {cmd:probit}, {cmd:multinom}, {cmd:ologit}, {cmd:negbin}, {cmd:iv}, ...{p_end}
{synopt:{opt est:imator(name)}}{cmd:dsl} (default), {cmd:dsl+}, {cmd:ppi}, {cmd:ppi++}, {cmd:cdi}, {cmd:gold_only}, {cmd:naive}{p_end}
{synopt:{opt tu:ne(how)}}{cmd:scalar}, {cmd:coef}, {cmd:matrix}, or a number{p_end}
{synopt:{opt cl:uster(varlist)}}clusters of the standard errors, in one or two ways{p_end}
{synopt:{opt samplep:rob(varname)}}probability of being labelled{p_end}
{synopt:{opt lab:eled(varname)}}1 on labelled rows{p_end}
{synopt:{opt wei:ghts(varname)}}what rows count for{p_end}
{synopt:{opt feat:ure(varlist)}}further variables for the learner{p_end}
{synopt:{opt learn:er(name)}}learner of the gold labels; several divided by commas{p_end}
{synopt:{opt spl:its(#)}, {opt seed(#)}}repeated splits of the rows, and what draws them{p_end}
{synopt:{opt more(options)}}further options of {cmd:dsl fit}, as in a shell{p_end}
{synopt:{opt exec(command)}}the command line, by default {cmd:dsl}{p_end}
{synopt:{opt l:evel(#)}}level of the intervals{p_end}
{synoptline}

{title:Description}

{pstd}
The numbers are those of the command line of the Python package {cmd:dsl}, {cmd:dsl fit}, which must be installed
({cmd:pip install dsl}, Python 3.11 or later) and be found by the shell; else {opt exec()} names it, as in
{cmd:exec("~/venv/bin/dsl")}. The formula is one of R: {cmd:"y ~ x1 + factor(party)"}, {cmd:"y ~ x | unit + year"}. Text in it
takes single quotes. Labelled numbers are numbers; {cmd:more(--value-labels party)} makes categories of them.

{title:Stored results}

{pstd}
{cmd:e(b)}, {cmd:e(V)}, {cmd:e(df)} (degrees of freedom of each coefficient, missing for normal intervals), {cmd:e(N)}, {cmd:e(N_labeled)},
{cmd:e(N_clust)}, {cmd:e(terms)} (R's names of the coefficients, divided by |; columns have names that Stata can hold), {cmd:e(formula)},
{cmd:e(model)}, {cmd:e(estimator)}, {cmd:e(vcetype)}, {cmd:e(sample)}: rows that were passed on, of which those with missing
covariates are left out. Postestimation commands that use {cmd:e(b)} and {cmd:e(V)}, such as {cmd:test} and {cmd:lincom}, take normal
distributions.

{title:Examples}

{phang}{cmd:. dsl "human_positive ~ negation + hedge", predicted(human_positive) prediction(vader_positive) model(logit)}{p_end}
{phang}{cmd:. dsl "y ~ x | unit + year", predicted(y=llm_y) model(felm) cluster(unit) learner(ridge)}{p_end}
{phang}{cmd:. test negation = hedge}{p_end}

{title:References}

{phang}Egami, Hinck, Stewart and Wei (2023). Using imperfect surrogates for downstream inference: design-based supervised learning for
social science applications of large language models. NeurIPS 36.{p_end}
