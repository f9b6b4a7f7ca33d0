"""`python -m neurotex.cli`, as `torchrun -m` starts it."""

from . import main

if __name__ == "__main__":
    main()
