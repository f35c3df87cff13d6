import { execFile } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "chai"

/** The repository's root. */
export const ROOT = fileURLToPath(new URL("../../../", import.meta.url))

export const readme = (): string => readFileSync(join(ROOT, "README.md"), "utf8")

/** The block of shell commands after the comment that starts with these words. */
export function markedBlock(words: string): string {
  const [, block] = new RegExp(`<!-- ${words}\\b[^>]*-->\\n\`\`\`sh\\n([\\s\\S]*?)\`\`\``).exec(readme()) ?? []
  expect(block, `README.md has no block that is marked ${words}`).to.be.a("string")
  return block ?? ""
}

export interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export interface ShellOptions {
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** What the shell starts with, such as openCryptoki's namespace. */
  readonly prefix?: readonly string[]
  /** Without it, a failing command is told as `exit status N`, and the next one runs. */
  readonly stop?: boolean
}

/** A shell that, like the one people type into, expands aliases. */
export function shell(script: string, file: string, options: ShellOptions): Promise<Ended> {
  // the `aws` that PATH finds first may be a version manager's shim
  const path = `/usr/bin:${process.env["PATH"] ?? ""}`
  const env = { PATH: path, AWS_EC2_METADATA_DISABLED: "true", AWS_PAGER: "", ...options.env }
  const tell = "exec 2>&1\nset -E\ntrap 'echo \"exit status $?\"' ERR\n"
  writeFileSync(file, options.stop === true ? script : tell + script)
  const flags = ["--norc", ...(options.stop === true ? ["-e"] : []), "-O", "expand_aliases", file]
  const [command = "", ...args] = [...(options.prefix ?? []), "bash", ...flags]
  return new Promise((resolve) => {
    execFile(command, args, { cwd: options.cwd, env }, (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
    )
  })
}

/** Holds the output to the lines that the block promises after `#>`, in their order; `…` stands for anything. */
export function expectPromised(block: string, output: string): void {
  const promised = [...block.matchAll(/^#> (.*)$/gm)].map(([, line = ""]) => line)
  let at = 0
  for (const line of promised) {
    const found = patternOf(line).exec(output.slice(at))
    expect(found, `'${line}' after character ${at} of:\n${output}`).to.not.equal(null)
    at += (found?.index ?? 0) + (found?.[0].length ?? 0)
  }
  const failures = (text: string): readonly string[] => text.match(/exit status \d+$/gm) ?? []
  expect(failures(output), output).to.deep.equal(failures(block))
}

function patternOf(line: string): RegExp {
  const parts = line.split(/ *… */).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/ +/g, " +"))
  return new RegExp(parts.join("[^\\n]*"))
}
