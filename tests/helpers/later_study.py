"""The small study with E1, E2, E5 and E6: views, two tasks, and a student asked twice."""

from small_study import BASELINE, CONFIG, TASK

HULL = "tiny_e_hull"
SHORT = {**BASELINE, "epochs": 1}
LATER = {
    "e1": {"recipe": "views", "seeds": [0], "title": "Views", "purpose": "A check.",
           "compare_with": ["e0"]},
    "e2": {"recipe": "views", "seeds": [0], "tta": 2, "title": "Views, two averaged",
           "purpose": "A check.", "compare_with": ["e1", "e0"]},
    "e5": {"recipe": "joint", "seeds": [0], "title": "Two tasks", "purpose": "A check.",
           "compare_with": ["e0"]},
    "e6": {"tta": 2, "compare_with": ["e4"]},
}  # fmt: skip
CHANGES = {
    "datasets": {
        **CONFIG["datasets"],
        HULL: {
            **CONFIG["datasets"][TASK], "column": "e_hull", "target_name": "energy above hull",
            "transform": "standardize",
        },
    },
    "recipes": {
        **CONFIG["recipes"],
        "views": {
            **SHORT, "consistency": 0.1,
            "augment": {"displacement": 0.03, "strain": 0.01},
        },
        "joint": {**SHORT, "pretrain": {"tasks": [HULL, TASK], "epochs": 1}},
    },
    "experiments": {**CONFIG["experiments"], **LATER},
}  # fmt: skip
