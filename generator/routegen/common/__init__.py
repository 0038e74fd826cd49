"""What any other module may use: YAML with lines, text, files, addresses, and errors for people. Knows no routes."""
