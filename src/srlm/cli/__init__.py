"""The command line, one file a command. Knows: arguments, exit codes. Refuses to know: logic of its own."""
