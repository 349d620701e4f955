"""What a study or a job will take: time, memory and disk, before it runs."""
