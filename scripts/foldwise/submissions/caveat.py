"""The sentence that goes with everything that is fitted on recorded predictions."""

CROSS_FOLD = (
    "The members that predicted the other folds were themselves trained on this fold's labels "
    "(cross-fold): each recorded model learned four folds, so what is fitted on its predictions "
    "has indirectly seen the labels of the fold that is tested."
)
