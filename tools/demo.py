"""`make demo` on any system: `python -m tools.demo` sets up .venv and runs the main job on sample pictures."""

from tools.environment import ready, run

if __name__ == "__main__":
    run([ready("demo"), "demo/run.py"])
