"""Stop the installation with one sentence where Python is too old (knows nothing else, so that any Python 3 can run it)."""

import sys

if sys.version_info < (3, 11):
    sys.exit("srlm needs Python 3.11 or newer; this is %s. Try: make PYTHON=python3.11 demo" % sys.version.split()[0])
