# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts from the root of the checkout: puts first on PATH the Node.js and npm that setup.sh brought, where
# the machine's own is older than package.json asks for, and what the npm packages have for a command line.
export PATH=$PWD/.node/bin:$PWD/node_modules/.bin:$PATH
