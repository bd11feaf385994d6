"""What jobs and people do with a data set."""


def test_the_example_lists_the_files_of_a_data_set(container):
    """The example that comes with the image reads a data set, mounted where the platform mounts it."""
    program = "python3 application-examples/list-dicom-files.py datasets/hubtool-sample"
    assert container.host.check_output(program).endswith("/1.dcm")


def test_a_data_set_can_not_be_written(container):
    """Nothing in a workstation can change a data set."""
    assert container.host.run("touch datasets/hubtool-sample/x").failed


def test_packages_import(container):
    """What batch/requirements.txt asks for imports, also in a login by SSH."""
    container.host.check_output("bash -lc 'python3 -c \"import numpy, pydicom\"'")
