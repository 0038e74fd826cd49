"""A cluster -> a commented routes.yaml: read, find the engines and their owners, name them, write. It only reads."""
