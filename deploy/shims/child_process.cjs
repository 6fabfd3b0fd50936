// Stands in for node:child_process in commander: no subcommand of ours is a program of its own.
