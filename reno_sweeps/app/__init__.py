"""The wiring: the only room that knows every floor. A command is one function of one of these files."""
