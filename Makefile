# `make demo` and `make test` set up what they need first; a second call reuses it.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
INTEROP := .venv/interop
SITE := .venv/docs

.PHONY: docs demo test test-plugins test-interop test-gltf test-viewer lint bench install assets clean

demo: install
	$(BIN)/neurotex demo --out demo --overwrite

# two at a time, a file each: most of a test's time is one thread's. Then whole flows on a device that is not there
test: install
	$(BIN)/python -m pytest -n 2 --dist loadscope
	$(BIN)/python -m pytest -n 2 --device pretend tests/devices

# the renderers that we plug into: Mitsuba comes from the registry; PyTorch3D's tests run if you have installed it
test-plugins: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[mitsuba]"
	$(BIN)/python -m pytest -rs tests/compat tests/test_examples.py

# generators of JAX, TensorFlow and ONNX, which come from the registry, each on its own: tests of one that cannot be had
# say so and skip. They lie in an environment over the first, which stays as it is
test-interop: install
	test -x $(INTEROP)/bin/python || $(BIN)/python -m venv $(INTEROP)
	$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> "$$($(INTEROP)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/below.pth"
	for extra in jax tensorflow onnx test-onnx; do \
		$(INTEROP)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$$extra]" \
			|| echo "neurotex[$$extra] cannot be had here: its tests will say so and skip"; \
	done
	$(INTEROP)/bin/python -m pytest -rs tests/generators/interop

# the viewer in a real browser: Chromium, which Debian has; where there is none, the tests say so and skip
test-viewer: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "playwright>=1.40"
	$(BIN)/python -m pytest -rs tests/viewer

# what we write, by Khronos's validator, which runs in node and comes from npm
test-gltf: install
	test -d .venv/gltf/node_modules/gltf-validator || \
		npm install --silent --no-audit --no-fund --prefix .venv/gltf gltf-validator@2.0.0-dev.3.10
	$(BIN)/python -m pytest -rs tests/scene/gltf

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/basedpyright

# the site: pages of docs/, and of all public names from their docstrings; a link that leads nowhere is an error
docs:
	test -x $(SITE)/bin/mkdocs || ($(PYTHON) -m venv $(SITE) && $(SITE)/bin/python -m pip install --quiet \
		--disable-pip-version-check "mkdocs-material>=9.5" "mkdocstrings[python]>=0.27")
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --quiet
	@echo "the site is in .venv/site"

bench: install
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.render

install: $(INSTALLED)

# constraints.txt names the torch build (without it, Linux gets one with gigabytes of CUDA libraries), the Mitsuba whose
# figures the documents give, and the Warp that compiles our kernels for GPUs (150 MB), which tests run on the CPU
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	$(BIN)/python -m neurotex warm-up
	touch $(INSTALLED)

# made once and kept in the repository; see the scripts for what they need
assets: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[mitsuba]"
	$(BIN)/python assets/make_demo.py

clean:
	rm -rf .venv demo fit bench
