"""What the pages say: templates, sentences, the libraries that they carry."""
