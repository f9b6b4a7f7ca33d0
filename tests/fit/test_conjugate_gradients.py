import torch

from neurotex.fit.conjugate_gradients import conjugate_gradients


def test_a_system_is_solved_column_by_column() -> None:
    root = torch.rand(8, 8, dtype=torch.float64)
    matrix, right = root @ root.T + torch.eye(8), torch.rand(8, 3, dtype=torch.float64)
    expected = torch.linalg.solve(matrix, right)
    for diagonal in (None, matrix.diagonal()[:, None]):
        found = conjugate_gradients(lambda x: matrix @ x, right, torch.zeros_like(right), diagonal, 30)
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


def test_it_ends_once_it_is_accurate_and_stays_where_it_is_right() -> None:
    calls = []

    def product(x: torch.Tensor) -> torch.Tensor:
        calls.append(x)
        return 2 * x

    right = torch.rand(8, 1)
    found = conjugate_gradients(product, right, torch.zeros_like(right), iterations=50, accuracy=1e-3)
    torch.testing.assert_close(found, right / 2)
    assert len(calls) == 2  # one for the residual at first, one step
    assert torch.equal(conjugate_gradients(product, right, right / 2, iterations=5), right / 2)  # nor 0 / 0
