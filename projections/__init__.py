"""Views of the record: pure folds over blocks, each with the position it is as of. A fold never imports a fold."""
