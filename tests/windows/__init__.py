"""Linux as patchseek would find Windows: see sitecustomize.py, and fake_msvcrt.py for its locks."""
