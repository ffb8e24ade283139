"""The core: the task, its rules, and the port through which tasks are stored. Imports only the standard library."""
