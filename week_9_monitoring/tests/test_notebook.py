import nbformat
from nbclient import NotebookClient

from conftest import WEEK

NOTEBOOK = WEEK / "experimental_notebooks" / "data_exploration.ipynb"


def test_the_notebook_runs_from_top_to_bottom_and_draws():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": NOTEBOOK.parent}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 4
