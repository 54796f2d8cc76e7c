"""Pure statistics on scores [repeats, folds] and on predictions by clip: how sure a difference is."""
