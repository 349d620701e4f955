"""Programs as teachers: the folder that one gets, how it is run, the check of what it leaves."""
