# make run: the program on a practice farm. make test: the tests. make lab: a whole farm of real machines, from an
# installed server to nothing left. make lab-all: that, the installation by keys on a serial console, and the slow tests
# on real machines. make lab-installer: that installation. make lab-partitions: Xen, KVM.
# Each sets up what it needs, on a fresh machine too.

PYTHON ?= python3
VENV ?= .venv
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

run: $(VENV)/ready
	$(VENV)/bin/qrm-tui --practice

test: $(VENV)/ready-test test-packages
	$(VENV)/bin/ruff check qrm_tui tests
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest -n 3 --dist loadgroup --durations 15

# One server, two machines that netboot, two customers: a line for each row that holds. The server starts from its
# disks as they were installed; they are made where this package was not installed yet.
lab: $(VENV)/ready-test test-packages
	$(VENV)/bin/python -m tests.lab.netboot

# A machine that boots Xen, is sliced, and runs a customer's system in a slice; and one that runs its slice with KVM.
lab-partitions: $(VENV)/ready-test test-packages
	$(VENV)/bin/python -m tests.lab.partitions
	$(VENV)/bin/python -m tests.lab.partitions --kvm

# A fresh machine is set up by keys on its serial console, and another one by the answers file that was kept.
lab-installer: $(VENV)/ready-test test-packages
	$(VENV)/bin/python -m tests.lab.installer

# Both, with a root that two machines share, and what takes its time: faults, crashes and restarts of a storage
# server, machines one by one.
lab-all: $(VENV)/ready-test test-packages
	$(VENV)/bin/python -m tests.lab.netboot --shared
	$(VENV)/bin/python -m tests.lab.installer
	$(VENV)/bin/python -m pytest -n 2 --dist loadgroup -m lab

# What the labs' machines boot, built and cached; the labs do so by themselves.
lab-images: $(VENV)/ready-test test-packages
	$(VENV)/bin/python -m tests.lab.images

# Every screen on a real virtual terminal: the console of a machine in QEMU shows what the program sends. Look at them.
pictures: $(VENV)/ready-test test-packages
	$(VENV)/bin/python -m tests.pictures build/pictures

bench: $(VENV)/ready-test
	for bench in tests/bench/*.py; do $(VENV)/bin/python $$bench || exit 1; done

# What is run and built with (libvirt's Python binding is compiled, in some 15 s); the labs' machines also want the
# packages in tests/lab/packages.txt.
packages:
	@sh tests/lab/install-packages python3 python3-venv openssh-client gcc libc6-dev libvirt-dev pkg-config python3-dev

test-packages:
	@sh tests/lab/install-packages $$(cat tests/lab/packages.txt)

$(VENV)/bin/python: | packages
	$(PYTHON) -m venv $(VENV)

$(VENV)/ready: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/ready-test: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@ $(VENV)/ready

clean:
	rm -rf $(VENV)

.PHONY: run test lab lab-installer lab-partitions lab-all lab-images pictures bench packages test-packages clean
