"""The command line: one thin file per verb – parse, call one function, print."""
