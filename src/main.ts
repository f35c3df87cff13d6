#!/usr/bin/env node
import { readFileSync } from "node:fs"

const version = (): string => {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }
  return manifest.version
}

const words = process.argv.slice(2)
if (words.length === 1 && (words[0] === "--version" || words[0] === "version")) {
  // answered before anything else is loaded: scripts ask it often
  process.stdout.write(`${version()}\n`)
} else {
  const { run } = await import("./cli/run.js")
  process.exitCode = await run(words, version())
}
