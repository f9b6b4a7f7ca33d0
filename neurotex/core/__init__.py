"""How a hot function stands beside its reference: `Op`, and what compiles and shares out its kernels."""
