import contextlib, os, shutil, tempfile
from pathlib import Path


@contextlib.contextmanager
def replace_folder(folder):
    t = Path(tempfile.mkdtemp(dir=folder.parent))
    yield t
    if folder.exists():
        shutil.rmtree(folder)
    os.rename(t, folder)
