#!/usr/bin/env node
// Any Node.js may be asked to run this file, so it has nothing that an old one cannot parse, and loads all others later.
import { readFileSync } from "node:fs"

// Node.js opens its inspector, and with it all memory, to whoever sends this signal: a listener takes its place
process.on("SIGUSR1", () => undefined)

/** Whether this Node.js is one of package.json's "engines". */
function nodeFits(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  return (major === 22 && minor >= 13) || major >= 24
}

function version(): string {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }
  return manifest.version
}

async function main(): Promise<void> {
  const words = process.argv.slice(2)
  if (!nodeFits()) {
    process.stderr.write(
      `keyferry: this is Node.js ${process.version}, and 22.13 (or a later 22) or 24 and later is needed\n`,
    )
    process.exitCode = 69
  } else if (words.length === 1 && (words[0] === "--version" || words[0] === "version")) {
    // answered before anything else is loaded: scripts ask it often
    process.stdout.write(`${version()}\n`)
  } else {
    const { run } = await import("./cli/run.js")
    process.exitCode = await run(words, version())
  }
}

void main()
