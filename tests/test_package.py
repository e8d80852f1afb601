"""What `import srlm` promises."""

import subprocess
import sys

import srlm


def test_every_public_name_can_be_had() -> None:
    for name in srlm.__all__:
        assert getattr(srlm, name) is not None, name
    assert dir(srlm) == sorted(srlm.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(srlm, "panacea")


def test_importing_the_package_loads_no_model_library() -> None:
    code = "import srlm, sys; assert not {'torch', 'transformers', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
