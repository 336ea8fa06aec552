"""The command line. Each verb has one file that parses its options, calls one function of the API and prints the result."""
