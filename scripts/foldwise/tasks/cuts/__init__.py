"""Ways to cut a task into folds: which rows may not stand on both sides, and which rows are tested.

A score answers the question that its split asks. Random folds ask about crystals like those that
are known; folds by formula, chemical system or prototype about ones that differ in that; folds by
a column about other units of the user's own (one paper, one laboratory, one relaxation); folds in
time about what comes next; and clusters that are left out about new chemistry.
"""
