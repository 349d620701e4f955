"""The site of a study: a folder that a browser opens without a server, from finding to crystal."""
