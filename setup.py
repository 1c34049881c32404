"""Finds the packages; everything else stands in setup.cfg, which has no words for the last one."""

from setuptools import find_namespace_packages, setup


setup(
    # Folders of data alone are packages too, so that what lies in them is installed.
    packages=[
        *find_namespace_packages(include=["modeling_ecso*", "hub_upload*"]),
        "hub_upload.configuration",
    ],
    package_dir={"hub_upload.configuration": "configuration"},
)
