"""The whole leaderboard: all submissions of a folder, all tasks, combined by what a fold chose."""
