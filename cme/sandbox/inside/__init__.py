"""The code that runs inside of the sandbox. It uses only the standard library and the modules of this folder."""
