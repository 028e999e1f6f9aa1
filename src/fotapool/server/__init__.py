"""The process: a store, the API over it, and uvicorn in front.

`process.Server` is the program as a value; `settings.Settings` is what it can be told, and is
kept apart so that the command line can name it without importing a web server.
"""
